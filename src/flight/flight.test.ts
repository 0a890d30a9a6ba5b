/**
 * Whole actors, recorded and run again: over a real store, on a machine whose time passes as the test says. With real
 * sockets, threads and kill -9: test/process/flight.test.ts.
 */
import { afterAll, describe, expect, test } from "bun:test"
import { Database } from "bun:sqlite"
import { copyFileSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { Effect, Fiber } from "effect"
import { keyOf, payment, specOf, TestChain, transfer } from "../../test/fixtures.ts"
import { honestNode } from "../../test/raw-node.ts"
import { endAll, record, type Recorded, root, started } from "../../test/recorded.ts"
import { toHex } from "../codec/bytes.ts"
import { allocationId } from "../ledger/coin.ts"
import { CallFault } from "../io/call-node.ts"
import { FetchFault } from "../io/fetch.ts"
import type { NodeEvent } from "../node/node.ts"
import type { Entry } from "./entry.ts"
import { findEpochs, readEpoch } from "./epoch.ts"
import { JournalReader, JournalWriter, segmentPath } from "./journal.ts"
import { replayEpoch, type ReplayOptions } from "./replay.ts"

afterAll(endAll)

const run = <A, E>(effect: Effect.Effect<A, E>): Promise<A> => Effect.runPromise(effect)
const pay = (nonce: number, amount = 10) => transfer({ from: 0, to: 1, nonce, amount, time: started })

/** Some of everything that callers ask. */
const useNode = async ({ tree: { node } }: Recorded): Promise<void> => {
  for (let nonce = 1; nonce <= 3; nonce++) await run(node.submit(pay(nonce)))
  await run(Effect.flip(node.submit(pay(1))))
  await run(node.mine(undefined))
  await run(node.mine(keyOf(5).address))
  await run(node.account(keyOf(1).address))
  await run(node.accounts(undefined, 2))
  await run(node.pending(undefined, 10))
  await run(node.transaction(pay(1).id))
  await run(node.setMining(false))
  const { block } = (await run(node.blockAt(1)))!
  expect(await run(node.offerBlock(block))).toBe("known")
  expect(await run(node.addPeer("127.0.0.1:9"))).toBe("added")
  await run(Effect.flip(node.vote("admit", keyOf(5).address)))
  await run(node.peers())
  await run(node.stats())
  expect((await run(node.ready())).ready).toBe(true)
}

const replayAll = async (folder: string, options: ReplayOptions = {}) => {
  const verdicts = []
  for (const epoch of findEpochs(folder)) verdicts.push(await replayEpoch(readEpoch(epoch), options))
  return verdicts
}
const replayOne = async (folder: string, options: ReplayOptions = {}) => (await replayAll(folder, options))[0]!

const entriesOf = (epoch: string): ReadonlyArray<Entry> => {
  const reader = new JournalReader(epoch)
  const entries: Array<Entry> = []
  for (let entry = reader.next(); entry !== undefined; entry = reader.next()) entries.push(entry)
  return entries
}

const rewrite = (epoch: string, entries: ReadonlyArray<Entry>): void => {
  for (const name of readdirSync(epoch)) if (name.endsWith(".log")) rmSync(join(epoch, name))
  const writer = new JournalWriter({ folder: epoch, bytesMax: 1e9, onFault: () => {} })
  for (const entry of entries) writer.append(entry)
  writer.close()
}

describe("a recorded node", () => {
  test("of a chain of coins runs again, whatever was asked about coins", async () => {
    const recorded = await record({ model: "utxo" })
    const { node } = recorded.tree
    const [first, second] = [0, 1].map((index) => ({ id: allocationId("test"), index }))
    const spent = payment({
      inputs: [first!],
      outputs: [
        [1, 90],
        [0, 999_999_900]
      ],
      by: [0]
    })
    await run(node.submit(spent))
    await run(
      node.submit(payment({ inputs: [{ id: spent.id, index: 0 }, second!], outputs: [[2, 1_000_000_080]], by: [1] }))
    )
    const asked = async (): Promise<ReadonlyArray<unknown>> => {
      const page = await run(node.coins(keyOf(0).address, undefined, 1))
      const coins = await Promise.all([first!, { id: spent.id, index: 1 }].map((one) => run(node.coin(one))))
      const { spends } = (await run(node.transaction(spent.id)))!
      return [
        page!.rows.length,
        page!.pending.length,
        ...coins.map((one) => (typeof one === "string" ? one : one.amount)),
        spends!.length
      ]
    }
    expect(await asked()).toEqual([1, 1, 1_000_000_000, "pending", 1])
    expect(await run(node.coins(keyOf(0).address, "nonsense", 1))).toBeUndefined()
    await run(node.mine(undefined))
    expect(await asked()).toEqual([1, 0, "spent", 999_999_900, 1])
    await recorded.end()
    const verdict = await replayOne(recorded.folder)
    expect([verdict.divergence, verdict.outcome, verdict.height]).toEqual([undefined, "identical", 1])
    const calls = entriesOf(findEpochs(recorded.folder)[0]!).flatMap((entry) =>
      entry.kind === "call" ? [entry.method] : []
    )
    expect(["coin", "coins"].map((name) => calls.filter((call) => call === name).length)).toEqual([4, 3])
  })

  test("that looks for peers in a discovery service runs again with what the service said", async () => {
    let asked = 0
    const recorded = await record({
      fetch: ({ body }) => {
        if (++asked % 4 === 0) return Effect.fail(new FetchFault({ message: "nobody there" }))
        const members = [{ endpoint: "10.0.0.8:1" }, { endpoint: `10.0.1.${asked}:1` }]
        return Effect.succeed({ status: 200, body: body.includes("get_all") ? JSON.stringify({ members }) : "{}" })
      }
    })
    for (let turn = 0; asked < 12 && turn < 100_000; turn++) await new Promise((resume) => setImmediate(resume))
    expect(await run(recorded.tree.node.addPeer("10.0.0.8:1"))).toBe("known")
    await recorded.end()
    const verdict = await replayOne(recorded.folder)
    expect([verdict.divergence, verdict.outcome]).toEqual([undefined, "identical"])
    const entries = entriesOf(findEpochs(recorded.folder)[0]!)
    const fetched = entries.flatMap((entry) => (entry.kind === "fetched" ? [entry] : []))
    expect([fetched.length >= 12, fetched.some(({ fault }) => fault !== "")]).toEqual([true, true])
    // Another answer is another run: the replay goes by the journal, and says where that leads away.
    const changed = entries.map((entry) => (entry.kind === "fetched" ? { ...entry, fault: "nobody there" } : entry))
    rewrite(findEpochs(recorded.folder)[0]!, changed)
    expect((await replayOne(recorded.folder)).outcome).toBe("diverged")
  })

  test("that downloads by HTTP runs again with what the nodes gave, and with what callers set off", async () => {
    const long = new TestChain(specOf())
    long.mine(80)
    const answers = honestNode(long)
    const codes = ["address-private", "not-reached"] as const
    let asked = 0
    const recorded = await record({
      callNode: ({ url }) =>
        ++asked % 5 === 3
          ? Effect.fail(new CallFault({ code: codes[asked % 2]!, message: "not\nthere: " }))
          : Effect.succeed(answers(url))
    })
    const { node } = recorded.tree
    for (let turn = 0; recorded.store.tip().header.height < 80 && turn < 200_000; turn++)
      await new Promise((resume) => setImmediate(resume))
    expect(recorded.store.tip().header.id).toBe(long.store.tip().header.id)
    expect((await run(node.resolve())).inspected.length).toBe(2)
    const claim = { hash: new Uint8Array(32).fill(3) as never, work: 2n ** 100n }
    expect(await run(node.inventory({ ...claim, source: "http://a.test" }))).toBe("noted")
    await run(node.heard({ nodeId: "node1x", endpoint: "10.0.0.8:1" }))
    await recorded.end()
    const verdict = await replayOne(recorded.folder)
    expect([verdict.divergence, verdict.outcome, verdict.height]).toEqual([undefined, "identical", 80])
    const faults = entriesOf(findEpochs(recorded.folder)[0]!).flatMap((entry) =>
      entry.kind === "fetched" && entry.fault !== "" ? [entry.fault] : []
    )
    expect(faults.length).toBeGreaterThan(0)
    for (const fault of faults) expect(fault).toMatch(/^(address-private|not-reached): not\nthere: $/)
  })

  test("runs again to the same state root, tip and digest, as often as one likes", async () => {
    const node = await record()
    await useNode(node)
    const { header } = node.store.tip()
    await node.end()
    const first = await replayOne(node.folder)
    expect(first.divergence).toBeUndefined()
    expect([first.outcome, first.height, first.tip, first.root]).toEqual([
      "identical",
      2,
      header.id,
      toHex(header.stateRoot)
    ])
    expect(first.messages).toBeGreaterThan(20)
    const tips = entriesOf(findEpochs(node.folder)[0]!).filter(({ kind }) => kind === "tip")
    expect(tips.length).toBe(2)
    expect((await replayOne(node.folder)).digest).toBe(first.digest)
  })

  test("whose fibers give way all the time does so at the same operations", async () => {
    const node = await record({ stepMs: 1.7 })
    await useNode(node)
    await node.end()
    const yields = entriesOf(findEpochs(node.folder)[0]!).filter(({ kind }) => kind === "yield")
    expect(yields.length).toBeGreaterThan(50)
    const verdict = await replayOne(node.folder)
    expect([verdict.outcome, verdict.divergence]).toStrictEqual(["identical", undefined])
  })

  test("that mines with a thread hears it again", async () => {
    const node = await record({ bits: 17 })
    await run(node.tree.node.mine(undefined))
    await node.end()
    const kinds = entriesOf(findEpochs(node.folder)[0]!).map(({ kind }) => kind)
    expect(kinds).toContain("report")
    const verdict = await replayOne(node.folder)
    expect([verdict.outcome, verdict.height]).toEqual(["identical", 1])
  })

  test("hears its peers again: their bytes, their end, a dial that failed", async () => {
    const node = await record()
    const rude = node.door.come()
    rude.handlers.data(new TextEncoder().encode("GET / HTTP/1.1\r\n\r\n"))
    node.door.come(true)
    const quiet = node.door.come()
    quiet.handlers.drained()
    await run(node.tree.node.mine(undefined))
    quiet.handlers.closed("gone")
    quiet.handlers.data(new Uint8Array(9))
    for (let asked = 0; node.door.dials === 0 && asked < 10_000; asked++) await run(node.tree.node.peers())
    expect(rude.sent.length).toBe(1)
    await node.end()
    const entries = entriesOf(findEpochs(node.folder)[0]!)
    const kinds = new Set(entries.map(({ kind }) => kind))
    // A socket that ends within a task is heard right after it.
    const refused = entries.find(({ kind }) => kind === "refused")
    expect(entries.find(({ kind, at }) => kind === "closed" && at === refused?.at)).toMatchObject({ wire: 2 })
    for (const kind of ["wire", "data", "drained", "closed", "dialled", "wrote", "refused"] as const)
      expect(kinds).toContain(kind)
    const verdict = await replayOne(node.folder)
    expect([verdict.outcome, verdict.divergence]).toStrictEqual(["identical", undefined])
  })

  test("whose caller does not wait for the answer stays the same", async () => {
    const node = await record({ bits: 17 })
    const fiber = Effect.runFork(node.tree.node.mine(undefined))
    await run(node.tree.node.stats())
    await run(Fiber.interrupt(fiber))
    await run(node.tree.node.stats())
    await node.end()
    const entries = entriesOf(findEpochs(node.folder)[0]!)
    expect(entries.some(({ kind }) => kind === "cancel")).toBe(true)
    expect(entries).toContainEqual(expect.objectContaining({ kind: "answered", call: 1, as: "cancelled" }))
    expect((await replayOne(node.folder)).outcome).toBe("identical")
  })

  test("keeps no secret, and lets only its owner read what it keeps", async () => {
    const node = await record()
    await useNode(node)
    await node.end()
    const [epoch] = findEpochs(node.folder) as [string]
    expect(statSync(epoch).mode & 0o777).toBe(0o700)
    const { secret } = keyOf(77)
    for (const name of readdirSync(epoch)) {
      expect(statSync(join(epoch, name)).mode & 0o777).toBe(0o600)
      const bytes = readFileSync(join(epoch, name))
      for (const hidden of [secret, toHex(secret), "the-admin-token", "the-tls-key"])
        expect([name, bytes.includes(hidden)]).toEqual([name, false])
    }
  })

  test("that is replayed until a height or an entry stops there", async () => {
    const node = await record()
    await useNode(node)
    await node.end()
    const half = await replayOne(node.folder, { until: { height: 1 } })
    expect([half.outcome, half.stopped, half.height]).toEqual(["identical", true, 1])
    const heard: Array<string> = []
    const few = await replayOne(node.folder, {
      until: { entry: 100 },
      onMessage: ({ actor, kind }) => heard.push(`${actor} ${kind}`)
    })
    expect([few.stopped, few.entries, few.messages]).toEqual([true, 100, heard.length])
    expect(heard).toContain("mempool Submit")
  })
})

describe("a difference", () => {
  /** A recording of a node that was used. */
  const recorded = async (): Promise<string> => {
    const node = await record()
    await useNode(node)
    await node.end()
    return findEpochs(node.folder)[0]!
  }

  test("in the state that it began with ends the replay where it shows first", async () => {
    const epoch = await recorded()
    const db = new Database(join(epoch, "chain.db"))
    const { id, bytes } = transfer({ from: 2, to: 3, nonce: 1, time: started })
    db.run("INSERT INTO pending (id, bytes, received) VALUES (?, ?, ?)", [id, bytes, started])
    db.close()
    const { outcome, divergence } = await replayOne(epoch)
    expect(outcome).toBe("diverged")
    expect(divergence!.before.length).toBeGreaterThan(0)
    expect(divergence!.expected).not.toBe(divergence!.found)
  })

  test("in what was handled is named: entry, time, expected, found, what came before", async () => {
    const epoch = await recorded()
    const entries = entriesOf(epoch)
    const at = entries.findIndex((entry, i) => i > 60 && entry.kind === "message")
    const changed = entries.map((entry, i) =>
      i === at && entry.kind === "message" ? { ...entry, name: entry.name === 0 ? 1 : 0 } : entry
    )
    rewrite(epoch, changed)
    const { outcome, entries: reached, divergence } = await replayOne(epoch)
    expect([outcome, reached]).toEqual(["diverged", at + 1])
    expect(divergence!.entry).toBe(at + 1)
    expect(divergence!.before.length).toBe(20)
    expect(divergence!.expected).toMatch(/^[a-z]+ [A-Z]\w+ \(task \d+\)$/)
    expect(divergence!.found).toMatch(/^[a-z]+ [A-Z]\w+ \(task \d+\)$/)
  })

  const without =
    (kind: Entry["kind"], which = 0) =>
    (entries: ReadonlyArray<Entry>) => {
      const index = entries.flatMap((entry, i) => (entry.kind === kind ? [i] : []))[which]!
      return entries.filter((_, i) => i !== index)
    }
  const changes: ReadonlyArray<readonly [string, (entries: ReadonlyArray<Entry>) => ReadonlyArray<Entry>]> = [
    ["a call that is missing", without("call")],
    ["a message that is missing", without("message", 9)],
    [
      "a millisecond more",
      (entries) => {
        const last = entries.findLastIndex(({ kind }) => kind === "tip")
        const at = entries.findIndex(({ kind }, i) => i > last && kind === "time")
        return entries.map((entry, i) => (i === at && entry.kind === "time" ? { ...entry, ms: entry.ms + 1 } : entry))
      }
    ],
    ["an answer that is missing", without("answered", 2)],
    ["a port that was not got", without("listening")],
    [
      "another state root",
      (entries) => entries.map((entry) => (entry.kind === "tip" ? { ...entry, root: new Uint8Array(32) } : entry))
    ],
    [
      "another digest",
      (entries) => entries.map((entry) => (entry.kind === "tip" ? { ...entry, digest: "0".repeat(16) } : entry))
    ],
    ["a task more", (entries) => entries.map((entry, i) => (i > 50 ? { ...entry, at: entry.at + 1 } : entry))]
  ]
  for (const [what, change] of changes) {
    test(`${what} is found`, async () => {
      const epoch = await recorded()
      rewrite(epoch, change(entriesOf(epoch)))
      expect((await replayOne(epoch)).outcome).toBe("diverged")
    })
  }

  test("of one bit in the journal is damage, and what came before it is still the same", async () => {
    const epoch = await recorded()
    const path = segmentPath(epoch, 1)
    const bytes = readFileSync(path)
    bytes[bytes.length >> 1]! ^= 4
    writeFileSync(path, bytes)
    const verdict = await replayOne(epoch)
    expect([verdict.outcome, verdict.divergence]).toStrictEqual(["damaged", undefined])
    expect(verdict.damage).toContain("000001.log at byte")
  })

  test("journals of anyone's making end in a verdict, never in an exception", async () => {
    const epoch = await recorded()
    const entries = entriesOf(epoch)
    const verdicts = new Set<string>()
    for (let round = 0; round < 40; round++) {
      const index = 5 + ((round * 7_919) % (entries.length - 5))
      const entry = entries[index]!
      const strange: ReadonlyArray<Entry> = [
        { kind: "call", at: entry.at, call: 1, method: "__proto__", args: new Uint8Array([0xc1]) },
        { kind: "wire", at: entry.at, wire: 1, dial: round % 2, host: "\u0000", binding: new Uint8Array(0) },
        { kind: "data", at: entry.at, wire: 1, bytes: new Uint8Array(100).fill(round) },
        { kind: "report", at: entry.at, thread: 1, json: "{" },
        { kind: "stop", at: entry.at }
      ]
      rewrite(epoch, [...entries.slice(0, index), strange[round % 5]!, ...entries.slice(index)])
      verdicts.add((await replayOne(epoch)).outcome)
    }
    expect(verdicts).toContain("diverged")
  }, 30_000)
})

describe("epochs", () => {
  test("a full journal begins the next epoch; the node stays itself, and each epoch runs again", async () => {
    const node = await record({ bytesMax: 40_000 })
    const { node: shape } = node.tree
    const heard: Array<NodeEvent> = []
    const subscription = shape.listen(undefined, (event) => heard.push(event))!
    let nonce = 1
    for (let round = 0; round < 20_000 && !readdirSync(node.folder).includes("epoch-000003"); round++) {
      const done = await run(Effect.result(Effect.flatMap(shape.submit(pay(nonce)), () => shape.mine(undefined))))
      if (done._tag === "Success" || done.failure._tag === "TransactionRefused") nonce++
      else {
        expect(done.failure._tag as string).toBe("Unavailable")
        await new Promise((resume) => setImmediate(resume))
      }
    }
    await run(Effect.retry(shape.mine(undefined), { times: 1_000 }))
    const height: number = node.store.tip().header.height
    expect(heard.filter(({ type }) => type === "tip").length).toBe(height)
    expect(await run(shape.metrics())).toContain("cairn_flight_recording 1")
    expect(node.tree.node.facts.p2pEndpoint).toBe("127.0.0.1:4711")
    subscription.close()
    await node.end()
    expect(findEpochs(node.folder).length).toBe(2)
    const [before, after] = await replayAll(node.folder)
    expect([before!.outcome, after!.outcome, after!.height]).toEqual(["identical", "identical", height])
  }, 30_000)

  test("a disk in trouble ends the recording and nothing else", async () => {
    const small = await record({ bytesMax: 2 })
    await run(Effect.retry(small.tree.node.mine(undefined), { times: 1_000 }))
    expect(await run(small.tree.node.metrics())).toContain("cairn_flight_recording 0")
    await run(small.tree.node.mine(undefined))
    expect(small.store.tip().header.height as number).toBe(2)
    await small.end()
  })

  test("a folder that cannot be one is refused with a code", async () => {
    const file = join(root, "a-file")
    writeFileSync(file, "")
    const node = await record()
    expect(() => findEpochs(join(root, "nothing"))).toThrow("no recording")
    await node.end()
    const [epoch] = findEpochs(node.folder) as [string]
    const right = readFileSync(join(epoch, "epoch.json"), "utf8")
    expect(readEpoch(epoch).version).toBe("test")
    const wrong = [right.replace('"format": 1', '"format": 2'), right.replace('"mining"', '"minig"')]
    for (const text of ["{", "[]", ...wrong, right.replace('"ledger"', '"lodger"')]) {
      writeFileSync(join(epoch, "epoch.json"), text)
      expect(() => readEpoch(epoch)).toThrow()
    }
    copyFileSync(file, join(epoch, "epoch.json"))
    expect(() => readEpoch(epoch)).toThrow()
  })
})
