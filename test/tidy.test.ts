/** The style guide that runs: direction, purity, size, names, dead files. Every rule here is written out in docs/architecture.md. */
import { describe, expect, test } from "bun:test"
import { readFileSync } from "node:fs"
import { dirname, join, normalize } from "node:path"
import { Glob } from "bun"

/** A place may import itself and the places before it. This list is the architecture. */
const order = [
  "src/assert.ts",
  "src/marks.ts",
  "src/limits.ts",
  "src/config.ts",
  "src/ready.ts",
  "src/codec",
  "src/crypto",
  "src/ledger",
  "src/wallet",
  "src/block",
  "src/consensus",
  "src/chain",
  "src/mempool",
  "src/miner",
  "src/validator",
  "src/peer",
  "src/light",
  "src/libp2p",
  "src/host",
  "src/transport",
  "src/discovery",
  "src/gossip",
  "src/settings",
  "src/io",
  "src/store",
  "src/library.ts",
  "src/library-effect.ts",
  "src/node",
  "src/http",
  "src/compat",
  "actors",
  "src/sim",
  "src/timeline",
  "src/flight",
  "src/cli",
  "src/main.ts"
]
const http = [
  "src/assert.ts",
  "src/limits.ts",
  "src/config.ts",
  "src/ready.ts",
  "src/codec",
  "src/crypto",
  "src/ledger",
  "src/block",
  "src/chain",
  "src/consensus",
  "src/wallet",
  "src/discovery",
  "src/node",
  "web"
]
/** Narrower than the order: what these may see besides themselves, and nothing else. */
const only: Readonly<Record<string, ReadonlyArray<string>>> = {
  "src/io": ["src/codec", "src/limits.ts", "src/assert.ts", "src/libp2p", "src/host"],
  "src/libp2p": ["src/limits.ts", "src/assert.ts", "src/codec", "src/crypto"],
  "src/host": ["src/limits.ts", "src/assert.ts", "src/codec", "src/crypto", "src/libp2p"],
  "src/http": http,
  "src/compat": [...http, "src/http"],
  web: [
    "src/limits.ts",
    "src/assert.ts",
    "src/codec",
    "src/crypto",
    "src/ledger",
    "src/wallet",
    "src/block",
    "src/http/contract.ts"
  ]
}
/** No clock, no chance, no world. `crypto` may reach native engines: they are functions of their bytes. */
const pure = [
  "src/codec",
  "src/ledger",
  "src/wallet",
  "src/block",
  "src/consensus",
  "src/chain",
  "src/mempool",
  "src/miner",
  "src/validator",
  "src/peer",
  "src/light",
  "src/libp2p",
  "src/host",
  "src/transport",
  "src/discovery",
  "src/gossip",
  "src/settings"
]
const effectData = /^(Result|Data|Schema|Brand|Option|SchemaIssue)$/
const impure =
  /\bBun\.|\bDate\.now|\bnew Date\(\)|Math\.random|performance\.now|\bsetTimeout|\bsetInterval|from "(bun|node):/
const functionLinesMax = 70
const fileLinesMax = 500
/** Code is narrow; a sentence in a comment or in a text for people may take more room than it. */
const columnsMax = 125
const proseColumnsMax = 170

const root = join(import.meta.dir, "..")
const sources = [...new Glob("{src,actors,web}/**/*.ts").scanSync(root)].sort()
const production = sources.filter((file) => !file.endsWith(".test.ts"))
const text = new Map(sources.map((file) => [file, readFileSync(join(root, file), "utf8")]))
const place = (file: string): string =>
  order.find((entry) => file === entry || file.startsWith(`${entry}/`)) ?? file.split("/")[0]!

interface Edge {
  readonly from: string
  readonly to: string
}

/** Every relative import, type-only ones too (Bun's own scanner leaves those out). */
const edgesOf = (file: string): ReadonlyArray<Edge> =>
  [...text.get(file)!.matchAll(/(?:from|import)\s*\(?"(\.{1,2}\/[^"]+)"/g)].map((match) => ({
    from: file,
    to: normalize(join(dirname(file), match[1]!))
  }))
const edges = production.flatMap(edgesOf)

const wrongWay = ({ from, to }: Edge): boolean => {
  const source = place(from)
  const target = place(to)
  if (source === target || !/\.ts$/.test(to)) return false
  const allowed = only[source]
  if (allowed !== undefined) return !allowed.some((entry) => to === entry || to.startsWith(`${entry}/`))
  return order.indexOf(target) === -1 || order.indexOf(target) > order.indexOf(source)
}

describe("direction", () => {
  test("a place imports only itself and what stands before it", () => {
    expect(edges.filter(wrongWay).map(({ from, to }) => `${from} must not import ${to}`)).toEqual([])
  })

  test("actors never import one another; only the tree and its parts know all", () => {
    const shared = /^actors\/(actor|inbox|supervisor|scheduler|metrics|event-hub|(?:[a-z-]+-)?protocol)\.ts$/
    const parts = /^actors\/(tree|base|core|door)\.ts$/
    // What one actor, and nobody else, is made of.
    const own = new Set([
      "actors/node-service.ts actors/lookups.ts",
      "actors/maintenance.ts actors/peer-view.ts",
      "actors/peer-session.ts actors/session-authority.ts"
    ])
    const meetings = edges.filter(
      ({ from, to }) =>
        from.startsWith("actors/") &&
        to.startsWith("actors/") &&
        !parts.test(from) &&
        !shared.test(to) &&
        !own.has(`${from} ${to}`)
    )
    expect(meetings).toEqual([])
  })

  test("only cli starts actors", () => {
    const strangers = edges.filter(
      ({ from, to }) => to.startsWith("actors/") && !/^(actors|src\/(cli|sim|flight))\//.test(from)
    )
    expect(strangers).toEqual([])
  })

  test("there are no cycles, not even of types", () => {
    const out = new Map<string, Array<string>>()
    for (const { from, to } of edges) out.set(from, [...(out.get(from) ?? []), to])
    const done = new Set<string>()
    const cycles: Array<string> = []
    const visit = (file: string, path: ReadonlyArray<string>): void => {
      if (path.includes(file)) {
        cycles.push([...path.slice(path.indexOf(file)), file].join(" > "))
        return
      }
      if (done.has(file)) return
      for (const next of out.get(file) ?? []) visit(next, [...path, file])
      done.add(file)
    }
    for (const file of production) visit(file, [])
    expect(cycles).toEqual([])
  })

  test("no file of production is dead", () => {
    const entries =
      /^(src\/main\.ts|src\/cli\/build\.ts|(actors|src\/sim)\/[a-z-]+-worker\.ts|src\/timeline\/(page|render)\.ts|web\/main\.ts)$/
    const tests = [...new Glob("test/**/*.ts").scanSync(root)].map(
      (file) => [file, readFileSync(join(root, file), "utf8")] as const
    )
    const known = new Set([
      ...edges.map(({ to }) => to),
      ...tests.flatMap(([file, body]) =>
        [...body.matchAll(/from "(\.{1,2}\/[^"]+)"/g)].map((match) => normalize(join(dirname(file), match[1]!)))
      )
    ])
    expect(production.filter((file) => !entries.test(file) && !known.has(file))).toEqual([])
  })
})

describe("purity", () => {
  const stripped = (file: string): string => text.get(file)!.replace(/\/\*[\s\S]*?\*\/|\/\/.*$/gm, "")

  test("rules and machines do not touch the world", () => {
    const guilty = production.filter(
      (file) => pure.some((entry) => file.startsWith(`${entry}/`)) && impure.test(stripped(file))
    )
    expect(guilty).toEqual([])
  })

  test("of Effect they use only its data", () => {
    const guilty = production
      .filter((file) => [...pure, "src/crypto"].some((entry) => file.startsWith(`${entry}/`)))
      .flatMap((file) =>
        [...text.get(file)!.matchAll(/import (?:type )?\{([^}]*)\} from "effect"/g)]
          .flatMap((match) => match[1]!.split(",").map((name) => name.replace(/\btype\b/, "").trim()))
          .filter((name) => name !== "" && !effectData.test(name))
          .map((name) => `${file}: ${name}`)
      )
    expect(guilty).toEqual([])
  })

  const importers = (pattern: RegExp, allowed: RegExp): ReadonlyArray<string> =>
    production.filter((file) => !allowed.test(file) && pattern.test(text.get(file)!))

  test("each dependency has one home", () => {
    expect(importers(/from "@noble|from "@scure/, /^src\/crypto\//)).toEqual([])
    expect(importers(/from "bun:sqlite"/, /^src\/store\//)).toEqual([])
    expect(importers(/from "hono/, /^src\/(http|compat)\//)).toEqual([])
    expect(importers(/from "bun:ffi"/, /^src\/crypto\//)).toEqual([])
  })

  test("actors take time and chance from the doors", () => {
    expect(
      importers(
        /\bDate\.now|\bnew Date\(\)|Math\.random|randomBytes/,
        /^(src\/(io|cli|http|crypto|main|sim\/fence)|web\/|actors\/metrics)/
      )
    ).toEqual([])
  })

  /** A simulation would differ from run to run, and src/sim/fence.ts cannot see why. */
  const unfenced = [
    /from "(node:)?(process|timers|timers\/promises|perf_hooks)"/,
    /\b(randomBytes|randomInt|randomFill|randomFillSync|pseudoRandomBytes|webcrypto)\b|import \{[^}]*randomUUID/,
    /\bhrtime\b|\bTemporal\b|crypto\.subtle|\.timeOrigin\b/,
    /\brandom\(\)|\brandomblob\(|\bcurrent_(time|date|timestamp)\b/i,
    /\b(datetime|julianday|unixepoch)\(\)|\b(datetime|date|time|julianday|unixepoch|strftime)\([^()]*'now'/i
  ]

  test("nobody in a simulated world takes time and chance by a way that its fence cannot see", () => {
    const outside = /^(src\/(io|cli|crypto|main|sim\/fence)|web\/)/
    const guilty = production.filter((file) => !outside.test(file) && unfenced.some((way) => way.test(stripped(file))))
    expect(guilty).toEqual([])
  })

  test.each([
    'import { hrtime } from "node:process"',
    'import { setTimeout } from "node:timers/promises"',
    'import { createHash, randomBytes } from "node:crypto"',
    'import { randomUUID } from "node:crypto"',
    "const t = process.hrtime()",
    "await crypto.subtle.digest()",
    "Temporal.Now.instant()",
    'db.query("SELECT random() AS r")',
    "db.query(`INSERT INTO a VALUES (datetime('now'), 1)`)",
    "db.query(`SELECT strftime('%s', 'now')`)",
    'db.query("CREATE TABLE a (at DEFAULT CURRENT_TIMESTAMP)")'
  ])("such as: %s", (line) => expect(unfenced.some((way) => way.test(line))).toBe(true))
})

describe("form", () => {
  test("files are lower-kebab nouns; none is an index, a helper or a utility", () => {
    const name = /^[a-z0-9]+(-[a-z0-9]+)*(\.test)?\.ts$/
    const vague = /^(index|utils?|helpers?|misc|common)\.ts$/
    const base = (file: string): string => file.split("/").pop()!
    expect(sources.filter((file) => !name.test(base(file)) || vague.test(base(file)))).toEqual([])
  })

  test("the first line says what a file is for", () => {
    expect(production.filter((file) => !text.get(file)!.startsWith("/**"))).toEqual([])
  })

  test(`no file is longer than ${fileLinesMax} lines, no line than ${columnsMax} columns`, () => {
    const long = sources.filter((file) => text.get(file)!.split("\n").length > fileLinesMax)
    const prose = /^\s*(\/?\*|\/\/)|["`>][^"`]{50,}["`<]?|\/.{60,}\//
    const allowed = (line: string): number => (prose.test(line) ? proseColumnsMax : columnsMax)
    const wide = sources.flatMap((file) =>
      text
        .get(file)!
        .split("\n")
        .flatMap((line, i) => (line.length > allowed(line) ? [`${file}:${i + 1}`] : []))
    )
    expect([...long, ...wide]).toEqual([])
  })

  test(`no function is longer than ${functionLinesMax} lines`, () => {
    expect(production.flatMap(longFunctions)).toEqual([])
  })

  test("no default exports, no barrels, no any, no unfinished marks", () => {
    const banned =
      /^export default|^export \* from|\bas any\b|: any\b|@ts-ignore|@ts-nocheck|\b(TODO|FIXME|XXX|HACK)\b/m
    const codeOf = (file: string): string => text.get(file)!.replace(/"[^"\n]*"|`[^`]*`|\/\*[\s\S]*?\*\//g, "")
    expect(production.filter((file) => banned.test(codeOf(file)))).toEqual([])
  })
})

/**
 * Functions, by indentation: the opening line ends in `{`, the closing one stands at its indent. Lines of the functions
 * within one are theirs and not its own: a closure that holds an actor's small functions is as long as what it does itself.
 */
function longFunctions(file: string): ReadonlyArray<string> {
  const lines = text.get(file)!.split("\n")
  const opening = /(=>|\)(: [^={]+)?|function\*?\s*\w*\([^)]*\)(: [^={]+)?) \{$/
  const statement = /^\s*(?:\} )?(?:if|for|while|switch|else|try|catch|do)\b/
  const endOf = (start: number): number => {
    const indent = /^\s*/.exec(lines[start]!)![0]
    return lines.findIndex((line, i) => i > start && line.startsWith(`${indent}}`))
  }
  const isFunction = (line: string): boolean => opening.test(line) && !statement.test(line)
  const ownLines = (start: number, end: number): number => {
    let own = 0
    for (let at = start + 1; at < end; at++) {
      if (isFunction(lines[at]!)) at = Math.max(at, endOf(at))
      else own++
    }
    return own
  }
  return lines.flatMap((line, start) => {
    if (!isFunction(line)) return []
    const own = ownLines(start, endOf(start))
    return own > functionLinesMax ? [`${file}:${start + 1} has ${own} lines`] : []
  })
}
