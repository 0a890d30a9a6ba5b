/** What people read of the table is what the program reads: .env.example, docs/configuration.md, and a listing without secrets. */
import { describe, expect, test } from "bun:test"
import { readFileSync } from "node:fs"
import { join } from "node:path"
import { Result } from "effect"
import { parseSpec } from "../block/genesis.ts"
import { presets } from "../chain/presets.ts"
import { makeDice } from "../sim/dice.ts"
import { envExample, listing, redacted, referenceTables } from "./documents.ts"
import { judge } from "./judge.ts"
import { productionCodes } from "./production.ts"
import { resolve, type Said } from "./resolve.ts"
import { configVariable, rows } from "./table.ts"

const root = join(import.meta.dir, "../..")
const file = (name: string): string => readFileSync(join(root, name), "utf8")
const said = (environment: Said["environment"]): Said => ({
  flags: {},
  sets: [],
  environment,
  file: undefined,
  readFile: () => Result.fail("none")
})

describe(".env.example", () => {
  const assignments = [...envExample().matchAll(/^#([A-Z0-9_]+)=(.*)$/gm)].map(
    ([, name, value]) => [name!, value!] as const
  )

  test("is the one that the program prints: cairn config env > .env.example", () => {
    expect(file(".env.example")).toBe(envExample())
  })

  test("has every variable once, and with the defaults that it writes nothing changes", () => {
    const names = assignments.map(([name]) => name)
    expect(new Set(names).size).toBe(names.length)
    expect(names.length).toBe(rows.length + 1 + rows.filter(([, { secret }]) => secret === true).length)
    const { values, errors } = resolve(
      said(Object.fromEntries(assignments.filter(([name, value]) => name !== configVariable && value !== "")))
    )
    expect(errors).toEqual([])
    for (const [key, { otherwise }] of rows) expect([key, values[key] as unknown]).toEqual([key, otherwise])
  })
})

describe("docs/configuration.md", () => {
  test("has the tables that the program prints: cairn config reference", () => {
    expect(file("docs/configuration.md")).toContain(referenceTables())
  })

  test("tells of each refusal of production, and the example of a file in it is one", () => {
    const page = file("docs/configuration.md")
    expect(productionCodes.filter((code) => !page.includes(`\`${code}\``))).toEqual([])
    const examples = [...page.matchAll(/```toml\n([\s\S]*?)```/g)]
    expect(examples.length).toBeGreaterThan(0)
    for (const [, text] of examples) {
      const value: unknown = Bun.TOML.parse(text!)
      const { errors } = judge({
        ...said({}),
        file: { name: "cairn.toml", value },
        readFile: () => Result.succeed("x".repeat(40))
      })
      expect(errors).toEqual([])
    }
  })
})

describe("what holds", () => {
  test("is shown with who said it, and the chain's own where nobody did", () => {
    const spec = Result.getOrThrow(parseSpec(presets["lua-blockchain"]))
    const shown = listing(resolve(said({ BLOCKCHAIN_PORT: "81", BLOCKCHAIN_REWARD: "1" })), spec)
    const of = (setting: string) => shown.find((one) => one.setting === setting)
    expect(of("http.port")).toMatchObject({ value: "81", source: "environment", name: "BLOCKCHAIN_PORT" })
    expect(of("chain.reward")).toMatchObject({ value: "1", source: "environment" })
    expect(of("chain.difficulty")).toMatchObject({ value: "0000", source: "chain spec" })
    expect(of("http.host")).toMatchObject({ value: "127.0.0.1", source: "default" })
    expect(of("http.node_url")).toMatchObject({ value: null, without: "nobody is told one" })
    expect(shown.length).toBe(rows.length)
  })

  test("never has a secret, whatever it is", () => {
    const dice = makeDice(5)
    const secrets = rows.filter(([, { secret }]) => secret === true)
    for (let round = 0; round < 200; round++) {
      const text = `S${Array.from({ length: 8 + dice.int(30) }, () => dice.int(36).toString(36)).join("")}`
      const found = resolve(said(Object.fromEntries(secrets.map(([, { variable }]) => [variable, text]))))
      const shown = listing(found, undefined)
      expect(JSON.stringify(shown)).not.toContain(text)
      expect(shown.filter(({ value }) => value === redacted).length).toBe(secrets.length)
    }
  })
})
