/**
 * Three nodes as an operator runs them in production, on one machine: settings by the environment, secrets in files, sessions by TLS with a
 * list of ids, announcements under seals. They are found, banned, killed, restarted and restored, and lose nothing that was acknowledged.
 */
import { afterAll, beforeAll, expect, test } from "bun:test"
import { mkdirSync, rmSync, writeFileSync } from "node:fs"
import { once } from "node:events"
import { connect, type Socket } from "node:net"
import { join } from "node:path"
import { connect as connectTls } from "node:tls"
import { presets } from "../../src/chain/presets.ts"
import { formatAddress } from "../../src/crypto/address.ts"
import { ApiError, call } from "../../src/http/client.ts"
import { formatTransfer } from "../../src/ledger/transfer-text.ts"
import { keyOf, transfer } from "../fixtures.ts"
import { until } from "../network.ts"
import { folder, plainEnvironment, type Running, run, runWith, startWith } from "./binary.ts"

const home = folder()
const at = (...names: ReadonlyArray<string>): string => join(home.path, ...names)
const chainId = "production-proof"
const prefix = "lbc"
const adminToken = "admin-token-of-these-three-nodes-0123456789"
/** A named token of the third node. */
let tokenOfAnna = ""
const passphrase = "correct horse battery"

/** A node of the network, running or not. */
interface Member {
  readonly name: string
  readonly id: string
  readonly ports: { readonly p2p: number; readonly gossip: number }
  folder: string
  running: Running | undefined
}
const members: Array<Member> = []
const [a, b, c, stranger] = [0, 1, 2, 3].map((i) => () => members[i]!) as [
  () => Member,
  () => Member,
  () => Member,
  () => Member
]
const three = (): ReadonlyArray<Member> => members.slice(0, 3)
const started: Array<Running> = []

/** Below the ports that the system gives to whoever dials: it is free again after a restart. */
let port = 20_000 + (process.pid % 500) * 20
const freePort = async (): Promise<number> => {
  for (; port < 32_000; port++) {
    try {
      Bun.listen({ hostname: "127.0.0.1", port, socket: { data: () => {} } }).stop(true)
      ;(await Bun.udpSocket({ hostname: "127.0.0.1", port })).close()
      return port++
    } catch {
      // Somebody has it.
    }
  }
  throw new Error("no port is free")
}

/** What is announced to the third node goes through here, as through a cable that somebody listens at. */
const wire: Array<Uint8Array> = []
/** What the nodes say to a seed that never was met. */
const toSeed: Array<Uint8Array> = []
const listening: Array<{ readonly port: number; readonly close: () => void }> = []
const hearUdp = async (
  hear: (bytes: Uint8Array, send: (bytes: Uint8Array, port: number) => void) => void
): Promise<number> => {
  const socket = await Bun.udpSocket({
    hostname: "127.0.0.1",
    port: 0,
    socket: {
      data: (self, bytes) => hear(bytes, (again, to) => void self.send(again, to, "127.0.0.1")),
      // While a node is away the system says that nobody hears there.
      error: () => {}
    }
  })
  listening.push(socket)
  return socket.port
}
const udp = { wire: 0, seed: 0 }

const secret = (name: string, text: string): string => {
  writeFileSync(at(name), `${text}\n`, { mode: 0o600 })
  return at(name)
}

/** Everything that is said to a node. `wish` overrules. */
const environmentOf = (member: Member, wish: Readonly<Record<string, string>>) => ({
  ...plainEnvironment,
  BLOCKCHAIN_MODE: "production",
  BLOCKCHAIN_NODE_ID: member.name,
  BLOCKCHAIN_NODE_URL: `https://${member.name}.example.com`,
  BLOCKCHAIN_CHAIN_ID: chainId,
  CAIRN_DATA_DIR: member.folder,
  BLOCKCHAIN_PORT: "0",
  BLOCKCHAIN_ADMIN_TOKEN_FILE: at("admin.token"),
  BLOCKCHAIN_PEER_SHARED_SECRET_FILE: at("peer.secret"),
  CAIRN_ADMIN_SOCKET: at(`${member.name}.sock`),
  BLOCKCHAIN_PUBLIC_RATE_LIMIT_PER_MINUTE: "0",
  BLOCKCHAIN_ADMIN_RATE_LIMIT_PER_MINUTE: "0",
  BLOCKCHAIN_REQUIRE_HTTPS_PEERS: "true",
  BLOCKCHAIN_P2P_BIND_HOST: "127.0.0.1",
  BLOCKCHAIN_P2P_ADVERTISE_HOST: "127.0.0.1",
  BLOCKCHAIN_P2P_PORT: String(member.ports.p2p),
  BLOCKCHAIN_P2P_DIAL_DISCOVERED_PEERS: "true",
  BLOCKCHAIN_P2P_CONNECT_INTERVAL_SECONDS: "1",
  BLOCKCHAIN_PEER_MAINTENANCE_INTERVAL_SECONDS: "1",
  BLOCKCHAIN_PEER_BACKOFF_BASE_SECONDS: "1",
  // Also the longest wait after failures, which add up when nodes are restarted again and again.
  BLOCKCHAIN_PEER_BAN_SECONDS: "6",
  BLOCKCHAIN_ALLOWED_PEER_IDS: three()
    .map(({ id }) => id)
    .join(","),
  BLOCKCHAIN_ALLOWED_PEER_HOSTS: "127.0.0.1",
  BLOCKCHAIN_GOSSIP_ENABLED: "encrypted",
  BLOCKCHAIN_GOSSIP_PORT: String(member.ports.gossip),
  BLOCKCHAIN_GOSSIP_ADVERTISE_HOST: `127.0.0.1:${member === c() ? udp.wire : member.ports.gossip}`,
  BLOCKCHAIN_GOSSIP_SEEDS: `127.0.0.1:${udp.seed}`,
  BLOCKCHAIN_GOSSIP_INTERVAL_SECONDS: "1",
  BLOCKCHAIN_BACKUP_DIR: at("backups"),
  CAIRN_BACKUP_PASSPHRASE_FILE: at("passphrase"),
  ...wish
})

const begin = async (member: Member, wish: Readonly<Record<string, string>> = {}): Promise<void> => {
  member.running = await startWith(environmentOf(member, wish))
  started.push(member.running)
  expect(member.running.ready["node_id"]).toBe(member.id)
}
const seedOf = (...seeds: ReadonlyArray<Member>) => ({
  BLOCKCHAIN_P2P_SEEDS: seeds.map(({ ports }) => `127.0.0.1:${ports.p2p}`).join(",")
})
const httpOf = ({ running }: Member): string => running!.http
const socketOf = ({ name }: Member): string => `unix:${at(`${name}.sock`)}`
const tipOf = async (member: Member): Promise<string> => (await call(httpOf(member), "stats")).stats.last_block_hash
const heightOf = async (member: Member): Promise<number> => (await call(httpOf(member), "stats")).stats.blocks - 1
/** Seals a block at a node; by the token of all, or by a named one. */
const mine = (member: Member, token = adminToken) => call(httpOf(member), "mine", { body: {}, token })

const agree = (what: string, of = three()): Promise<void> =>
  until(what, async () => new Set(await Promise.all(of.map(tipOf))).size === 1, 20_000)

/** What a node says of another. */
const seenBy = async (member: Member, other: Member) =>
  (await call(httpOf(member), "peers")).peer_records.find(({ node_id }) => node_id === other.id)
const met = (of = three()): Promise<void> =>
  until(
    `sessions of ${of.map(({ name }) => name).join(", ")} with each other`,
    async () => {
      const states = await Promise.all(
        of.flatMap((one) => of.filter((other) => other !== one).map((other) => seenBy(one, other)))
      )
      return states.every((seen) => seen?.state === "active")
    },
    20_000
  )

/** The figure of a metric's line. */
const metric = async (member: Member, name: string): Promise<number> => {
  const text = await (await fetch(`${httpOf(member)}/metrics`)).text()
  return Number(
    text
      .split("\n")
      .find((line) => line.startsWith(`${name} `))
      ?.split(" ")[1] ?? 0
  )
}

/** Ids of all transfers that any node has acknowledged. Each node has a payer of its own. */
const acknowledged: Array<string> = []
const nonces = [0, 0, 0]
const pay = async (member: Member): Promise<void> => {
  const from = members.indexOf(member)
  const nonce = nonces[from]! + 1
  const body = formatTransfer(transfer({ from, to: 9, nonce, chainId, time: Date.now() }), prefix)
  try {
    await call(httpOf(member), "submit", { body })
  } catch (error) {
    // The queue of one sender is full until the next block.
    if (error instanceof ApiError && error.code === "sender-queue-full") return
    throw error
  }
  nonces[from] = nonce
  acknowledged.push(body.id)
}
const statusOf = (member: Member, id: string): Promise<string> =>
  call(httpOf(member), "transaction", { params: { id } }).then(
    ({ status }) => status,
    (error: unknown) => (error instanceof ApiError ? error.code : String(error))
  )
/** Of what was acknowledged, what a node does not have as it should. */
const lacking = async (member: Member, wanted: ReadonlyArray<string>): Promise<ReadonlyArray<string>> => {
  const found = await Promise.all(acknowledged.map((id) => statusOf(member, id)))
  return found.filter((status) => !wanted.includes(status))
}
const allConfirmed = (what: string): Promise<void> =>
  until(
    what,
    async () =>
      (await Promise.all(three().map((one) => lacking(one, ["confirmed"])))).every(({ length }) => length === 0),
    20_000
  )

/** What comes back for a request that is none, up to the end of the connection. */
const answerOf = (socket: Socket): Promise<Uint8Array> =>
  new Promise((resolve, reject) => {
    const parts: Array<Uint8Array> = []
    socket.on("connect", () => void socket.write("GET / HTTP/1.1\r\nHost: one\r\n\r\n"))
    socket.setTimeout(10_000, () => reject(new Error("the connection stays")))
    socket.on("data", (part) => void parts.push(Buffer.from(part)))
    socket.on("error", () => {})
    socket.on("close", () => resolve(Buffer.concat(parts)))
  })

beforeAll(async () => {
  udp.seed = await hearUdp((bytes) => void toSeed.push(bytes))
  udp.wire = await hearUdp((bytes, send) => {
    wire.push(bytes)
    send(bytes, c().ports.gossip)
  })
  secret("admin.token", adminToken)
  secret("peer.secret", "what-these-three-nodes-show-one-another")
  secret("passphrase", passphrase)
  mkdirSync(at("backups"))
  const { genesis, ...preset } = presets["lua-blockchain"] as { readonly genesis: object; readonly ledger: object }
  const alloc = [0, 1, 2].map((i) => ({ address: formatAddress(keyOf(i).address, prefix), balance: 1_000_000 }))
  const spec = {
    ...preset,
    ledger: { ...preset.ledger, chainId },
    difficulty: { rule: "fixed", blockMs: 1_000, bits: 4 },
    genesis: { ...genesis, alloc }
  }
  writeFileSync(at("spec.json"), JSON.stringify(spec))
  for (const name of ["one", "two", "three", "stranger"]) {
    const { code, out, err } = await run("init", "--spec", at("spec.json"), "--data-dir", at(name))
    expect([code, err]).toEqual([0, ""])
    const ports = { p2p: await freePort(), gossip: await freePort() }
    const { node_id } = JSON.parse(out) as { readonly node_id: string }
    members.push({ name, id: node_id, folder: at(name), ports, running: undefined })
  }
  const { out } = await run("token", "add", "anna", "--data-dir", c().folder)
  tokenOfAnna = (JSON.parse(out) as { readonly token: string }).token
}, 20_000)

afterAll(async () => {
  for (const node of started) await node.stop("SIGKILL")
  for (const socket of listening) socket.close()
  home.remove()
})

test("a start without a token and without https is refused, by the codes of both", async () => {
  const wish = { BLOCKCHAIN_ADMIN_TOKEN_FILE: "", BLOCKCHAIN_NODE_URL: "http://one.example.com" }
  const { code, out, err } = await runWith(environmentOf(a(), wish), "start")
  const { error } = JSON.parse(err.trim().split("\n").at(-1)!) as {
    readonly error: { readonly errors: ReadonlyArray<{ readonly code: string }> }
  }
  expect([code, out, error.errors.map((one) => one.code)]).toEqual([
    2,
    "",
    ["production-admin-token-missing", "production-node-url-not-https"]
  ])
})

test("two nodes that know the first alone find each other, and announcements go under seals and to nobody else", async () => {
  await begin(a())
  await begin(b(), seedOf(a()))
  await begin(c(), seedOf(a()))
  await met()
  for (const member of three())
    await until(
      `${member.name} hears announcements`,
      async () => (await metric(member, 'cairn_gossip_datagrams_total{what="heard"}')) > 2
    )
  await until("some went by", () => wire.length > 2)
  const readable = wire.filter((bytes) =>
    [chainId, "127.0.0.1", "example.com"].some((text) => Buffer.from(bytes).includes(text))
  )
  expect([new Set(wire.map(([form]) => form)), readable, toSeed.length]).toEqual([new Set([2]), [], 0])
  await Bun.udpSocket({ hostname: "127.0.0.1", port: 0 }).then((socket) => {
    socket.send(new Uint8Array(300).fill(1), a().ports.gossip, "127.0.0.1")
    listening.push(socket)
  })
  await until(
    "what anybody could read is refused",
    async () => (await metric(a(), 'cairn_gossip_dropped_total{reason="plaintext-refused"}')) === 1
  )
}, 40_000)

test("who is on no list is refused by all three, and so is who speaks without TLS", async () => {
  await mine(a())
  const ids = members.map(({ id }) => id).join(",")
  await begin(stranger(), { ...seedOf(...three()), BLOCKCHAIN_ALLOWED_PEER_IDS: ids })
  await until("all three have refused it", async () => {
    const { peer_records, unmet } = await call(httpOf(stranger()), "peers")
    const errors = [...peer_records, ...unmet].map(({ last_error }) => last_error ?? "")
    return errors.filter((error) => error.includes("id-not-allowed")).length === 3
  })
  expect(await heightOf(stranger())).toBe(0)
  for (const member of three()) expect(await seenBy(member, stranger())).toBeUndefined()
  expect(await stranger().running!.stop()).toBe(0)

  const plain = await answerOf(connect(a().ports.p2p, "127.0.0.1"))
  // Nothing, or an alert of TLS.
  expect([plain.length <= 7, plain.length === 0 || plain[0] === 0x15]).toEqual([true, true])
  const secure = connectTls({ port: a().ports.p2p, host: "127.0.0.1", rejectUnauthorized: false })
  await once(secure, "secureConnect")
  const fingerprint = secure.getPeerCertificate().fingerprint256.replaceAll(":", "").toLowerCase()
  expect([secure.getProtocol(), fingerprint]).toEqual(["TLSv1.3", (await seenBy(b(), a()))!.tls_cert_fingerprint!])
  secure.destroy()
  await met()
}, 30_000)

test("blocks mined with a token are everywhere, and transfers that the third node took are in them", async () => {
  const without = await call(httpOf(a()), "mine", { body: {} }).catch((error: unknown) => error)
  expect(without).toMatchObject({ status: 401, code: "admin-token-required" })
  for (let i = 0; i < 5; i++) await pay(c())
  await until("the first has them", async () => (await lacking(a(), ["pending"])).length === 0)
  for (let i = 0; i < 3; i++) await mine(a())
  await agree("one tip")
  await allConfirmed("all transfers are confirmed on all")
  const operator = await mine(c(), tokenOfAnna)
  expect(operator.block.height).toBe(5)
  await agree("the third's block is everywhere")
}, 30_000)

test("a banned peer goes and is let in no more, follows by another way, and is back when the ban is lifted", async () => {
  await call(socketOf(b()), "banPeer", { params: { id: c().id }, body: { seconds: 600, reason: "proof" } })
  await until("the session has ended", async () => (await seenBy(c(), b()))?.state !== "active")
  expect(await seenBy(b(), c())).toMatchObject({ state: "banned", direction: "none", ban_reason: "manual" })
  await until(
    "it has come again and was refused",
    async () => (await seenBy(c(), b()))?.last_error?.includes("banned: there is no place") === true,
    20_000
  )
  await mine(b())
  await agree("the banned one follows through the first")
  const { peer } = await call(socketOf(b()), "unbanPeer", { params: { id: c().id } })
  expect([peer.state === "banned", peer.banned_until]).toEqual([false, null])
  await met()
}, 60_000)

test("a peer that is killed is waited for longer each time, and is active when it comes back", async () => {
  const named = { peer: `127.0.0.1:${c().ports.p2p}` }
  expect((await call(httpOf(a()), "addPeer", { body: named, token: adminToken })).peer).toBe(named.peer)
  await c().running!.stop("SIGKILL")
  /** Milliseconds for which the first node leaves it alone from now on. */
  const waitOf = async (): Promise<number> => {
    const seen = await seenBy(a(), c())
    return seen?.state === "backoff" ? seen.cooldown_until! - Date.now() : 0
  }
  let first = 0
  await until("it waits", async () => (first = await waitOf()) > 0)
  // More than chance makes of one and the same wait.
  await until("it waits longer", async () => (await waitOf()) > first * 1.7, 20_000)
  await mine(a())
  await begin(c(), seedOf(a()))
  await met()
  await agree("the killed one has caught up")
}, 60_000)

test("each node restarted in turn, without a seed, has its tip and what it promised, and finds the others again", async () => {
  for (const member of three()) {
    await pay(member)
    const [tip, promised] = [await tipOf(member), acknowledged.at(-1)!]
    expect(await member.running!.stop()).toBe(0)
    await begin(member)
    expect([await tipOf(member), await statusOf(member, promised)]).toEqual([tip, "pending"])
    await met()
  }
  // Nobody has a seed now. With the first away, the other two have only what they have kept.
  expect(await Promise.all(three().map(({ running }) => running!.stop()))).toEqual([0, 0, 0])
  await begin(b())
  await begin(c())
  await met([b(), c()])
  await begin(a())
  await met()
  await mine(b())
  await allConfirmed("what was promised is confirmed on all")
}, 60_000)

test("a backup made while blocks come takes the first node's place, and nothing that was acknowledged is lost", async () => {
  let going = true
  const work = (async () => {
    while (going) for (const member of three()) await Promise.all([pay(member), mine(b())])
  })()
  const height = await heightOf(a())
  await until("blocks come", async () => (await heightOf(a())) > height + 5)
  const { folder: made, backup } = await call(httpOf(a()), "backup", { body: { label: "proof" }, token: adminToken })
  expect([backup.keys, backup.node]).toMatchObject(["sealed", { node_id: a().id }])
  await until("blocks go on", async () => (await heightOf(a())) > backup.chain.height + 3)
  going = false
  await work
  await until("what the first took is at the others", async () =>
    (await Promise.all([b(), c()].map((one) => lacking(one, ["pending", "confirmed"])))).every(
      (ids) => ids.length === 0
    )
  )
  // The machine is gone, with its disk.
  await a().running!.stop("SIGKILL")
  rmSync(a().folder, { recursive: true })
  await mine(c(), tokenOfAnna)
  a().folder = at("replacement")
  const restored = await run("restore", made, "--data-dir", a().folder, "--passphrase-file", at("passphrase"))
  expect([restored.code, restored.err]).toEqual([0, ""])
  const verified = await run("verify", "--data-dir", a().folder)
  expect(JSON.parse(verified.out)).toMatchObject({ valid: true, height: backup.chain.height })
  await begin(a())
  await met()
  await agree("the replacement has caught up")
  await pay(a())
  await until("its promise is at the second", async () => (await statusOf(b(), acknowledged.at(-1)!)) === "pending")
  await until("all is confirmed", async () => {
    await mine(b())
    return (await lacking(b(), ["confirmed"])).length === 0
  })
  await agree("one tip at the end")
  await allConfirmed("everything that was acknowledged is confirmed on all")
  expect([acknowledged.length > 20, new Set(wire.map(([form]) => form)), toSeed]).toEqual([true, new Set([2]), []])
  for (const { running } of three()) expect(await running!.stop()).toBe(0)
}, 60_000)
