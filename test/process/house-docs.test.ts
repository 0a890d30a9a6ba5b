/** Pages name tests, files, commands and links that are there. */
import { describe, expect, test } from "bun:test"
import { existsSync, readdirSync, readFileSync } from "node:fs"
import { dirname, join } from "node:path"
import { Glob } from "bun"
import { published } from "../vectors/published.ts"
import { root } from "./compose.ts"

const pages = ["README.md", "SECURITY.md", "CHANGELOG.md", ...[...new Glob("docs/**/*.md").scanSync(root)].sort()]
const read = (page: string): string => readFileSync(join(root, page), "utf8")

interface Row {
  readonly first: string
  readonly cell: string
}

/** The rows of a page's tables that end in a column of tests. */
const rowsOf = (page: string): ReadonlyArray<Row> =>
  read(page)
    .split(/\n(?=\|[^\n]*\| test \|\n)/)
    .slice(1)
    .flatMap((table) => /^(?:\|.*\n)+/.exec(table)![0].trim().split("\n").slice(2))
    .map((row) => {
      const cells = row.slice(2, -2).split(" | ")
      return { first: cells[0]!, cell: cells.at(-1)! }
    })

/**
 * How often a file has a test of that title in that group, or in any if none is named. Files are laid out by one
 * formatter, so a group is the nearest line above with less before it.
 */
const testsOf = (text: string, title: string, group: string | undefined): number => {
  const quoted = (words: string): string => `(["\`])${RegExp.escape(words)}\\1,`
  return [...text.matchAll(new RegExp(`(?:\\btest\\(|\\)\\()\\s*${quoted(title)}`, "g"))].filter(({ index }) => {
    const above = text.slice(0, index + 1).split("\n")
    const depth = (line: string): number => line.length - line.trimStart().length
    const at = depth(text.split("\n")[above.length - 1]!)
    const holder = above.findLast((line) => line.trim() !== "" && depth(line) < at)
    const isGroup = (line: string): boolean => /^\s*(describe\b|\]\)\()/.test(line)
    return group === undefined || (holder !== undefined && isGroup(holder) && new RegExp(quoted(group)).test(holder))
  }).length
}

/** What is wrong with a cell that names a test: `file`: title, or `file`: group › title; undefined: nothing. */
const wrong = ({ first, cell }: Row): string | undefined => {
  const [, file, words] = /^`([\w./-]+\.test\.ts)`: (.+)$/.exec(cell) ?? []
  if (file === undefined || words === undefined) return `${first}: ${cell} names no test`
  if (!existsSync(join(root, file))) return `${first}: there is no ${file}`
  const [title, group] = words.split(" › ").toReversed()
  const count = testsOf(read(file).replaceAll('\\"', '"'), title!, group)
  return count === 1 ? undefined : `${first}: ${file} has ${count} tests "${words}"`
}

test("a test is found by file, group and title, and nothing else is taken for one", () => {
  const text = `describe("a", () => {\n  test("b", () => {\n    told("c", 1)\n  })\n})\n
test.each([\n  ["d", 1]\n])("e", () => {})\n`
  const found = [["b"], ["b", "a"], ["b", "c"], ["c"], ["d"], ["e"], ["a"]] as const
  expect(found.map(([title, group]) => testsOf(text, title, group))).toEqual([1, 1, 0, 0, 0, 1, 0])
})

describe.each(["docs/threat-model.md", "docs/weaknesses.md"])("%s", (page) => {
  const rows = rowsOf(page)

  test("names tests that there are", () => {
    expect(rows.length).toBeGreaterThan(25)
    expect(rows.map(wrong).filter((one) => one !== undefined)).toEqual([])
  })

  test("every row has as many cells as its table", () => {
    const lines = read(page).split("\n")
    const width = (line: string): number => line.split(" | ").length
    const head = (i: number): number => {
      let at = i
      while (lines[at - 1]?.startsWith("|") === true) at--
      return at
    }
    const odd = lines.filter((line, i) => line.startsWith("| ") && width(line) !== width(lines[head(i)]!))
    expect(odd).toEqual([])
  })
})

test("docs/weaknesses.md has every row that is known to be weak, and each defect", () => {
  const text = read("docs/weaknesses.md")
  const ids = [...["H", 13], ...["T", 9], ...["B", 12], ...["P", 11], ...["E", 12], ...["S", 10]] as ReadonlyArray<
    string | number
  >
  const none = new Set("T1 B13 P2 E2 E4 E7 E8 E9 S1".split(" "))
  const rows = ids.flatMap((letter, i) =>
    typeof letter === "string" ? Array.from({ length: ids[i + 1] as number }, (_, n) => `${letter}${n + 1}`) : []
  )
  const further =
    "M1 M2 M4 G1 G2 G4 G5 G6 G7 B14 B16 B17 R3 R4 R9 R10 R14 R16 R18 R23 R25 R26 R27 U3 U4 U5 U6 U8 U9 U10"
  const known = [...rows, ...further.split(" ")].filter((id) => !none.has(id))
  expect(known.filter((id) => !new RegExp(`^\\| (L-\\w+, )*L-${id}(,| )`, "m").test(text))).toEqual([])
  const ofLibp2p = "1 2 3 5 6 8 10 11 12 13 15 17 21 22 26 29 31 34 37".split(" ")
  expect(ofLibp2p.filter((id) => !new RegExp(`^\\| P-${id} `, "m").test(text))).toEqual([])
  for (const defect of [1, 2, 3, 4, 5, 6, 7, 8, 23, 24]) expect(text).toMatch(new RegExp(`^\\| ${defect} \\|`, "m"))
})

test("docs/testing.md names the tests of each file of Wycheproof, and how many cases it has", () => {
  const rows = rowsOf("docs/testing.md")
  expect(rows.length).toBeGreaterThanOrEqual(8)
  expect(rows.map(wrong).filter((one) => one !== undefined)).toEqual([])
  const cases = [...read("docs/testing.md").matchAll(/^\| `(\w+_test\.json)` \| (\d+) \|/gm)]
  expect(cases).toHaveLength(rows.length)
  for (const [, file, count] of cases) {
    const vectors = published<{ readonly numberOfTests: number }>(`wycheproof/${file}`)
    if (vectors !== undefined) expect([file, vectors.numberOfTests]).toEqual([file, Number(count)])
  }
})

test("docs/security-review-checklist.md names commands whose files are there, and each of its places", () => {
  const text = read("docs/security-review-checklist.md")
  const rows = text.split("\n").filter((line) => /^\| \d+ \|/.test(line))
  expect(rows.length).toBeGreaterThanOrEqual(10)
  for (const row of rows) {
    const [number, , places, command] = row.slice(2, -2).split(" | ")
    const words = /^`bun test (.+)`$/.exec(command!)?.[1]?.split(" ") ?? []
    expect([number, words.length > 0]).toEqual([number, true])
    const named = [...places!.matchAll(/`([\w./-]+)`/g)].map(([, path]) => path!)
    expect([number, [...words, ...named].filter((path) => !existsSync(join(root, path)))]).toEqual([number, []])
  }
})

test("SECURITY.md names a private way that this repository has", () => {
  const text = read("SECURITY.md")
  expect(text).toContain("Report a vulnerability")
  expect(text).toContain("/security/advisories/new")
  // An address that nobody reads would be worse than none.
  expect(text).not.toMatch(/[\w.]+@[\w.]+/)
})

/** What a link to a heading of a page is made of: small letters, digits, - for blanks. */
const anchorsOf = (text: string): ReadonlySet<string> =>
  new Set(
    [...text.matchAll(/^#+ (.+)$/gm)].map(([, heading]) =>
      heading!
        .toLowerCase()
        .replace(/[^\p{L}\p{N}\s_-]/gu, "")
        .replace(/\s/g, "-")
    )
  )

test.each(pages)("%s: links lead somewhere, and scripts and pages that are named are there", (page) => {
  const scripts = new Set(readdirSync(join(root, "scripts")))
  const text = read(page)
  const astray = [...text.matchAll(/\]\((?!https?:)([^)#\s]*)(?:#([^)]+))?\)/g)].filter(([, target, anchor]) => {
    const path = target === "" ? join(root, page) : join(root, dirname(page), target!)
    return !existsSync(path) || (anchor !== undefined && !anchorsOf(readFileSync(path, "utf8")).has(anchor))
  })
  expect(astray.map(([link]) => link)).toEqual([])
  const named = [...text.matchAll(/scripts\/([\w.]+\.sh)/g)].map(([, name]) => name!)
  expect(named.filter((name) => !scripts.has(name))).toEqual([])
  const paths = [...text.matchAll(/`?\b(docs\/[\w./-]+\.(?:md|json|http|service))\b/g)].map(([, path]) => path!)
  expect(paths.filter((path) => !existsSync(join(root, path)))).toEqual([])
})

test("docs/glossary.md has each word once", () => {
  const words = read("docs/glossary.md")
    .split("\n")
    .filter((line) => line.startsWith("| ") && !/^\| (word|---) /.test(line))
    .flatMap((line) => line.slice(2).split(" | ")[0]!.split(/[,;] /))
  expect(words.length).toBeGreaterThan(60)
  expect(words.filter((word, i) => words.indexOf(word) !== i)).toEqual([])
})

test("docs/decisions has each number once, under the number of its heading", () => {
  const files = readdirSync(join(root, "docs/decisions")).sort()
  const numbers = files.map((file) => Number(file.slice(0, 4)))
  expect(numbers).toEqual(files.map((_, i) => i + 1))
  const headings = files.map((file) => Number(/^# (\d+)\. /.exec(read(`docs/decisions/${file}`))?.[1]))
  expect(headings).toEqual(numbers)
})

test("docs/deployment.md lists the variables that the production overlay wants", () => {
  const wanted = [...read("compose.production.yaml").matchAll(/\$\{(\w+):\?/g)].map(([, name]) => name!)
  const page = read("docs/deployment.md")
  expect(wanted.length).toBeGreaterThan(5)
  expect(wanted.filter((name) => !page.includes(`\`${name}\``))).toEqual([])
})
