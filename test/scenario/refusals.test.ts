/** Every reason for which the reference system refuses a transaction (L-T9), over real sockets: each has a stable code here. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test"
import { Effect } from "effect"
import { pendingTransactionsMax } from "../../src/limits.ts"
import { addressOf, serveNode, type Served, signed } from "../door.ts"
import type { transfer } from "../fixtures.ts"

let door: Served
beforeAll(async () => {
  door = await serveNode()
  // The first nonce of the sender is used.
  expect((await door.post("/api/transactions", signed(1))).status).toBe(201)
  await Effect.runPromise(door.node.tree.node.mine(undefined))
})
afterAll(() => door.stop())

describe("their refusals of a transaction (L-T9) have codes", () => {
  const good = (wish?: Partial<Parameters<typeof transfer>[0]>) => {
    const { id: _, ...fields } = signed(2, wish)
    return fields
  }
  const without = (name: string) => Object.fromEntries(Object.entries(good()).filter(([key]) => key !== name))
  const table: ReadonlyArray<readonly [string, number, string, () => ReadonlyArray<unknown>]> = [
    ["transaction must be an object", 400, "transaction-malformed", () => [[], 7, '"x"', "null", [good()]]],
    [
      "unsupported transaction kind",
      400,
      "transaction-malformed",
      () => [
        { ...good(), kind: "stake" },
        { ...good(), kind: "" }
      ]
    ],
    [
      "amount must be a positive number",
      400,
      "amount-invalid",
      () => [0, -1, 1.5, "5", null, 2 ** 53].map((amount) => ({ ...good(), amount }))
    ],
    [
      "fee must be zero or a positive number",
      400,
      "amount-invalid",
      () => [-1, 0.01, "1"].map((fee) => ({ ...good(), fee }))
    ],
    ["fee must be at least X", 400, "fee-too-low", () => [good({ fee: 0 })]],
    [
      "sender must be a valid address",
      400,
      "transaction-malformed",
      () => ["alice", "", 7].map((sender) => ({ ...good(), sender }))
    ],
    [
      "nonce must be a positive integer",
      400,
      "transaction-malformed",
      () => [-1, 1.5, "1"].map((nonce) => ({ ...good(), nonce }))
    ],
    ["public key is required", 400, "transaction-malformed", () => [without("public_key")]],
    [
      "public key is invalid",
      400,
      "public-key-invalid",
      () => [{ ...good(), public_key: "-----BEGIN PUBLIC KEY-----" }]
    ],
    ["signature is required", 400, "transaction-malformed", () => [without("signature")]],
    ["signature is not valid base64", 400, "signature-invalid", () => [{ ...good(), signature: "MEUCIQ==" }]],
    [
      "signature verification failed",
      400,
      "signature-invalid",
      () => [
        { ...good(), amount: 11 },
        { ...good(), signature: "00".repeat(64) }
      ]
    ],
    [
      "sender address does not match the supplied public key",
      400,
      "sender-mismatch",
      () => [{ ...good(), sender: addressOf(3) }]
    ],
    [
      "recipient must be a valid address",
      400,
      "transaction-malformed",
      () => ["bob", "lbc_00112233"].map((recipient) => ({ ...good(), recipient }))
    ],
    ["note exceeds max length of N bytes", 400, "note-too-long", () => [{ ...good(), note: "é".repeat(141) }]],
    [
      "transaction id does not match the signed payload",
      400,
      "transaction-malformed",
      () => [{ ...good(), id: "00".repeat(32) }]
    ],
    ["expected nonce N for A (used)", 409, "nonce-too-low", () => [signed(1, { amount: 12 })]],
    ["expected nonce N for A (too far)", 400, "nonce-too-high", () => [signed(99)]],
    ["insufficient balance for A", 400, "balance-too-low", () => [signed(2, { amount: 9_000_000_000 })]],
    [
      "only signed transfer transactions can be queued",
      400,
      "transaction-malformed",
      () => [{ ...good(), kind: "reward", sender: "NETWORK" }]
    ]
  ]

  test.each(table)("%s: %d %s", async (_, status, code, bodies) => {
    for (const body of bodies()) {
      const answer = await door.post("/api/transactions", body)
      const { code: got } = (await answer.json()) as { code: string }
      expect([JSON.stringify(body), answer.status, got]).toEqual([JSON.stringify(body), status, code])
    }
  })

  const codeOf = async (answer: Response): Promise<readonly [number, string]> => [
    answer.status,
    ((await answer.json()) as { code: string }).code
  ]

  test("transaction already exists: 409, pending or in a block", async () => {
    const mine = signed(2, { note: "once" })
    expect((await door.post("/api/transactions", mine)).status).toBe(201)
    expect(await codeOf(await door.post("/api/transactions", mine))).toEqual([409, "already-pending"])
    await Effect.runPromise(door.node.tree.node.mine(undefined))
    expect(await codeOf(await door.post("/api/transactions", mine))).toEqual([409, "already-confirmed"])
  })

  test("pending transaction pool is full: 503 with when to come again; local chain is invalid: not ready, and why", async () => {
    const squeeze = 50
    const small = await serveNode({ squeeze })
    try {
      for (let nonce = 1; nonce <= Math.floor(pendingTransactionsMax / squeeze ** 2); nonce++)
        expect((await small.post("/api/transactions", signed(nonce))).status).toBe(201)
      const full = await small.post("/api/transactions", signed(1, { from: 2 }))
      expect([full.headers.get("retry-after"), ...(await codeOf(full))]).toEqual(["10", 503, "pool-full"])
      small.node.store.db.run("DELETE FROM pages")
      const unready = await fetch(`${small.url}/api/ready`)
      const { errors } = (await unready.json()) as { errors: ReadonlyArray<{ code: string }> }
      expect([unready.status, errors.map(({ code }) => code)]).toEqual([503, ["store-inconsistent"]])
    } finally {
      await small.stop()
    }
  })
})
