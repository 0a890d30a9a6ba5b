/** The second view: a course about the node that serves it. Loaded when somebody opens it, and not before. */
import { glossary, type Lesson, lessons, type Live } from "./lessons.ts"
import { recall, remember } from "./memory.ts"
import { button, fill, link, make, row } from "./text.ts"

const doneKey = "cairn-lessons"
const atKey = "cairn-lesson"

/** Lessons whose finding somebody has declared, by their number. */
const readDone = (): ReadonlySet<number> =>
  new Set(
    recall(doneKey)
      .split(",")
      .filter((one) => /^[0-6]$/.test(one))
      .map(Number)
  )

const factsOf = (pairs: ReturnType<Lesson["facts"]>): HTMLElement =>
  make("dl", "facts", ...pairs.map(([name, value]) => make("div", "", make("dt", "", name), make("dd", "", value))))

/** Every route as the node itself lists them; those that can be asked by a click lead there. */
const mapOf = ({ info }: Live): HTMLElement => {
  const rows = Object.entries(info.api).map(([name, route]) => {
    const [method = "", path = ""] = route.split(" ")
    return row(`${method} ${path}`, name, method === "GET" && !path.includes("{") ? path : undefined)
  })
  const list = make("ol", "list")
  fill(list, rows, "none")
  return make("details", "", make("summary", "", `The API of this node, live: ${rows.length} routes`), list)
}

const glossaryOf = (): HTMLElement => {
  const terms = glossary.flatMap(([term, meaning]) => [make("dt", "", term), make("dd", "", meaning)])
  return make(
    "details",
    "",
    make("summary", "", `Glossary: ${glossary.length} terms`),
    make("dl", "glossary", ...terms)
  )
}

/** Fills a place with the course. `refresh` shows the node's facts of the moment, and leaves the rest as it is. */
export const makeCourse = (place: HTMLElement, first: Live): { readonly refresh: (live: Live) => void } => {
  let live = first
  let at = Math.min(lessons.length - 1, Number(/^[0-6]$/.exec(recall(atKey))?.[0] ?? 0))
  const done = new Set(readDone())
  const bar = make("progress", "")
  bar.max = lessons.length
  bar.setAttribute("aria-label", "Findings declared")
  const told = make("p", "muted")
  told.setAttribute("role", "status")
  const steps = make("ol", "steps")
  const heading = make("h2", "")
  heading.tabIndex = -1
  const body = make("div", "")
  const facts = make("div", "")
  const check = make("input", "")
  check.type = "checkbox"
  const finding = make("span", "")

  const showProgress = (): void => {
    bar.value = done.size
    told.textContent = `${done.size} of ${lessons.length} findings declared`
    for (const [i, step] of [...steps.querySelectorAll("button")].entries()) {
      step.classList.toggle("done", done.has(i))
      if (i === at) step.setAttribute("aria-current", "step")
      else step.removeAttribute("aria-current")
      step.setAttribute("aria-label", `${lessons[i]!.name}${done.has(i) ? ", declared" : ""}`)
    }
  }
  const showFacts = (): void => facts.replaceChildren(factsOf(lessons[at]!.facts(live)))
  const show = (next: number, focus: boolean): void => {
    at = next
    remember(atKey, String(at))
    const lesson = lessons[at]!
    heading.textContent = `${at + 1}. ${lesson.name}`
    body.replaceChildren(lesson.draw(live), ...lesson.text.map((text) => make("p", "", text)))
    finding.textContent = lesson.finding
    check.checked = done.has(at)
    back.disabled = at === 0
    on.disabled = at === lessons.length - 1
    showFacts()
    showProgress()
    if (focus) heading.focus()
  }
  const back = button("Back", () => show(at - 1, true))
  const on = button("Next", () => show(at + 1, true))
  check.onchange = () => {
    if (check.checked) done.add(at)
    else done.delete(at)
    remember(doneKey, [...done].join(","))
    showProgress()
  }
  steps.append(
    ...lessons.map(({ name }, i) =>
      make(
        "li",
        "",
        button(name, () => show(i, true))
      )
    )
  )
  const nav = make("nav", "", steps)
  nav.setAttribute("aria-label", "Lessons")
  place.replaceChildren(
    make("section", "card", make("div", "row spread", told, bar), nav),
    make(
      "section",
      "card",
      heading,
      body,
      facts,
      make("label", "finding", check, finding),
      make("div", "row spread", back, on)
    ),
    make("section", "card", mapOf(first), glossaryOf()),
    make("p", "muted", "Deeper: ", link("the API", "/docs"), ", and the pages in docs/ of the repository.")
  )
  show(at, false)
  return {
    refresh: (now) => {
      live = now
      showFacts()
    }
  }
}
