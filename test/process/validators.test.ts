/**
 * Five authorities as operators run them: three with development keys, one with a key file, one behind a signing socket. Cut
 * in two halves and joined, killed, restored from a backup, doubled by mistake. What the stores say at the end is the verdict.
 */
import { afterAll, beforeAll, expect, test } from "bun:test"
import { cpSync, copyFileSync, existsSync, mkdirSync, readdirSync, rmSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import type { Subprocess } from "bun"
import { decodeHeader, type Header } from "../../src/block/header.ts"
import { call } from "../../src/http/client.ts"
import { formatAddress } from "../../src/crypto/address.ts"
import { accountKey, devMnemonic } from "../../src/crypto/keys.ts"
import { openReadonly } from "../../src/store/db.ts"
import { presets } from "../../src/chain/presets.ts"
import "../fixtures.ts"
import { until } from "../network.ts"
import { binary, run, type Running, suite } from "./binary.ts"

const { home, begin } = suite()
const path = (...parts: ReadonlyArray<string>): string => join(home.path, ...parts)
const slotMs = 1_000
const genesisTime = 1_795_219_200_000
const address = (i: number): string => formatAddress(accountKey(devMnemonic, i).address, "crn")
const addresses = [0, 1, 2, 3, 4].map(address)

/** A chain of so many development accounts, one slot a second. */
const writeSpec = (name: string, members: ReadonlyArray<string>, bits = 0): string => {
  const preset = presets["dev-authorities"] as Record<string, Record<string, unknown>>
  const spec = {
    ...preset,
    ledger: { ...preset["ledger"], chainId: name },
    difficulty: { rule: "fixed", blockMs: slotMs, bits },
    authority: { members, outOfTurnMs: 400, voteBlocks: 0 },
    time: { futureMsMax: 500 }
  }
  writeFileSync(path(`${name}.json`), JSON.stringify(spec))
  return path(`${name}.json`)
}

let spec = ""
let nodes: Array<Running> = []
let signer: Subprocess<"ignore", "pipe", "inherit"> | undefined
const folders = ["a", "b", "c", "d", "e"].map((name) => path(name))
const passphrase = (): string => path("passphrase.txt")
const keyFile = (): string => path("keys", "four.json")
const socket = (): string => path("signer.sock")

const startSigner = async (...more: ReadonlyArray<string>): Promise<void> => {
  signer = Bun.spawn([binary, "signer", "--dev", "--key", "dev:4", "--socket", socket(), "--spec", spec, ...more], {
    stdin: "ignore",
    stdout: "pipe",
    stderr: "inherit"
  })
  const { value } = await signer.stdout.getReader().read()
  expect(JSON.parse(new TextDecoder().decode(value))).toMatchObject({
    ready: true,
    address: addresses[4],
    chain: "five"
  })
}
afterAll(() => void signer?.kill("SIGKILL"))

/** Starts authority i in its folder. */
const startNode = (i: number, seeds: ReadonlyArray<string>, ...more: ReadonlyArray<string>): Promise<Running> => {
  const place = ["--spec", spec, "--data-dir", folders[i]!, "--role", "validator", ...more]
  const joined = seeds.length === 0 ? [] : ["--p2p-seeds", seeds.join(",")]
  if (i === 3) return begin(...place, ...joined, "--authority-key", keyFile(), "--passphrase-file", passphrase())
  if (i === 4) return begin(...place, ...joined, "--signer", `unix:${socket()}`)
  return begin(...place, ...joined, "--dev", "--authority-key", `dev:${i}`)
}

const tipOf = async ({ http }: Running) => {
  const { stats } = await call(http, "stats")
  return { height: stats.blocks - 1, hash: stats.last_block_hash }
}
const heightOf = async (node: Running): Promise<number> => (await tipOf(node)).height
const slotNow = (): number => Math.floor((Date.now() - genesisTime) / slotMs)
const slotIn = ({ time }: { readonly time: number }): number => Math.floor((time - genesisTime) / slotMs)
const proposerOf = ({ proposer }: Header): string => formatAddress(proposer, "crn")

/** Every header that a folder's store has, on whatever branch. */
const headersIn = (folder: string): ReadonlyArray<Header> => {
  const db = openReadonly(join(folder, "chain.db"))
  const rows = db.query<{ header: Uint8Array }, []>("SELECT header FROM headers WHERE height > 0").all()
  db.close()
  return rows.map(({ header }) => decodeHeader(header)!)
}
const bestOf = (folder: string): ReadonlyArray<Header> => {
  const db = openReadonly(join(folder, "chain.db"))
  const rows = db
    .query<{ header: Uint8Array }, []>(
      "SELECT header FROM best b JOIN headers h ON h.n = b.n WHERE b.height > 0 ORDER BY b.height"
    )
    .all()
  db.close()
  return rows.map(({ header }) => decodeHeader(header)!)
}

/** One head in all the named nodes, looked for while the chain grows. */
const agree = async (which: ReadonlyArray<Running>): Promise<void> => {
  const watch = await run(
    "testnet",
    "watch",
    ...which.map(({ http }) => http),
    "--until-equal",
    "--interval",
    "100ms",
    "--timeout",
    "25s"
  )
  expect([watch.code, watch.err]).toEqual([0, ""])
}

const pass = (slots: number): Promise<void> => Bun.sleep(slots * slotMs)

beforeAll(async () => {
  spec = writeSpec("five", addresses)
  mkdirSync(path("keys"))
  writeFileSync(passphrase(), "correct horse battery\n")
  writeFileSync(path("secret.txt"), accountKey(devMnemonic, 3).secret.toHex())
  const keystore = ["--keystore", path("keys"), "--passphrase-file", passphrase()]
  const imported = await run("keys", "import", "four", "--secret-file", path("secret.txt"), ...keystore)
  expect(imported.code).toBe(0)
  await startSigner()
}, 30_000)

test("two halves grow apart, and once joined have one head", async () => {
  const a = await startNode(0, [])
  const b = await startNode(1, [a.peers])
  const c = await startNode(2, [a.peers])
  const d = await startNode(3, [])
  const e = await startNode(4, [d.peers])
  expect([c, d, e].map(({ ready }) => ready["authority"])).toEqual([addresses[2], addresses[3], addresses[4]])
  await until("both halves grow", async () => (await heightOf(a)) > 6 && (await heightOf(e)) > 4, 30_000)
  expect((await tipOf(a)).hash).not.toBe((await tipOf(d)).hash)
  await agree([a, b, c])
  expect(await d.stop()).toBe(0)
  nodes = [a, b, c, await startNode(3, [a.peers, e.peers]), e]
  await agree(nodes)
}, 90_000)

/** From when to when one was dead, in slots. */
let dead = { from: 0, to: 0 }

test("one is killed: the chain goes on, a block in every slot, and all the others agree", async () => {
  // Every listening is over by now.
  await pass(6)
  await nodes[1]!.stop("SIGKILL")
  const from = slotNow() + 1
  const before = await heightOf(nodes[0]!)
  await pass(11)
  dead = { from, to: slotNow() - 1 }
  const grown = (await heightOf(nodes[0]!)) - before
  // One a slot; on a busy machine some slot may pass without.
  expect(grown).toBeGreaterThanOrEqual(8)
  expect(grown).toBeLessThanOrEqual(13)
  await agree([0, 2, 3, 4].map((i) => nodes[i]!))
}, 60_000)

test("one is killed and comes back with an older folder, its protection file too: it seals again", async () => {
  expect(await nodes[2]!.stop()).toBe(0)
  cpSync(folders[2]!, path("older"), { recursive: true })
  nodes[2] = await startNode(2, [nodes[0]!.peers])
  const sealsAfter = async (slot: number): Promise<void> =>
    until(
      "it has sealed",
      () => headersIn(folders[0]!).some((header) => proposerOf(header) === addresses[2] && slotIn(header) > slot),
      30_000
    )
  await sealsAfter(slotNow())
  await nodes[2].stop("SIGKILL")
  rmSync(folders[2]!, { recursive: true })
  cpSync(path("older"), folders[2]!, { recursive: true })
  nodes[2] = await startNode(2, [nodes[0]!.peers])
  nodes[1] = await startNode(1, [nodes[0]!.peers])
  await sealsAfter(slotNow())
  await agree(nodes)
}, 90_000)

test("its signer is killed: no block from it, and it says so; the signer comes back, and so do its blocks", async () => {
  signer!.kill("SIGKILL")
  await signer!.exited
  const reasons = async (): Promise<string> => (await fetch(new URL("/api/ready", nodes[4]!.http))).text()
  await until("it says so", async () => (await reasons()).includes("signer-away"))
  await until("the log says so", () => nodes[4]!.printed().includes("no block is sealed: the signer is away"))
  await startSigner()
  const from = slotNow()
  await until(
    "it seals again",
    () => headersIn(folders[0]!).some((header) => proposerOf(header) === addresses[4] && slotIn(header) > from),
    30_000
  )
  expect(await reasons()).toContain('"ready"')
}, 60_000)

test("a key signs in one process at a time", async () => {
  const second = await run(
    "start",
    "--spec",
    spec,
    "--data-dir",
    path("second"),
    "--no-p2p",
    "--http-port",
    "0",
    "--role",
    "validator",
    "--authority-key",
    keyFile(),
    "--passphrase-file",
    passphrase()
  )
  expect([second.code, JSON.parse(second.err.trim().split("\n").at(-1)!).error.code]).toEqual([7, "key-locked"])
  const other = await run("signer", "--dev", "--key", "dev:4", "--socket", path("other.sock"), "--spec", spec)
  expect([other.code, JSON.parse(other.err).error.code]).toEqual([7, "key-locked"])
}, 30_000)

test("a key that was copied to another machine stops there before it seals, and stays stopped until told otherwise", async () => {
  mkdirSync(path("copied"))
  copyFileSync(keyFile(), path("copied", "four.json"))
  const startCopy = (...more: ReadonlyArray<string>): Promise<Running> =>
    begin(
      "--spec",
      spec,
      "--data-dir",
      path("copy"),
      "--p2p-seeds",
      nodes[0]!.peers,
      "--role",
      "validator",
      "--authority-key",
      path("copied", "four.json"),
      "--passphrase-file",
      passphrase(),
      ...more
    )
  const stopped = async (node: Running): Promise<void> => {
    await until("it stops", () => node.printed().includes("another process seals with this key"), 20_000)
    expect(await (await fetch(new URL("/api/ready", node.http))).text()).toContain("doppelganger")
    expect(await node.stop()).toBe(0)
  }
  await stopped(await startCopy())
  // What it heard before is enough: nobody has to seal again.
  await stopped(await startCopy("--no-p2p"))
  const again = await startCopy("--resume-sealing")
  expect(again.printed()).not.toContain("doppelganger")
  await stopped(again)
  expect(nodes[3]!.printed()).not.toContain("another process seals")
}, 90_000)

test("what the stores say: no key sealed a slot twice; the dead one's slots went to others; nobody waited long", async () => {
  const best = bestOf(folders[0]!)
  for (const node of nodes) expect(await node.stop()).toBe(0)
  const all = new Map(folders.flatMap((folder) => headersIn(folder).map((header) => [header.id, header] as const)))
  const seals = new Map<string, Set<string>>()
  for (const header of all.values()) {
    const name = `${slotIn(header)} ${proposerOf(header)}`
    seals.set(name, new Set([...(seals.get(name) ?? []), header.id]))
  }
  expect([...seals].filter(([, ids]) => ids.size > 1)).toEqual([])
  expect(new Set(best.map(proposerOf))).toEqual(new Set(addresses))

  const during = best.filter((header) => slotIn(header) >= dead.from && slotIn(header) <= dead.to)
  const order = [...addresses].sort((x, y) =>
    Buffer.compare(
      ...([x, y].map((text) => Buffer.from(accountKey(devMnemonic, addresses.indexOf(text)).address)) as [
        Buffer,
        Buffer
      ])
    )
  )
  const leader = (slot: number): string => order[slot % 5]!
  for (const header of during)
    expect(header.authority!.weight).toBe(leader(slotIn(header)) === proposerOf(header) ? 2 : 1)
  expect(during.some((header) => proposerOf(header) === addresses[1])).toBe(false)
  const covered = during.filter((header) => leader(slotIn(header)) === addresses[1])
  expect(covered.length).toBeGreaterThanOrEqual(1)
  expect(during.filter((header) => header.authority!.weight === 2).length).toBeGreaterThanOrEqual(
    Math.floor(during.length * 0.6)
  )
  // The next one takes over within the slot: no two blocks are further apart than two slots, if one is missed for load.
  const gaps = during.slice(1).map((header, i) => header.time - during[i]!.time)
  expect(Math.max(...gaps)).toBeLessThan(2 * slotMs + 500)
}, 60_000)

test("authorities that must work for it too: a chain of eight bits", async () => {
  const file = writeSpec("both", addresses.slice(0, 2), 8)
  const startBoth = (i: number, ...more: ReadonlyArray<string>): Promise<Running> =>
    begin(
      "--dev",
      "--spec",
      file,
      "--data-dir",
      path(`both-${i}`),
      "--role",
      "validator",
      "--authority-key",
      `dev:${i}`,
      ...more
    )
  const one = await startBoth(0)
  const two = await startBoth(1, "--p2p-seeds", one.peers)
  await until("some blocks", async () => (await heightOf(one)) >= 6, 30_000)
  await agree([one, two])
  for (const node of [one, two]) expect(await node.stop()).toBe(0)
  const best = bestOf(path("both-0"))
  expect(best.every(({ hash }) => hash[0] === 0)).toBe(true)
  expect(new Set(best.map(proposerOf)).size).toBe(2)
  expect((await run("verify", "--data-dir", path("both-0"))).code).toBe(0)
}, 60_000)

test.each([
  ["role-needs-authorities", ["--dev", "--role", "validator"]],
  ["role-needs-authorities", ["--dev", "--signer", "unix:x"]],
  ["role-missing", ["--dev", "--spec", "dev-authorities", "--authority-key", "dev:1"]],
  ["role-missing", ["--dev", "--spec", "dev-authorities", "--role", "basic", "--authority-key", "dev:1"]],
  ["authority-key-missing", ["--spec", "dev-authorities", "--role", "validator"]],
  [
    "authority-key-double",
    ["--dev", "--spec", "dev-authorities", "--role", "validator", "--authority-key", "dev:1", "--signer", "unix:x"]
  ],
  ["dev-key-public", ["--spec", "dev-authorities", "--role", "validator", "--authority-key", "dev:1"]],
  ["signer-invalid", ["--spec", "dev-authorities", "--role", "validator", "--signer", "tcp:x"]],
  ["signed-unneeded", ["--spec", "dev-authorities", "--role", "validator", "--signer", "unix:x", "--new-signed-file"]],
  ["mine-to-unneeded", ["--dev", "--spec", "dev-authorities", "--mine-to", address(0)]],
  ["role-basic-mines", ["--role", "basic", "--spec", "cairn", "--mine-threads", "1"]],
  ["record-validator", ["--dev", "--spec", "dev-authorities", "--record", "flight"]]
])(
  "%s: %j",
  async (code, flags) => {
    const refused = await run(
      "start",
      "--http-port",
      "0",
      "--no-p2p",
      "--data-dir",
      path(`refused-${Bun.hash(flags.join())}`),
      ...flags
    )
    expect([refused.code, JSON.parse(refused.err.trim().split("\n").at(-1)!).error.code]).toEqual([2, code])
  },
  20_000
)

test("a key that is no authority is a warning; a basic node and a damaged file seal nothing", async () => {
  const outsider = await begin(
    "--dev",
    "--spec",
    "dev-authorities",
    "--data-dir",
    path("outsider"),
    "--role",
    "validator",
    "--authority-key",
    "dev:7"
  )
  await until("the warning", () => outsider.printed().includes("is no authority of this chain"))
  expect(await outsider.stop()).toBe(0)
  const basic = await begin("--dev", "--spec", "dev-authorities", "--data-dir", path("outsider"), "--role", "basic")
  expect(basic.ready["authority"]).toBeUndefined()
  expect(await basic.stop()).toBe(0)
  const [book] = readdirSync(path("outsider")).filter((name) => name.endsWith(".signed.json"))
  writeFileSync(path("outsider", book!), "{}")
  const start = [
    "start",
    "--dev",
    "--spec",
    "dev-authorities",
    "--http-port",
    "0",
    "--no-p2p",
    "--data-dir",
    path("outsider"),
    "--role",
    "validator",
    "--authority-key",
    "dev:7"
  ]
  for (const [flags, code] of [
    [[], "signed-malformed"],
    [["--new-signed-file"], "signed-exists"]
  ] as const) {
    const refused = await run(...start, ...flags)
    expect([refused.code, JSON.parse(refused.err.trim().split("\n").at(-1)!).error.code]).toEqual([7, code])
  }
}, 30_000)

test("told to stop while it waits for its signer, it stops", async () => {
  const place = ["--spec", "dev-authorities", "--data-dir", path("waiting"), "--no-p2p", "--http-port", "0"]
  const child = Bun.spawn([binary, "start", ...place, "--role", "validator", "--signer", `unix:${path("nobody.sock")}`], {
    stdin: "ignore",
    stdout: "pipe",
    stderr: "inherit"
  })
  await until("it has its folder", () => existsSync(path("waiting", "admin.token")))
  await Bun.sleep(300)
  const began = performance.now()
  child.kill("SIGTERM")
  expect([await child.exited, performance.now() - began < 5_000]).toEqual([0, true])
}, 20_000)
