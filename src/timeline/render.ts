/** `cairn sim --timeline`: a run drawn as one HTML file that needs no other file, no network and no server. */
import type { Run } from "../sim/trace.ts"
import { pack } from "./packed.ts"
import { pageTemplate } from "./template.ts" with { type: "macro" }

/** Done when this file is bundled or loaded: at run time it is a constant. */
const template: string = pageTemplate()

const inText = (text: string): string => text.replace(/[&<>]/g, (c) => `&#${c.codePointAt(0)};`)

/** JSON that may stand in a script element: nothing in it can end the element or begin a comment. */
const inScript = (value: unknown): string => JSON.stringify(value).replace(/</g, "\\u003c")

/** The HTML of a run. Its texts are data to the page and never markup. */
export const renderTimeline = (run: Run): string => {
  const parts: Readonly<Record<string, string>> = { title: inText(run.title), run: inScript(pack(run)) }
  return template.replace(/\{\{(title|run)\}\}/g, (_, name) => parts[name]!)
}
