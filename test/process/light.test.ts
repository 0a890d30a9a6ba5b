/** The light client as a user runs it: against nodes that mine, against one that lies, restarted, for people and for programs. */
import { beforeAll, expect, test } from "bun:test"
import { mkdirSync, readFileSync, renameSync, statSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { Effect } from "effect"
import { makeRules } from "../../src/chain/rules.ts"
import { loadSpec, specOf as dataSpec } from "../../src/cli/data-folder.ts"
import { toTarget } from "../../src/consensus/difficulty.ts"
import { makeCertificate } from "../../src/crypto/certificate.ts"
import { call } from "../../src/http/client.ts"
import { bunTcp } from "../../src/io/tcp.ts"
import { openReadonly } from "../../src/store/db.ts"
import { answerLight } from "../../src/store/light.ts"
import { Snapshot } from "../../src/store/snapshot.ts"
import { capabilities, nodeIdOf, SeenNonces } from "../../src/transport/hello.ts"
import { makeNativeChannel } from "../../src/transport/native.ts"
import { keyOf, TestChain } from "../fixtures.ts"
import { until } from "../network.ts"
import { binary, run, type Running, suite } from "./binary.ts"
import { atTerminal } from "./terminal.ts"

const { home, begin } = suite()
const at = (name: string): string => join(home.path, name)
const payee = "crn1qhd5kppc0rh37u6cdxj554pz0wezxvhp45sa769"
const blockCount = 12
let [first, second]: ReadonlyArray<Running> = []
let paid = ""

beforeAll(async () => {
  first = await begin("--dev", "--seal-every", "3600", "--data-dir", at("A"))
  second = await begin("--dev", "--seal-every", "3600", "--data-dir", at("B"), "--p2p-seeds", first.peers)
  const sent = await run("send", "--from", "dev:0", "--to", payee, "--amount", "1.5", "--node", first.http)
  paid = JSON.parse(sent.out).id
  for (let i = 0; i < blockCount; i++) await call(first.http, "mine", { body: {} })
  await until("both have it", async () => (await call(second!.http, "stats")).stats.sync.height === blockCount)
}, 60_000)

const light = async (command: string, ...args: ReadonlyArray<string>) => {
  const ended = await run("light", command, ...args, "--data-dir", at("phone"))
  return {
    code: ended.code,
    told: ended.code === 0 ? JSON.parse(ended.out) : JSON.parse(ended.err.trim().split("\n").at(-1)!).error,
    err: ended.err
  }
}
const peers = (): string => `${first!.peers},${second!.peers}`

test("headers are checked from two peers, kept, and gone on with after a restart", async () => {
  const fresh = await light("sync", "--peer", peers(), "--spec", "dev")
  expect(fresh).toMatchObject({
    code: 0,
    told: { chain: "cairn-dev", height: blockCount, new_headers: blockCount, undone: 0 }
  })
  expect(fresh.told.peers.map(({ state }: { state: string }) => state)).toEqual(["connected", "connected"])
  expect(statSync(at("phone/headers.bin")).size).toBe(blockCount * 212)
  const again = await light("sync", "--peer", peers())
  expect(again.told).toMatchObject({ height: blockCount, new_headers: 0 })
  const bytes = readFileSync(at("phone/headers.bin"))
  writeFileSync(at("phone/headers.bin"), bytes.subarray(0, 5 * 212 + 50))
  expect((await light("sync", "--peer", peers())).told).toMatchObject({
    height: blockCount,
    new_headers: blockCount - 5
  })
}, 60_000)

test("a payment and a balance are proven, and the payment is found without naming the address", async () => {
  const transaction = await light("tx", paid, "--peer", peers())
  expect(transaction.told).toMatchObject({
    kind: "transaction",
    transaction: { id: paid, recipient: payee },
    header: { height: 1, trusted: true },
    confirmations: blockCount
  })
  const { account } = await call(first!.http, "account", { params: { address: payee } })
  const balance = await light("balance", payee, "--peer", peers())
  expect(balance.told).toMatchObject({ account: { balance: account.confirmed_balance, nonce: 0 }, confirmations: 1 })
  const scan = await light("scan", payee, "--peer", peers())
  expect(scan.told).toMatchObject({
    found: [{ height: 1, transaction: { id: paid } }],
    filters: blockCount,
    agreeing_peers: 2
  })
  expect(scan.told.blocks).toBeLessThan(3)
}, 60_000)

test("what cannot be shown ends with its code", async () => {
  const refusal = async (...args: ReadonlyArray<string>): Promise<readonly unknown[]> => {
    const [command, ...rest] = args
    const { code, told } = await light(command!, ...rest)
    return [code, told.code]
  }
  expect(await refusal("tx", "00".repeat(32), "--peer", peers())).toEqual([3, "transaction-not-found"])
  expect(await refusal("tx", payee, "--peer", peers())).toEqual([2, "subject-invalid"])
  expect(await refusal("balance", paid, "--peer", peers())).toEqual([2, "subject-invalid"])
  expect(await refusal("scan", "crn1nobody", "--peer", peers())).toEqual([2, "address-invalid"])
  expect(await refusal("sync", "--peer", "nowhere")).toEqual([2, "endpoint-invalid"])
  expect(await refusal("sync", "--peer", "127.0.0.1:1")).toEqual([4, "unreachable"])
  expect(await refusal("sync", "--peer", peers(), "--spec", "cairn")).toEqual([5, "chain-mismatch"])
}, 60_000)

/** Answers as the first node does, but claims more work and bends a bit of each page of headers. */
const startLiar = (): Promise<{ readonly port: number; readonly close: () => void }> => {
  const rules = makeRules(dataSpec(at("A")))
  const snapshot = new Snapshot(openReadonly(at("A/chain.db")), rules)
  const tls = makeCertificate("liar", { now: Date.now(), serial: new Uint8Array(16).fill(7) })
  const key = keyOf(66)
  const listening = bunTcp.listen({ host: "127.0.0.1", port: 0 }, tls, (wire) => {
    const channel = makeNativeChannel({
      chainId: rules.spec.ledger.chainId,
      genesis: rules.genesis.header.hash,
      key,
      nodeId: nodeIdOf(key.publicKey),
      endpoint: "",
      agent: "liar",
      capabilities: [capabilities.servesLight, capabilities.servesFilters],
      binding: wire.binding,
      nonce: crypto.getRandomValues(new Uint8Array(16)),
      seen: new SeenNonces()
    })
    for (const out of channel.open(Date.now())) if (out._tag === "Send") wire.write(out.bytes)
    return {
      data: (bytes) => {
        for (const out of channel.receive(bytes, Date.now())) {
          if (out._tag === "Opened") {
            const { height, hash } = snapshot.tip().header
            wire.write(
              channel.encode({
                tag: "STS",
                height: height + 1,
                work: toTarget(1n << 60n),
                tip: hash.map((byte) => byte ^ 1)
              })
            )
          }
          if (out._tag !== "Received" || out.message.tag !== "GPH") continue
          const answer = answerLight(snapshot, out.message)
          if (answer.tag === "PHD")
            wire.write(channel.encode({ ...answer, page: answer.page.map((byte, i) => (i === 70 ? byte ^ 1 : byte)) }))
        }
      },
      drained: () => {},
      closed: () => {}
    }
  })
  return Effect.runPromise(listening)
}

test("a peer that lies is dropped with why; alone it ends the command, beside an honest one it does not", async () => {
  const liar = await startLiar()
  const endpoint = `127.0.0.1:${liar.port}`
  mkdirSync(at("fresh"))
  const alone = await run("light", "sync", "--peer", endpoint, "--spec", "dev", "--data-dir", at("fresh"))
  expect([alone.code, JSON.parse(alone.err.trim().split("\n").at(-1)!).error.code]).toEqual([3, "seal-wrong"])
  const beside = await run("light", "sync", "--peer", `${endpoint},${first!.peers}`, "--data-dir", at("fresh"))
  expect(beside.code).toBe(0)
  // If the honest peer was heard first, there are no headers left to bend.
  expect(["seal-wrong", "work-unproven"]).toContain(JSON.parse(beside.err).dropped.code)
  expect(JSON.parse(beside.out)).toMatchObject({
    height: blockCount,
    peers: [{ state: "dropped" }, { state: "connected" }]
  })
  liar.close()
}, 60_000)

test("while many headers are checked it says how far it is, and how long it will take", async () => {
  const chain = new TestChain(loadSpec("dev"), at("A-long.db"))
  chain.store.db.run("PRAGMA synchronous = OFF")
  chain.mine(5_000)
  chain.store.close()
  mkdirSync(at("long"))
  renameSync(at("A-long.db"), at("long/chain.db"))
  writeFileSync(at("long/spec.json"), readFileSync(at("A/spec.json")))
  const node = await begin("--data-dir", at("long"))
  const ended = await run("light", "sync", "--peer", node.peers, "--spec", "dev", "--data-dir", at("far"))
  expect(JSON.parse(ended.out)).toMatchObject({ height: 5_000, new_headers: 5_000 })
  expect(JSON.parse(ended.err.split("\n")[0]!)).toMatchObject({ headers: 2_000, of: 5_000, eta_ms: expect.any(Number) })
}, 60_000)

test("follow shows each new tip until it is told to stop", async () => {
  const child = Bun.spawn([binary, "light", "follow", "--peer", peers(), "--data-dir", at("phone")], {
    stdin: "ignore",
    stdout: "pipe",
    stderr: "inherit"
  })
  let text = ""
  const reader = child.stdout.getReader()
  const heights = (): ReadonlyArray<number> =>
    text
      .trim()
      .split("\n")
      .filter((line) => line !== "")
      .map((line) => JSON.parse(line).height)
  const read = async (height: number): Promise<void> =>
    until(`height ${height} is shown`, async () => {
      if (!heights().includes(height)) text += new TextDecoder().decode((await reader.read()).value)
      return heights().includes(height)
    })
  await read(blockCount)
  await call(second!.http, "mine", { body: {} })
  await read(blockCount + 1)
  child.kill("SIGTERM")
  expect(await child.exited).toBe(0)
}, 60_000)

test("on a terminal it speaks to people", async () => {
  const args = ["light", "balance", payee, "--peer", first!.peers, "--data-dir", at("phone")]
  const { text, code } = await atTerminal([binary, ...args])
  expect(code).toBe(0)
  for (const words of ["base units", "tip is", "old", "One peer can withhold blocks"]) expect(text).toContain(words)
}, 60_000)
