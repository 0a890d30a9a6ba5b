/** The routes of ccoin over a whole node, without a socket: shapes as its pages show them, refusals, and who may spend. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test"
import { Context, Effect, Result } from "effect"
import type { Hono } from "hono"
import { keyOf, transfer } from "../../test/fixtures.ts"
import { startNode, type TestNode } from "../../test/network.ts"
import { readCcoin } from "../block/ccoin.ts"
import { type ChainSpec, specHash } from "../block/genesis.ts"
import { toHex, utf8 } from "../codec/bytes.ts"
import { formatAddress } from "../crypto/address.ts"
import { sha256 } from "../crypto/hash.ts"
import { formatTransfer } from "../ledger/transfer-text.ts"
import type { NodeShape } from "../node/node.ts"
import { makeDice } from "../sim/dice.ts"
import { makeApp } from "../http/app.ts"
import { makeCompat } from "./compat.ts"
import type { Spenders } from "./ccoin.ts"

const old = (i: number): string => String(i).repeat(40)
const addressOf = (i: number): string => formatAddress(keyOf(i).address, "ccoin")
const [sender, friend, proposer] = [addressOf(0), addressOf(1), addressOf(900)]
const reading = Result.getOrThrow(
  readCcoin(
    { network_id: 1, miners: [old(9)], alloc: { [old(1)]: { balance: 1_000, nonce: 6 }, [old(2)]: { balance: 40 } } },
    new Map([
      [old(1), sender],
      [old(2), friend],
      [old(9), proposer]
    ])
  )
)
const { authority: _, ...rest } = reading.spec
/** Four bits of work in place of authorities: what is asked here is the same. */
const spec: ChainSpec = {
  ...rest,
  difficulty: { rule: "fixed", blockMs: 1000, bits: 4 },
  time: { medianBlocks: 1, futureMsMax: 7_200_000 }
}
const token = "12".repeat(32)
const spenders: Spenders = (address) =>
  address === sender
    ? { tokenHash: sha256(utf8(token)), unlock: async (given) => (given === token ? keyOf(0) : undefined) }
    : undefined

let node: TestNode
let app: Hono
const appOf = (shape: NodeShape, owners: Spenders = spenders): Hono => {
  const context = Context.empty()
  const session = { secret: "ab".repeat(32), file: "session.token", port: 80, hosts: [] }
  const wallet = keyOf(900)
  const random = makeDice(5).bytes
  const options = {
    system: "ccoin",
    node: shape,
    context,
    wallet,
    session,
    actsOnGet: false,
    random,
    spenders: owners
  } as const
  return makeApp({
    node: shape,
    context,
    adminToken: undefined,
    page: new Map(),
    hosts: ["localhost"],
    compat: makeCompat(options)
  })
}
beforeAll(async () => {
  node = await startNode({ spec, key: 900 })
  app = appOf(node.tree.node)
})
afterAll(() => node.stop())

const ask = (method: string, path: string, body?: unknown, bearer?: string, at = app): Promise<Response> => {
  const headers: Record<string, string> = { host: "localhost" }
  if (bearer !== undefined) headers["authorization"] = `Bearer ${bearer}`
  const init: RequestInit = { method, headers }
  if (body !== undefined) {
    headers["content-type"] = "application/json"
    init.body = typeof body === "string" ? body : JSON.stringify(body)
  }
  return Promise.resolve(at.fetch(new Request(`http://localhost${path}`, init), { remote: "10.1.1.1" }))
}
const get = async <A>(path: string): Promise<A> => (await (await ask("GET", path)).json()) as A
const spend = (body: unknown, bearer: string | undefined = token) => ask("POST", `/${sender}/txn/`, body, bearer)
const codeOf = async (response: Promise<Response>): Promise<string> => {
  const answer = await response
  if (answer.ok) return String(answer.status)
  expect(answer.headers.get("content-type")).toBe("application/problem+json")
  return `${answer.status} ${((await answer.json()) as { code: string }).code}`
}
const mine = () => Effect.runPromise(node.tree.node.mine(undefined))

interface Sent {
  readonly id: string
  readonly number: number
  readonly from: string
  readonly to: string
  readonly time: number
  readonly amount: number
  readonly data: string
  readonly signature: string
}
interface Shown {
  readonly number: number
  readonly body: ReadonlyArray<Sent>
  readonly data: string
  readonly id: string
  readonly state: Readonly<
    Record<string, { readonly address: string; readonly nonce: number; readonly balance: number }>
  >
}
const block = (n: number): Promise<Shown> => get(`/${friend}/blk/${n}/`)
const held = ({ state }: Shown) =>
  Object.fromEntries(Object.entries(state).map(([a, { balance, nonce }]) => [a, [balance, nonce]]))

describe("ccoin", () => {
  test("answers its five routes in its shapes", async () => {
    expect(await get<unknown>(`/${sender}/`)).toEqual({ peers: 0 })
    expect(await get<unknown>(`/${sender}/blk/cnt/`)).toBe(1)
    const sent = (await (await spend({ sendto_address: friend, amount: 200, data: "hello world!" })).json()) as Sent
    expect(sent).toEqual({
      id: expect.stringMatching(/^[0-9a-f]{64}$/) as unknown as string,
      number: 7,
      from: toHex(keyOf(0).publicKey),
      to: friend,
      time: expect.any(Number) as unknown as number,
      amount: 200,
      data: "hello world!",
      signature: expect.any(String) as unknown as string
    })
    expect(Buffer.from(sent.signature, "base64").length).toBe(64)
    await mine()
    expect(await get<unknown>(`/${friend}/blk/cnt`)).toBe(2)
    expect(await (await ask("POST", `/${sender}/txn/${sent.id}/`, { block_number: 2 })).json()).toEqual(sent)
    const { header } = node.store.tip()
    const shown = await block(2)
    expect(shown as unknown).toEqual({
      number: 2,
      hash_parent: toHex(header.previous),
      body: [sent],
      nonce: header.nonce,
      data: expect.stringMatching(/^[A-Za-z0-9]{15}$/),
      id: header.id,
      difficulty: 1,
      hash_state: toHex(header.stateRoot),
      hash_txns: toHex(header.transactionRoot),
      reward: 100,
      time: header.time / 1000,
      coinbase: proposer,
      state: {
        [sender]: { address: sender, nonce: 7, balance: 800 },
        [friend]: { address: friend, nonce: 0, balance: 240 },
        [proposer]: { address: proposer, nonce: 0, balance: 100 }
      }
    })
    const first = await block(1)
    expect([first.number, held(first)]).toEqual([1, { [sender]: [1_000, 6], [friend]: [40, 0] }])
    expect(sha256(utf8(first.data))).toEqual(specHash(spec))
  })

  test("fills in data where the sender names none, in the form that the genesis says", async () => {
    const sent = (await (await spend({ sendto_address: toHex(keyOf(1).publicKey), amount: 1 })).json()) as Sent
    expect([sent.to, sent.number]).toEqual([friend, 8])
    expect(sent.data).toMatch(/^[A-Za-z0-9]{15}$/)
    const none = (await (await spend({ sendto_address: friend, amount: 1, data: null })).json()) as Sent
    expect(none.data).not.toBe(sent.data)
    const empty = (await (await spend({ sendto_address: friend, amount: 1, data: "" })).json()) as Sent
    expect(empty.data).toMatch(/^[A-Za-z0-9]{15}$/)
    const info = await get<{ meta: { data_filler: unknown } }>("/api/info")
    expect(info.meta.data_filler).toEqual({ rule: "random", characters: 15 })
    await mine()
  })

  test("shows data as text, and what is no text in hex; it is what is signed, and no note", async () => {
    const { nonce } = (await block(await get<number>(`/${sender}/blk/cnt/`))).state[sender]!
    const data = Uint8Array.of(255, 0)
    const made = transfer({ from: 0, to: 1, nonce: nonce + 1, fee: 0, chainId: "ccoin-1", time: Date.now(), data })
    expect(await codeOf(ask("POST", "/api/transactions", formatTransfer(made, "ccoin")))).toBe("201")
    const look = async (id: string) => (await (await ask("POST", `/${sender}/txn/${id}/`, {})).json()) as Sent
    expect((await look(toHex(made.id))).data).toBe("ff00")
    const { id } = (await (await spend({ sendto_address: friend, amount: 1, data: "größer" })).json()) as Sent
    const native = await get<{ transaction: { data: string; note: string } }>(`/api/transactions/${id}`)
    expect([native.transaction.data, native.transaction.note]).toEqual([toHex(utf8("größer")), ""])
    await mine()
    expect((await block(await get<number>(`/${sender}/blk/cnt/`))).body.map((sent) => sent.data)).toEqual([
      "ff00",
      "größer"
    ])
  })

  test("tells the state of each block: what all blocks up to it make", async () => {
    const sums = [{ [sender]: [1_000, 6], [friend]: [40, 0] }] as Array<Record<string, [number, number]>>
    for (let i = 0; i < 3; i++) {
      for (let k = 0; k <= i; k++)
        expect(await codeOf(spend({ sendto_address: addressOf(20 + i), amount: 2 }))).toBe("200")
      await mine()
    }
    const count = await get<number>(`/${sender}/blk/cnt/`)
    for (let n = 2; n <= count; n++) {
      const next = structuredClone(sums.at(-1)!)
      const at = (address: string) => (next[address] ??= [0, 0])
      for (const { to, amount } of (await block(n)).body) {
        at(sender)[0] -= amount
        at(sender)[1] += 1
        at(to)[0] += amount
      }
      at(proposer)[0] += 100
      sums.push(next)
    }
    for (let n = 1; n <= count; n++) expect(held(await block(n))).toEqual(sums[n - 1]!)
    expect(count).toBe(7)
  })

  test("spends the nonces one after the other, however many ask at once", async () => {
    const { number } = (await (await spend({ sendto_address: friend, amount: 1 })).json()) as Sent
    const all = await Promise.all(Array.from({ length: 8 }, () => spend({ sendto_address: friend, amount: 1 })))
    const numbers = await Promise.all(all.map(async (one) => ((await one.json()) as Sent).number))
    expect(numbers.toSorted((a, b) => a - b)).toEqual(Array.from({ length: 8 }, (_, i) => number + 1 + i))
    await mine()
  })
})

describe("ccoin refuses", () => {
  test("to spend without the account's token, or of an account whose key is not here", async () => {
    const body = { sendto_address: friend, amount: 1 }
    const before = await get<Shown>(`/${sender}/blk/cnt/`)
    const bare = await ask("POST", `/${sender}/txn/`, body)
    expect([bare.status, bare.headers.get("www-authenticate")]).toEqual([401, "Bearer"])
    expect(await codeOf(ask("POST", `/${sender}/txn/`, body))).toBe("401 account-token-required")
    for (const wrong of ["", token.slice(2), `${token}0`, token.toUpperCase().replace("1", "2"), "ab".repeat(32)])
      expect(await codeOf(spend(body, wrong))).toBe(
        wrong === "" ? "401 account-token-required" : "403 account-token-wrong"
      )
    expect(await codeOf(ask("POST", `/${friend}/txn/`, body, token))).toBe("403 account-token-wrong")
    const locked: Spenders = () => ({ tokenHash: sha256(utf8(token)), unlock: async () => undefined })
    const shut = appOf(node.tree.node, locked)
    expect(await codeOf(ask("POST", `/${sender}/txn/`, body, token, shut))).toBe("403 account-token-wrong")
    const ajar: Spenders = () => ({ tokenHash: sha256(utf8("other")), unlock: async () => keyOf(0) })
    const loose = appOf(node.tree.node, ajar)
    expect(await codeOf(ask("POST", `/${sender}/txn/`, body, token, loose))).toBe("403 account-token-wrong")
    const nobody = appOf(node.tree.node, () => undefined)
    expect(await codeOf(ask("POST", `/${sender}/txn/`, body, token, nobody))).toBe("403 account-token-wrong")
    expect((await Effect.runPromise(node.tree.node.stats())).pendingTransactions).toBe(0)
    expect(await get<unknown>(`/${sender}/blk/cnt/`)).toEqual(before)
  })

  test.each([
    [{ amount: -40 }, "400 amount-invalid"],
    [{ amount: 0 }, "400 amount-invalid"],
    [{ amount: 1.5 }, "400 amount-invalid"],
    [{ amount: 2 ** 53 }, "400 amount-invalid"],
    [{ amount: 1e300 }, "400 amount-invalid"],
    [{ amount: "5" }, "400 body-invalid"],
    [{ amount: null }, "400 body-invalid"],
    [{ amount: 100_000 }, "400 balance-too-low"],
    [{ sendto_address: sender }, "400 recipient-is-sender"],
    [{ sendto_address: "me" }, "400 address-invalid"],
    [{ sendto_address: "2d2d2d2d2d424547494e205055424c4943204b45592d2d2d2d2d0a" }, "400 address-invalid"],
    [{ data: "x".repeat(513) }, "400 data-too-long"],
    [{ data: "é".repeat(257) }, "400 data-too-long"],
    [{ data: 5 }, "400 body-invalid"],
    [{ more: 1 }, "400 body-invalid"]
  ])("%j (defect 13)", async (changes, code) => {
    const before = held(await block(await get<number>(`/${sender}/blk/cnt/`)))
    expect(await codeOf(spend({ sendto_address: friend, amount: 1, ...changes }))).toBe(code)
    expect((await Effect.runPromise(node.tree.node.stats())).pendingTransactions).toBe(0)
    expect(held(await block(await get<number>(`/${sender}/blk/cnt/`)))).toEqual(before)
  })

  test("by the node's own routes, too: a nonce that is equal or lower, and one after a gap is not mined (defect 15)", async () => {
    await mine()
    const { nonce, balance } = (await block(await get<number>(`/${sender}/blk/cnt/`))).state[sender]!
    const submit = (wish: { nonce: number; amount?: number; data?: Uint8Array }, fields: object = {}) => {
      const time = Date.now()
      const made = transfer({ from: 0, to: 1, fee: 0, chainId: "ccoin-1", time, data: utf8("own"), ...wish })
      return codeOf(ask("POST", "/api/transactions", { ...formatTransfer(made, "ccoin"), ...fields }))
    }
    expect(await submit({ nonce: nonce + 1, data: new Uint8Array(0) })).toBe("400 data-missing")
    expect(await submit({ nonce })).toBe("409 nonce-too-low")
    expect(await submit({ nonce: nonce - 1 })).toBe("409 nonce-too-low")
    expect(await submit({ nonce: nonce + 77 })).toBe("400 nonce-too-high")
    for (const amount of [-40, 0, 1.5, 2 ** 60])
      expect(await submit({ nonce: nonce + 1 }, { id: undefined, amount })).toBe("400 amount-invalid")
    expect(await submit({ nonce: nonce + 1, amount: balance + 1 })).toBe("400 balance-too-low")
    expect((await Effect.runPromise(node.tree.node.stats())).pendingTransactions).toBe(0)
    expect(await submit({ nonce: nonce + 2 })).toBe("201")
    await mine()
    const late = await block(await get<number>(`/${sender}/blk/cnt/`))
    expect([late.body, late.state[sender]!.nonce]).toEqual([[], nonce])
    expect(await submit({ nonce: nonce + 1 })).toBe("201")
    await mine()
    const both = await block(await get<number>(`/${sender}/blk/cnt/`))
    expect([both.body.map(({ number }) => number), both.state[sender]!.nonce]).toEqual([
      [nonce + 1, nonce + 2],
      nonce + 2
    ])
  })

  test("bodies that are no JSON, with a code and never a page of errors", async () => {
    expect(await codeOf(spend('{"amount": 1, "sendto_address": "\\ud800", "data": "\\ud800"}'))).toBe(
      "400 address-invalid"
    )
    expect(await codeOf(spend(`{"amount": 1, "sendto_address": "${friend}", "data": "\\ud800"}`))).toBe(
      "400 body-invalid"
    )
    for (const body of ["", "{", "nonsense", "\u0000"]) expect(await codeOf(spend(body))).toBe("400 json-invalid")
    for (const body of ["[]", "null", "3"]) expect(await codeOf(spend(body))).toBe("400 body-invalid")
    const dice = makeDice(11)
    for (let i = 0; i < 200; i++) {
      const bytes = dice.mutate(utf8(JSON.stringify({ sendto_address: friend, amount: -3, data: "x" })))
      const text = new TextDecoder().decode(bytes)
      expect(await codeOf(spend(text))).toMatch(/^(200$|400 |413 )/)
    }
  })

  test("what is not there: 404 and a code, never null", async () => {
    const id = (await block(2)).body[0]!.id
    const look = (which: string, body: unknown) => codeOf(ask("POST", `/${sender}/txn/${which}/`, body))
    expect(await look(id, {})).toBe("200")
    expect(await look(id, { block_number: 3 })).toBe("404 transaction-not-found")
    expect(await look("0".repeat(64), { block_number: 2 })).toBe("404 transaction-not-found")
    expect(await look("zz", { block_number: 2 })).toBe("404 transaction-not-found")
    expect(await look(id, { block_number: "2" })).toBe("400 body-invalid")
    for (const n of ["0", "99", "-1", "1.5", "x", "9".repeat(30)])
      expect(await codeOf(ask("GET", `/${sender}/blk/${n}/`))).toBe("404 block-not-found")
    expect(await codeOf(ask("GET", `/${sender.slice(0, -1)}q/blk/1/`))).toBe("400 address-invalid")
    expect(await codeOf(ask("GET", `/${sender}/other/`))).toBe("404 route-not-found")
    expect(await codeOf(ask("GET", `/${sender}/txn/`))).toBe("405 method-not-allowed")
  })

  test("a state that is too far back, of another branch by now, or larger than an answer", async () => {
    const shape = node.tree.node
    const stateOf = (stateAt: unknown): Promise<string> =>
      codeOf(ask("GET", `/${sender}/blk/1/`, undefined, undefined, appOf({ ...shape, stateAt } as NodeShape)))
    for (const [absence, code] of [
      ["state-too-old", "410 state-too-old"],
      ["state-moved", "503 busy"],
      ["block-not-found", "503 busy"]
    ] as const)
      expect(await stateOf(() => Effect.succeed(absence))).toBe(code)
    const header = (await Effect.runPromise(shape.blockAt(1)))!.block.header
    expect(await stateOf(() => Effect.succeed({ header, rows: [], next: undefined }))).toBe("503 busy")
    const { header: first } = (await Effect.runPromise(shape.blockAt(0)))!.block
    const rows = (pages: number) => {
      let page = 0
      return () =>
        Effect.sync(() => {
          const at = 256 * page++
          const keys = Array.from({ length: 256 }, (_, i) => (at + i).toString(16).padStart(40, "0"))
          const value = new Uint8Array(16)
          return { header: first, rows: keys.map((key) => ({ key, value })), next: page < pages ? "on" : undefined }
        })
    }
    expect(await stateOf(rows(16))).toBe("200")
    expect(await stateOf(rows(17))).toBe("400 state-too-large")
  })
})
