/** Who wins when several say something, that nothing wrong is passed over, and that secrets stay so. */
import { describe, expect, test } from "bun:test"
import { Result } from "effect"
import { makeDice } from "../sim/dice.ts"
import { judge } from "./judge.ts"
import { resolve, type Said } from "./resolve.ts"
import { type Key, rows, table } from "./table.ts"
import type { Setting } from "./setting.ts"

const nothing: Said = {
  flags: {},
  sets: [],
  environment: {},
  file: undefined,
  readFile: (path) =>
    path.startsWith("/files/") ? Result.succeed(`${path.slice(7)}\n`) : Result.fail("There is none.")
}

/** Two good values of each setting, as text. */
const goodOf = ({ kind, otherwise, file }: Setting<unknown>): readonly [string, string] => {
  const tries = [
    "true",
    "false",
    "encrypted",
    "1",
    "2",
    "30",
    "60",
    "100",
    "3600",
    "1024",
    "2048",
    "0",
    "00",
    "a.db",
    "b.db"
  ]
  const more = [...(kind.words ?? []), "alpha", "beta", "10.0.0.1", "10.0.0.2", "a.example:80", "b.example:81"]
  const urls = ["http://a.example", "http://b.example", "/ip4/10.0.0.1/tcp/1", "/ip4/10.0.0.2/tcp/1"]
  const preset = otherwise === undefined ? [] : [kind.format(otherwise)]
  const good = [...tries, ...more, ...urls, ...preset].filter((text) => kind.parse(text) !== undefined)
  const [one, other] = [...new Map(good.map((text) => [JSON.stringify(kind.parse(text)), text])).values()]
  if (one === undefined || other === undefined) throw new Error(`no two values of ${file}`)
  return [one, other]
}

/** The value of a TOML file for a text. */
const fileValue = ({ kind: { form, parse } }: Setting<unknown>, text: string): unknown => {
  if (form === "list") return text.split(",").filter((item) => item !== "")
  if (form === "number") return Number(text)
  if (form === "flag or text") return text === "encrypted" ? text : parse(text) === "on"
  return form === "flag" ? parse(text) : text
}

const nested = (file: string, value: unknown): Said["file"] => {
  const [section, key] = file.split(".") as [string, string]
  return { name: "cairn.toml", value: { [section]: { [key]: value } } }
}

describe("of several sources", () => {
  test("the strongest that says something holds, is named, and the others are checked all the same", () => {
    const dice = makeDice(7)
    for (let round = 0; round < 2_000; round++) {
      const [key, setting] = rows[dice.int(rows.length)]!
      const values = goodOf(setting)
      const pick = () => values[dice.int(2)]!
      const flag = setting.flag !== undefined && setting.flagForm === undefined && dice.chance(0.5) ? pick() : undefined
      const set = flag === undefined && setting.secret !== true && dice.chance(0.4) ? pick() : undefined
      const variable = dice.chance(0.5) ? pick() : undefined
      const file = dice.chance(0.5) ? pick() : undefined
      const {
        values: got,
        origins,
        errors
      } = resolve({
        ...nothing,
        flags: flag === undefined ? {} : { [setting.flag!]: flag },
        sets: set === undefined ? [] : [`${setting.file}=${set}`],
        environment: variable === undefined ? {} : { [setting.variable]: variable },
        file: file === undefined ? undefined : nested(setting.file, fileValue(setting, file))
      })
      const winner = flag ?? set ?? variable ?? file
      expect([key, errors]).toEqual([key, []])
      expect([key, got[key] as unknown]).toEqual([
        key,
        winner === undefined ? setting.otherwise : setting.kind.parse(winner)
      ])
      const source =
        (flag ?? set) !== undefined
          ? "flag"
          : variable !== undefined
            ? "environment"
            : file !== undefined
              ? "file"
              : "default"
      const name = {
        flag: set === undefined ? `--${setting.flag}` : `--set ${setting.file}`,
        environment: setting.variable,
        file: `${setting.file} in cairn.toml`,
        default: ""
      }[source]
      expect([key, origins[key]]).toEqual([key, { source, name }])
      // Whatever is said of one setting moves no other.
      expect(rows.filter(([other]) => other !== key && origins[other].source !== "default")).toEqual([])
    }
  })

  test("what a stronger one overrules is an error if it is wrong", () => {
    const said = { ...nothing, flags: { "http-port": "1" }, environment: { BLOCKCHAIN_PORT: "many" } }
    const { values, errors } = resolve({ ...said, file: nested("http.port", "2") })
    expect(values.httpPort).toBe(1)
    expect(errors.map(({ name }) => name)).toEqual(["http.port in cairn.toml", "BLOCKCHAIN_PORT"])
  })

  test("a flag that says no is stronger than a variable that says yes", () => {
    const environment = { CAIRN_DEV: "yes", BLOCKCHAIN_P2P_ENABLED: "false", BLOCKCHAIN_GOSSIP_ENABLED: "true" }
    const { values } = resolve({ ...nothing, environment, flags: { dev: false, "no-p2p": false, "no-gossip": true } })
    expect([values.dev, values.p2pEnabled, values.gossip]).toEqual([false, true, "off"])
  })

  test("one of them does not say a thing twice", () => {
    const flags = { "http-port": "1", discovery: ["http://a:1", "http://b:2"] }
    const environment = { BLOCKCHAIN_ADMIN_TOKEN: "t", BLOCKCHAIN_ADMIN_TOKEN_FILE: "/files/u" }
    const { errors, values } = resolve({ ...nothing, flags, sets: ["http.port=2"], environment })
    expect(errors.map(({ code, name }) => [code, name])).toEqual([
      ["setting-double", "--set http.port"],
      ["setting-double", "BLOCKCHAIN_ADMIN_TOKEN_FILE"]
    ])
    expect(values.discovery).toEqual(["http://a:1/", "http://b:2/"])
  })
})

describe("what nobody knows", () => {
  const unknown = (said: Partial<Said>) =>
    resolve({ ...nothing, ...said }).errors.map(({ code, name, hint }) => [code, name, hint])
  const lists = "docs/configuration.md lists them all."

  test("is an error that names what may be meant, wherever it is said", () => {
    const environment = {
      BLOCKCHAIN_DIFICULTY: "0000",
      CAIRN_HTTPHOST: "a",
      BLOCKCHAIN_NODE_ID_FILE: "/files/x",
      CAIRN_XYZ: "",
      CAIRN_VECTORS: "/vectors",
      HOME: "/root",
      cairn_dev: "1"
    }
    expect(unknown({ environment })).toEqual([
      ["setting-unknown", "BLOCKCHAIN_DIFICULTY", "Is it BLOCKCHAIN_DIFFICULTY?"],
      ["setting-unknown", "CAIRN_HTTPHOST", "Is it CAIRN_HTTP_HOST?"],
      ["setting-unknown", "BLOCKCHAIN_NODE_ID_FILE", "Is it BLOCKCHAIN_NODE_ID?"],
      ["setting-unknown", "CAIRN_XYZ", "Is it CAIRN_DEV?"]
    ])
    const value = { http: { prot: 1, ["__proto__x"]: 2 }, nod: { name: "x" }, port: 3, constructor: {} }
    expect(unknown({ file: { name: "f", value } })).toEqual([
      ["setting-unknown", "http.prot in f", "Is it http.port?"],
      ["setting-unknown", "http.__proto__x in f", lists],
      ["setting-unknown", "nod.name in f", "Is it node.name?"],
      ["setting-unknown", "port in f", lists]
    ])
    expect(unknown({ sets: ["http.hots=a", "http.host", "http.admin_token=t"] })).toEqual([
      ["setting-unknown", "--set http.hots", "Is it http.host?"],
      ["setting-malformed", "--set http.host", undefined],
      [
        "setting-on-command-line",
        "--set http.admin_token",
        "Put it into a file and name that in BLOCKCHAIN_ADMIN_TOKEN_FILE."
      ]
    ])
  })

  test("hides nothing else: as many settings as are wrong are told, each once", () => {
    const dice = makeDice(13)
    for (let round = 0; round < 300; round++) {
      const wrong = rows.filter(() => dice.chance(0.2))
      const environment = Object.fromEntries(wrong.map(([, { variable }]) => [variable, "\u0000"]))
      const { errors } = resolve({ ...nothing, environment })
      expect(errors.map(({ key }) => key)).toEqual(wrong.map(([key]) => key))
    }
  })

  test("no value of a file that has another form is taken for one", () => {
    const wrong: ReadonlyArray<readonly [Key, unknown]> = [
      ["httpPort", "8080"],
      ["httpPort", 80.5],
      ["httpPort", true],
      ["dev", "true"],
      ["dev", 1],
      ["hosts", "a.example"],
      ["hosts", ["a.example,b.example"]],
      ["hosts", [1]],
      ["name", 5],
      ["name", ["a"]],
      ["difficulty", 0],
      ["gossip", 1],
      ["adminToken", { a: 1 }]
    ]
    for (const [key, value] of wrong) {
      const { file } = table[key]
      const { errors } = resolve({ ...nothing, file: nested(file, value) })
      expect([file, value, errors.length]).toEqual([file, value, 1])
    }
    for (const value of [5, [], "x", null])
      expect(resolve({ ...nothing, file: { name: "f", value } }).errors).toMatchObject([{ code: "settings-malformed" }])
  })

  test("anything at all is read or refused, and nothing throws", () => {
    const dice = makeDice(11)
    const pieces = [
      "0",
      "-1",
      "a",
      ",",
      ":",
      "[",
      "]",
      "//",
      "http",
      "\u0000",
      "é",
      "\ud800",
      " ",
      ".",
      "%",
      "9".repeat(40)
    ]
    for (let round = 0; round < 3_000; round++) {
      const text = Array.from({ length: dice.int(6) }, () => pieces[dice.int(pieces.length)]!).join("")
      const [key, setting] = rows[dice.int(rows.length)]!
      const { values, errors } = judge({ ...nothing, environment: { [setting.variable]: text } })
      const parsed = setting.kind.parse(text)
      if (parsed === undefined) expect([key, values[key] as unknown]).toEqual([key, setting.otherwise])
      else if (text.trim() !== "")
        expect([
          key,
          values[key] as unknown,
          errors.filter(({ code }) => code === "setting-malformed" && key !== "adminSocket")
        ]).toEqual([key, parsed, []])
    }
    const long = "a,".repeat(40_000)
    expect(resolve({ ...nothing, environment: { BLOCKCHAIN_ALLOWED_PEER_IDS: long } }).errors.length).toBe(1)
  })
})

describe("a secret", () => {
  const secrets = rows.filter(([, { secret }]) => secret === true)

  test("stands in a file of its own, named by each source, or is refused with the file's reason", () => {
    for (const [key, { variable, file, flag }] of secrets) {
      const from = (said: Partial<Said>) => resolve({ ...nothing, ...said })
      const good = [
        from({ environment: { [`${variable}_FILE`]: "/files/abc" } }),
        from({ file: nested(`${file}_file`, "/files/abc") }),
        ...(flag === undefined ? [] : [from({ flags: { [flag]: "/files/abc" } })])
      ]
      for (const { values, errors } of good) expect([key, values[key] as unknown, errors]).toEqual([key, "abc", []])
      expect(from({ environment: { [`${variable}_FILE`]: "/none" } }).errors).toMatchObject([
        { code: "setting-unreadable", key, said: "There is none." }
      ])
      expect(from({ environment: { [`${variable}_FILE`]: "/files/" } }).errors).toMatchObject([
        { code: "setting-malformed" }
      ])
    }
  })

  test("is in no error", () => {
    const bad = "very secret\u0007indeed"
    for (const [, { variable, file }] of secrets) {
      const { errors } = resolve({
        ...nothing,
        environment: { [variable]: bad },
        file: nested(`${file}_file`, `/files/${bad}`)
      })
      expect(errors.length).toBe(2)
      expect(JSON.stringify(errors)).not.toContain("indeed")
    }
  })
})
