/** Signed statements: only the node itself can make one, any change breaks it, and no JSON makes the reader throw. */
import { describe, expect, test } from "bun:test"
import { Result } from "effect"
import { toHex } from "../codec/bytes.ts"
import { discoveryFreshMs, discoveryLifeMsMax } from "../limits.ts"
import { makeDice } from "../sim/dice.ts"
import { keyOf } from "../../test/fixtures.ts"
import {
  checkStatement,
  type Command,
  formatCommand,
  makeStatement,
  readCommand,
  type Statement,
  type Words
} from "./statement.ts"

const now = 1_795_219_200_000
const words = (wish: Partial<Words> = {}): Words => ({
  action: "register",
  chainId: "cairn-dev",
  genesis: new Uint8Array(32).fill(7),
  endpoint: "192.0.2.7:19100",
  time: now,
  expires: now + 300_000,
  ...wish
})
const signed = (wish: Partial<Words> = {}, key = keyOf(1)): Statement => makeStatement(words(wish), key)
const far = { now, near: false }
const codeOf = (wish: Partial<Words>, near = false) => checkStatement(signed(wish), { now, near })
/** As it arrives at the other end. */
const carried = (command: Command) => readCommand(JSON.parse(JSON.stringify(formatCommand(command))))
const parts = ["chain_id", "genesis", "public_key", "endpoint", "time", "expires", "signature", "id"] as const

describe("a statement", () => {
  test("travels as it is, and holds", () => {
    const gone = signed({ action: "remove", endpoint: "", expires: now })
    const commands: ReadonlyArray<Command> = [
      { command: "add", statement: signed() },
      { command: "remove", statement: gone },
      { command: "get_all", genesis: words().genesis, after: "node1x", limit: 3 },
      { command: "get_all", genesis: words().genesis, after: "", limit: 64 }
    ]
    for (const command of commands) expect(carried(command)).toEqual(Result.succeed(command))
    expect([checkStatement(signed(), far), checkStatement(gone, far)]).toStrictEqual([undefined, undefined])
  })

  test("is broken by any change of any part, and as another's", () => {
    const { peer } = formatCommand({ command: "add", statement: signed() }) as {
      readonly peer: Readonly<Record<string, unknown>>
    }
    const other = signed({}, keyOf(2))
    const changes: Readonly<Record<(typeof parts)[number], unknown>> = {
      chain_id: "cairn-devx",
      genesis: "08".repeat(32),
      public_key: toHex(other.publicKey),
      endpoint: "192.0.2.8:19100",
      time: now + 1,
      expires: now + 300_001,
      signature: toHex(other.signature),
      id: other.nodeId
    }
    const wrong = parts.map((part) => {
      const read = readCommand({ command: "add", peer: { ...peer, [part]: changes[part] } })
      if (Result.isFailure(read) || read.success.command !== "add") throw new Error(`not read: ${part}`)
      return checkStatement(read.success.statement, far)
    })
    const [signature, identity] = ["registration-signature", "node-id-mismatch"] as const
    expect(wrong).toEqual([signature, signature, identity, signature, signature, signature, signature, identity])
  })

  test("to register is none to remove, with whatever fields it comes", () => {
    const { signature } = signed({ action: "register", endpoint: "", expires: now })
    expect(checkStatement({ ...signed({ action: "remove", endpoint: "", expires: now }), signature }, far)).toBe(
      "registration-signature"
    )
  })

  test("names a place that others can dial", () => {
    expect(codeOf({ endpoint: "0.0.0.0:19100" })).toBe("endpoint-unspecified")
    expect(codeOf({ endpoint: "[::]:19100" })).toBe("endpoint-unspecified")
    expect(codeOf({ endpoint: "0.0.0.0:19100" }, true)).toBe("endpoint-unspecified")
    expect(codeOf({ endpoint: "here" })).toBe("endpoint-invalid")
    expect([codeOf({ endpoint: "127.0.0.1:1" }), codeOf({ endpoint: "127.0.0.1:1" }, true)]).toEqual([
      "endpoint-local",
      undefined
    ])
  })

  test("is of now, to the millisecond, and lasts for a while", () => {
    const at = (time: number) => codeOf({ time, expires: Math.max(time, now) + 1 })
    expect([at(now - discoveryFreshMs), at(now + discoveryFreshMs)]).toStrictEqual([undefined, undefined])
    expect([at(now - discoveryFreshMs - 1), at(now + discoveryFreshMs + 1)]).toEqual([
      "registration-stale",
      "registration-stale"
    ])
    const until = (expires: number) => codeOf({ expires })
    expect([until(now), until(now + 1), until(now + discoveryLifeMsMax)]).toEqual([
      "registration-expiry",
      undefined,
      undefined
    ])
    expect(until(now + discoveryLifeMsMax + 1)).toBe("registration-expiry")
    expect(codeOf({ time: now + 10, expires: now + 5 })).toBe("registration-expiry")
  })
})

describe("a command", () => {
  test("that is none, or has a field more or less, is refused by its code", () => {
    const { peer } = formatCommand({ command: "add", statement: signed() }) as { readonly peer: object }
    const genesis = "07".repeat(32)
    const codes = (...values: ReadonlyArray<unknown>) =>
      values.map((value) => {
        const read = readCommand(value)
        return Result.isFailure(read) ? read.failure : "read"
      })
    expect(codes(undefined, null, 7, "add", [], {}, { command: "steal" }, { command: ["add"] })).toEqual(
      Array.from({ length: 8 }, () => "command-unknown" as const)
    )
    const malformed: ReadonlyArray<unknown> = [
      { command: "add" },
      { command: "add", peer: null },
      { command: "add", peer, more: 1 },
      { command: "add", peer: { ...peer, more: 1 } },
      { command: "add", peer: { ...peer, time: 1.5 } },
      { command: "add", peer: { ...peer, expires: -1 } },
      { command: "add", peer: { ...peer, genesis: genesis.slice(2) } },
      { command: "add", peer: { ...peer, genesis: "AB".repeat(32) } },
      { command: "add", peer: { ...peer, chain_id: "" } },
      { command: "add", peer: { ...peer, endpoint: "a".repeat(129) } },
      { command: "add", peer: { ...peer, id: "n".repeat(91) } },
      { command: "remove", peer_id: "node1x" },
      { command: "get_all" },
      { command: "get_all", genesis, limit: 0 },
      { command: "get_all", genesis, limit: 65 },
      { command: "get_all", genesis, limit: "9" },
      { command: "get_all", genesis, cursor: 7 },
      { command: "get_all", genesis, more: 1 }
    ]
    expect(codes(...malformed)).toEqual(malformed.map(() => "registration-malformed" as const))
  })

  test("made of anything never throws, and never passes the check unless it is the one that was signed", () => {
    const bodies = [
      formatCommand({ command: "add", statement: signed() }),
      formatCommand({ command: "remove", statement: signed({ action: "remove", endpoint: "", expires: now }) })
    ].map((value) => JSON.stringify(value))
    let read = 0
    for (let seed = 0; seed < 4_000; seed++) {
      const dice = makeDice(seed)
      const text = [...dice.pick(bodies)]
      for (let i = 0; i <= dice.int(3); i++)
        text[dice.int(text.length)] = dice.pick([...'0123456789abcdef{}[],:"-é\ud800'])
      const changed = text.join("")
      let value: unknown
      try {
        value = JSON.parse(changed)
      } catch {
        continue
      }
      const command = readCommand(value)
      if (Result.isFailure(command) || command.success.command === "get_all") continue
      read++
      const held = checkStatement(command.success.statement, { now, near: true }) === undefined
      expect([changed, held]).toEqual([changed, bodies.includes(changed)])
    }
    expect(read).toBeGreaterThan(500)
  })
})
