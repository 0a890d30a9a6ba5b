/** What nodes say of themselves by HTTP: only the node itself can, once, and nothing that only others can see. */
import { describe, expect, test } from "bun:test"
import { Result } from "effect"
import { keyOf } from "../../test/fixtures.ts"
import { toHex } from "../codec/bytes.ts"
import { discoveryFreshMs, peerWordsMax } from "../limits.ts"
import { makeDice } from "../sim/dice.ts"
import { formatPeerWord, HeardWords, makePeerWord, type PeerWords, readPeerWord } from "./peer-word.ts"

const now = 1_795_219_200_000
const genesis = new Uint8Array(32).fill(7)
const words = (wish: Partial<PeerWords> = {}): PeerWords => ({
  kind: "update",
  chainId: "cairn-dev",
  genesis,
  endpoint: "192.0.2.7:19100",
  nodeUrl: "https://a.example/cairn",
  gossipEndpoint: "",
  height: 12,
  work: 2n ** 200n,
  error: "",
  time: now,
  nonce: new Uint8Array(16).fill(9),
  ...wish
})
const said = (wish: Partial<PeerWords> = {}, key = 1) => makePeerWord(words(wish), keyOf(key))
const carried = (word: ReturnType<typeof said>) => JSON.parse(JSON.stringify(formatPeerWord(word))) as object
const isUrl = (text: string): boolean => text.startsWith("https://")
const ears = (): HeardWords => new HeardWords({ chainId: "cairn-dev", genesis })
const codeOf = (wish: Partial<PeerWords>) => ears().hear(said(wish), now, isUrl)

describe("a word", () => {
  test("travels as it is, and is heard", () => {
    for (const word of [said(), said({ kind: "failure", error: "no route", nodeUrl: "", endpoint: "[::1]:9" })]) {
      expect(readPeerWord(carried(word), word.kind)).toEqual(Result.succeed(word))
      expect(ears().hear(word, now, isUrl)).toBeUndefined()
    }
  })

  test("is broken by any change of any part, and as another's", () => {
    const changes: Readonly<Record<string, unknown>> = {
      source_peer: said({}, 2).nodeId,
      chain_id: "cairn-devx",
      genesis: "08".repeat(32),
      public_key: toHex(said({}, 2).publicKey),
      p2p_endpoint: "192.0.2.8:19100",
      node_url: "https://b.example",
      gossip_endpoint: "192.0.2.8:1",
      last_advertised_height: 13,
      last_cumulative_work: "7",
      error: "another",
      time: now + 1,
      nonce: "0a".repeat(16),
      signature: toHex(said({}, 2).signature)
    }
    const whole = carried(said({ kind: "failure", error: "one" }))
    expect(Object.keys(changes).sort()).toEqual(Object.keys(whole).sort())
    for (const [name, value] of Object.entries(changes)) {
      const read = readPeerWord({ ...whole, [name]: value }, "failure")
      const heard = Result.isFailure(read) ? read.failure : ears().hear(read.success, now, isUrl)
      expect([name, heard === undefined]).toEqual([name, false])
    }
  })

  test("has its own bytes for an update and for a failure", () => {
    const { error: _, ...failure } = carried(said({ kind: "failure" })) as Record<string, unknown>
    const read = readPeerWord(failure, "update")
    expect(Result.isSuccess(read) && ears().hear(read.success, now, isUrl)).toBe("peer-word-signature")
  })

  test("of what only others can see is refused, however well it is signed", () => {
    for (const name of ["remote_ip", "network_address", "network_group", "tls_enabled", "tls_cert_fingerprint"])
      for (const value of ["203.0.113.9", "", null, true])
        expect(readPeerWord({ ...carried(said()), [name]: value }, "update")).toEqual(
          Result.fail("observation-refused")
        )
  })

  test("with a field too many, too few, or of another form is none", () => {
    const whole = carried(said()) as Record<string, unknown>
    const odd = [7, null, "", [], -1, 1.5, 2 ** 60, "x".repeat(300), {}, "zz".repeat(33)]
    for (const name of Object.keys(whole)) {
      const { [name]: _, ...less } = whole
      expect(readPeerWord(less, "update")).toEqual(Result.fail("peer-word-malformed"))
      for (const value of odd.filter((one) => one !== whole[name])) {
        const read = readPeerWord({ ...whole, [name]: value }, "update")
        if (Result.isSuccess(read))
          expect([name, ears().hear(read.success, now, isUrl)]).not.toStrictEqual([name, undefined])
      }
    }
    expect(readPeerWord({ ...whole, peers: [] }, "update")).toEqual(Result.fail("peer-word-malformed"))
    for (const value of odd) expect(Result.isFailure(readPeerWord(value, "update"))).toBe(true)
  })

  test("is refused by the code of what is wrong", () => {
    expect(codeOf({ chainId: "other" })).toBe("chain-mismatch")
    expect(codeOf({ genesis: new Uint8Array(32) })).toBe("chain-mismatch")
    expect(codeOf({ endpoint: "nowhere" })).toBe("endpoint-invalid")
    expect(codeOf({ gossipEndpoint: "1.2.3.4:0" })).toBe("endpoint-invalid")
    expect(codeOf({ nodeUrl: "file:///etc/passwd" })).toBe("endpoint-invalid")
    expect(codeOf({ time: now - discoveryFreshMs - 1 })).toBe("peer-word-stale")
    expect(codeOf({ time: now + discoveryFreshMs + 1 })).toBe("peer-word-stale")
    expect(codeOf({ time: now - discoveryFreshMs })).toBeUndefined()
    expect(ears().hear({ ...said(), nodeId: said({}, 2).nodeId }, now, isUrl)).toBe("node-id-mismatch")
  })
})

test("whatever order words come in, no node is heard twice at a time or before it, also when it was forgotten", () => {
  for (let seed = 0; seed < 20; seed++) {
    const dice = makeDice(seed)
    const heard = ears()
    const newest = new Map<number, number>()
    for (let i = 0; i < 60; i++) {
      const [key, time] = [dice.int(4), now + dice.int(40)]
      const isNew = time > (newest.get(key) ?? 0)
      expect(heard.hear(said({ time }, key), now, isUrl)).toBe(isNew ? undefined : "peer-word-replayed")
      if (isNew) newest.set(key, time)
    }
  }
})

test("memory is bounded, and what was forgotten cannot be replayed", () => {
  const heard = ears()
  const first = said({ time: now }, 1)
  expect(heard.hear(first, now, isUrl)).toBeUndefined()
  for (let i = 0; i < peerWordsMax; i++)
    expect(heard.hear(said({ time: now + 1 }, 1_000 + i), now, isUrl)).toBeUndefined()
  expect(heard.size).toBe(peerWordsMax)
  expect(heard.hear(first, now, isUrl)).toBe("peer-word-replayed")
  expect(heard.hear(said({ time: now + 2 }, 1), now, isUrl)).toBeUndefined()
})

test("noise never throws", () => {
  const whole = JSON.stringify(carried(said()))
  for (let seed = 0; seed < 500; seed++) {
    const dice = makeDice(seed)
    const at = dice.int(whole.length)
    const text = `${whole.slice(0, at)}${String.fromCharCode(32 + dice.int(95))}${whole.slice(at + dice.int(3))}`
    let value: unknown
    try {
      value = JSON.parse(text)
    } catch {
      value = text
    }
    const read = readPeerWord(value, "update")
    if (Result.isSuccess(read) && JSON.stringify(value) !== whole)
      expect(ears().hear(read.success, now, isUrl)).toBeDefined()
  }
})
