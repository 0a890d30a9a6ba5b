/** Each figure that an operator may choose about peers, announcements and backups changes what the node does: none is read and then ignored. */
import { describe, expect, test } from "bun:test"
import { mkdtempSync, readdirSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Effect, Result } from "effect"
import { type NodeConfig, type PeerPolicy, peerPolicy } from "../../src/config.ts"
import { CallFault } from "../../src/io/call-node.ts"
import type { ToldPeer } from "../../src/node/peers.ts"
import { replyWith } from "../../actors/actor.ts"
import { judge } from "../../src/settings/judge.ts"
import { nodeConfig } from "../../src/settings/node-config.ts"
import { admissionSettings, gossipSettings } from "../../src/settings/peer-table.ts"
import { backupSettings } from "../../src/settings/node-table.ts"
import { from, hear, make, meet, now, peer, plain, saying, sendsIn, tip } from "../gossip.ts"
import { maintenanceStage } from "../maintenance.ts"
import { startNode, until } from "../network.ts"

const config = (environment: Readonly<Record<string, string>>): NodeConfig =>
  nodeConfig(
    judge({ flags: {}, sets: [], environment, file: undefined, readFile: () => Result.fail("none") }),
    "folder"
  )

type Stage = ReturnType<typeof maintenanceStage>

const strangers = (count: number): ReadonlyArray<string> => Array.from({ length: count }, (_, i) => `46.${i}.1.1:1`)
/** Peers of networks of their own come in. */
const come = ({ admit }: Stage, count: number): ReadonlyArray<string> =>
  Array.from({ length: count }, (_, i) => admit({ nodeId: `node1${i}`, remoteHost: `45.${i}.1.1` }))
const asksIn = ({ heard }: Stage): number => heard.told.filter(([, { _tag }]) => _tag === "AskPeers").length
/** Somebody whom others named is not there, so often, while others are. */
const missed = (stage: Stage, times: number) => {
  come(stage, 2)
  stage.tell(undefined, ["46.1.1.1:1"])
  for (let i = 0; i < times; i++) stage.step({ _tag: "DialFailed", endpoint: "46.1.1.1:1", reason: "nobody" })
  return stage.book().unmet[0]!
}

/** By variable: what is said, and what comes of it; it must differ from what comes without. */
const peerRows: Readonly<
  Record<string, { readonly say: string; readonly see: (stage: Stage) => unknown; readonly then: unknown }>
> = {
  BLOCKCHAIN_MAX_PEERS: {
    say: "2",
    see: (stage) => {
      stage.tell(undefined, strangers(6))
      for (const endpoint of strangers(6)) stage.found(endpoint)
      return stage.book().counts.tried
    },
    then: 2
  },
  BLOCKCHAIN_ALLOWED_PEER_HOSTS: {
    say: "46.9.9.9",
    see: ({ admit }) => admit({ nodeId: "node1a" }),
    then: "host-not-allowed"
  },
  BLOCKCHAIN_ALLOWED_PEER_IDS: {
    say: "node1b",
    see: ({ admit }) => admit({ nodeId: "node1a" }),
    then: "id-not-allowed"
  },
  BLOCKCHAIN_P2P_DIAL_DISCOVERED_PEERS: {
    say: "false",
    see: (stage) => {
      stage.tell(undefined, strangers(3))
      stage.pass(3)
      return stage.heard.dialled.length > 0
    },
    then: false
  },
  BLOCKCHAIN_PEER_DISCOVERY_FANOUT: {
    say: "1",
    see: (stage) => {
      come(stage, 9)
      stage.pass(30)
      return asksIn(stage)
    },
    then: 1
  },
  BLOCKCHAIN_PEER_ADVERTISED_LIMIT: {
    say: "1",
    see: (stage) => {
      for (const endpoint of strangers(6))
        stage.admit({
          ...{ nodeId: `node1${endpoint}`, dialled: endpoint, endpoint, direction: "outbound" },
          remoteHost: endpoint.slice(0, -2)
        })
      let told: ReadonlyArray<ToldPeer> = []
      const reply = replyWith<ReadonlyArray<ToldPeer>>((found) => void (told = found))
      stage.step({ _tag: "Tell", except: undefined, host: undefined, max: 64, reply })
      return told.length
    },
    then: 1
  },
  BLOCKCHAIN_PEER_BACKOFF_BASE_SECONDS: {
    say: "100",
    see: (stage) => missed(stage, 1).cooldownUntil! - stage.world.now > 70_000,
    then: true
  },
  BLOCKCHAIN_PEER_BAN_SECONDS: {
    say: "7",
    see: (stage) => {
      stage.step({ _tag: "Ban", nodeId: "node1a", ms: undefined, reason: undefined, reply: replyWith(() => {}) })
      return stage.book().peers[0]!.bannedUntil! - stage.world.now
    },
    then: 7_000
  },
  BLOCKCHAIN_PEER_MAX_FAILURES_BEFORE_BAN: { say: "2", see: (stage) => missed(stage, 2).state, then: "banned" },
  BLOCKCHAIN_MAX_PEERS_PER_IP: {
    say: "1",
    see: ({ admit }) => ["a", "b"].map((id) => admit({ nodeId: `node1${id}` })),
    then: ["in", "address-full"]
  },
  BLOCKCHAIN_MAX_PEERS_PER_SUBNET: {
    say: "1",
    see: ({ admit }) => ["4", "5"].map((i) => admit({ nodeId: `node1${i}`, remoteHost: `45.1.1.${i}` })),
    then: ["in", "subnet-full"]
  },
  BLOCKCHAIN_PEER_MAINTENANCE_ENABLED: {
    say: "false",
    see: (stage) => {
      come(stage, 3)
      stage.pass(120)
      return asksIn(stage)
    },
    then: 0
  },
  BLOCKCHAIN_PEER_MAINTENANCE_INTERVAL_SECONDS: {
    say: "5",
    see: (stage) => {
      come(stage, 1)
      stage.pass(20)
      return asksIn(stage)
    },
    then: 4
  },
  BLOCKCHAIN_P2P_CONNECT_INTERVAL_SECONDS: {
    say: "20",
    see: (stage) => {
      stage.pass(1)
      stage.tell(undefined, strangers(3))
      stage.pass(10)
      return stage.heard.dialled.length
    },
    then: 0
  }
}

/** Variables of a group of settings. */
const variablesOf = (group: Readonly<Record<string, { readonly variable: string }>>): ReadonlyArray<string> =>
  Object.values(group).map(({ variable }) => variable)

describe("what is said about peers", () => {
  test("is looked at below, all of it", () => {
    const here = new Set(Object.keys(peerRows))
    expect(variablesOf(admissionSettings).filter((variable) => !here.has(variable))).toEqual([])
  })

  test.each(Object.entries(peerRows))("%s is heeded", (variable, { say, see, then }) => {
    const stageOf = (environment: Record<string, string>) =>
      maintenanceStage({ policy: config(environment).peers!.policy! })
    expect(see(stageOf({ [variable]: say }))).toEqual(then)
    expect(see(stageOf({}))).not.toEqual(then)
  })

  test("reaches the actors of a whole node: each figure is read there", async () => {
    const read = new Set<string>()
    const policy = new Proxy<PeerPolicy>(
      { ...peerPolicy, maintenanceMs: 1_000, requireHttps: true },
      { get: (from, name) => (read.add(String(name)), from[name as keyof PeerPolicy]) }
    )
    const calls: Array<readonly [number, boolean | undefined]> = []
    const node = await startNode({
      policy,
      nodes: {
        urls: ["https://a.example"],
        callNode: ({ timeoutMs, requireHttps }) => {
          calls.push([timeoutMs, requireHttps])
          return Effect.fail(new CallFault({ code: "not-reached", message: "nobody" }))
        }
      }
    })
    const other = await startNode({ seeds: [node.endpoint] })
    try {
      await Effect.runPromise(node.tree.node.heard({ nodeId: "", endpoint: "127.0.0.1:9" }))
      const unread = (): ReadonlyArray<string> => Object.keys(policy).filter((name) => !read.has(name))
      await until("each is read", async () => {
        await Effect.runPromise(node.tree.node.toldPeers(4, undefined, undefined))
        return unread().length === 0
      })
      expect(calls[0]).toEqual([peerPolicy.timeoutMs, true])
    } finally {
      await other.stop()
      await node.stop()
    }
  })
})

describe("what is said about announcements", () => {
  /** The machine as the settings make it, with five peers and two seeds. */
  const machineOf = (environment: Record<string, string>) => {
    const { fanout, everyMs, ttlMs, hopsMax, plaintext } = config({
      BLOCKCHAIN_GOSSIP_ENABLED: "true",
      ...environment
    }).gossip!
    const machine = make(1, { fanout, everyMs, ttlMs, hopsMax, plaintext })
    meet(machine, ...[2, 3, 4, 5, 6].map((n) => peer(n)))
    return machine
  }
  /** One of them has passed on what another says. */
  const heard = (environment: Record<string, string>, at: number) =>
    hear(machineOf(environment), from("192.0.2.3", plain(saying(2), 1)), at)

  const rows: Readonly<Record<string, readonly [string, (said: Record<string, string>) => unknown, unknown]>> = {
    BLOCKCHAIN_GOSSIP_FANOUT: ["1", (said) => sendsIn(machineOf(said).tick(now, tip, "")).length, 1],
    BLOCKCHAIN_GOSSIP_INTERVAL_SECONDS: [
      "60",
      (said) => {
        const machine = machineOf(said)
        machine.tick(now, tip, "")
        return sendsIn(machine.tick(now + 10_000, tip, "")).length
      },
      0
    ],
    BLOCKCHAIN_GOSSIP_MESSAGE_TTL_SECONDS: ["2", (said) => heard(said, now + 3_000).drop, "announcement-stale"],
    BLOCKCHAIN_GOSSIP_MAX_HOPS: ["1", (said) => sendsIn(heard(said, now).effects).length, 0],
    BLOCKCHAIN_ALLOW_PLAINTEXT_GOSSIP: ["false", (said) => heard(said, now).drop, "plaintext-refused"],
    BLOCKCHAIN_GOSSIP_ENABLED: ["encrypted", (said) => heard(said, now).drop, "plaintext-refused"],
    BLOCKCHAIN_GOSSIP_SEEDS: [
      "203.0.113.1:7",
      (said) => config({ BLOCKCHAIN_GOSSIP_ENABLED: "true", ...said }).gossip!.seeds,
      ["203.0.113.1:7"]
    ]
  }
  const places = ["BLOCKCHAIN_GOSSIP_BIND_HOST", "BLOCKCHAIN_GOSSIP_PORT", "BLOCKCHAIN_GOSSIP_ADVERTISE_HOST"]

  test("is looked at below, all of it", () => {
    const here = new Set([...Object.keys(rows), ...places])
    expect(variablesOf(gossipSettings).filter((variable) => !here.has(variable))).toEqual([])
  })

  test.each(Object.entries(rows))("%s is heeded", (variable, [say, see, then]) => {
    expect(see({ [variable]: say })).toEqual(then)
    expect(see({})).not.toEqual(then)
  })

  test("places the socket, and what others are told of it", async () => {
    const said = {
      BLOCKCHAIN_GOSSIP_BIND_HOST: "127.0.0.1",
      BLOCKCHAIN_GOSSIP_PORT: "0",
      BLOCKCHAIN_GOSSIP_SEEDS: "127.0.0.1:9"
    }
    const hidden = await startNode({ gossip: config(said).gossip! })
    const told = await startNode({
      gossip: config({ ...said, BLOCKCHAIN_GOSSIP_ADVERTISE_HOST: "gossip.example.org:7" }).gossip!
    })
    try {
      expect(hidden.tree.node.facts.gossipEndpoint).toMatch(/^127\.0\.0\.1:[1-9]\d*$/)
      expect(told.tree.node.facts.gossipEndpoint).toBe("gossip.example.org:7")
      await until("the seed is known", async () => (await Effect.runPromise(hidden.tree.node.gossip!())).seeds === 1)
    } finally {
      await hidden.stop()
      await told.stop()
    }
  })
})

test("what is said about backups is heeded: folder, number, keys, and when", async () => {
  const folder = mkdtempSync(join(tmpdir(), "cairn-heeded-"))
  const said = {
    BLOCKCHAIN_BACKUP_DIR: folder,
    CAIRN_BACKUP_KEEP: "1",
    CAIRN_BACKUP_PASSPHRASE: "correct horse battery",
    CAIRN_BACKUP_EVERY_SECONDS: "3600"
  }
  expect(variablesOf(backupSettings).filter((variable) => !(variable in said))).toEqual([])
  const node = await startNode({ backups: config(said).backup! })
  try {
    const run = <A, E>(effect: Effect.Effect<A, E>): Promise<A> => Effect.runPromise(effect)
    await until("the clock's own is made", async () => (await run(node.tree.node.stats())).backups?.last !== undefined)
    const { last, nextAt } = (await run(node.tree.node.stats())).backups!
    expect([nextAt! > last!.at + 3_500_000, nextAt! < last!.at + 3_700_000]).toEqual([true, true])
    const made = await run(node.tree.node.backup("scheduled"))
    expect([made.path.startsWith(folder), made.manifest["keys"]]).toEqual([true, "sealed"])
    expect(readdirSync(folder).filter((name) => name.startsWith("scheduled"))).toEqual([made.path.split("/").at(-1)!])
  } finally {
    await node.stop()
    rmSync(folder, { recursive: true, force: true })
  }
})
