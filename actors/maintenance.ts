/** Owns the peer directory: who may come in, whom we dial, who is banned. A mailbox around src/peer/directory.ts. */
import { Clock, Effect } from "effect"
import { Random } from "../src/io/random.ts"
import { handshakeMsMax, outboundSessionsMax, peersPerMessageMax } from "../src/limits.ts"
import { reached } from "../src/marks.ts"
import type { PeerView } from "../src/node.ts"
import { checkAdmission } from "../src/peer/admission.ts"
import { Directory, type PeerRecord } from "../src/peer/directory.ts"
import type { ActorRef, ActorSpec } from "./actor.ts"
import {
  type MaintenanceMessage,
  maintenanceOverflow,
  type PeerFacts,
  type SessionId,
  type SessionMessage
} from "./protocol.ts"

export interface MaintenancePorts {
  readonly ourId: string
  readonly seeds: ReadonlyArray<string>
  /** False: a node that speaks to no peers, whatever its directory knows. */
  readonly dials: boolean
  /** Sessions in all. */
  readonly sessionsMax: number
  readonly session: (id: SessionId) => ActorRef<SessionMessage> | undefined
  /** Begins a dial; its failure comes back as DialFailed. */
  readonly dial: (endpoint: string) => void
  /** Called at every start: sessions of an earlier life were admitted by a memory that is gone. */
  readonly begin: () => void
  /** The directory across a restart. */
  readonly load: () => Iterable<PeerRecord>
  readonly save: (records: ReadonlyArray<PeerRecord>) => void
  readonly changed: (nodeId: string, change: "joined" | "left", reason: string | undefined) => void
}

interface State {
  readonly clock: Clock.Clock
  readonly random: (length: number) => Uint8Array
  readonly directory: Directory
  readonly sessions: Map<SessionId, PeerFacts>
  /** Endpoints dialled and neither failed nor let in, with the time when that began. They count as sessions. */
  readonly dialled: Map<string, number>
  ticks: number
}

/** Milliseconds that a dial and the proof after it can take; then it has failed without a word. */
const dialMsMax = handshakeMsMax + 5_000
/** Ticks between two saves of the directory: about a minute. */
const saveTicks = 60

/** The maintenance actor. */
export const makeMaintenance = (ports: MaintenancePorts): ActorSpec<State, MaintenanceMessage> => {
  const close = (id: SessionId, reason: string): void => void ports.session(id)?.tell({ _tag: "Close", reason })

  const admit = (state: State, { facts, reply }: Extract<MaintenanceMessage, { _tag: "Admit" }>): void => {
    const now = state.clock.currentTimeMillisUnsafe()
    const others = [...state.sessions.values()].map((other) => ({ ...other, host: other.remoteHost }))
    const banned = state.directory.isBanned(facts.nodeId, now)
    const outcome = checkAdmission({ ...facts, host: facts.remoteHost }, others, {
      ourId: ports.ourId,
      banned,
      sessionsMax: ports.sessionsMax
    })
    if (facts.dialled !== undefined) state.dialled.delete(facts.dialled)
    if ("reject" in outcome) {
      reached("session-refused")
      return reply.fail({ code: outcome.reject, message: "there is no place for this session" })
    }
    if (outcome.replaces !== undefined) {
      reached("session-replaced")
      const twin = others.find(({ nodeId }) => nodeId === facts.nodeId)!
      state.sessions.delete(twin.session)
      close(twin.session, "replaced by the session that the lower id dialled")
    }
    state.sessions.set(facts.session, facts)
    state.directory.meet(facts.nodeId, facts, now)
    if (facts.dialled !== undefined) {
      state.directory.learn(facts.dialled, facts.nodeId)
      state.directory.succeeded(facts.dialled)
    }
    reply.succeed(true)
    ports.changed(facts.nodeId, "joined", undefined)
  }

  const ended = (state: State, id: SessionId, reason: string): void => {
    const facts = state.sessions.get(id)
    if (facts === undefined) return
    state.sessions.delete(id)
    if (facts.dialled !== undefined) failed(state, facts.dialled, reason)
    ports.changed(facts.nodeId, "left", reason)
  }

  const failed = (state: State, endpoint: string, reason: string): void => {
    state.dialled.delete(endpoint)
    state.directory.failed(endpoint, reason, state.clock.currentTimeMillisUnsafe(), state.random(1)[0]! / 256)
  }

  const misbehaved = (state: State, message: Extract<MaintenanceMessage, { _tag: "Misbehaved" }>): void => {
    const facts = state.sessions.get(message.session)
    if (facts === undefined) return
    const banned = state.directory.punish(
      facts.nodeId,
      message.code,
      message.points,
      state.clock.currentTimeMillisUnsafe()
    )
    if (!banned) return
    reached("peer-banned")
    close(message.session, `banned: ${message.code}`)
  }

  const measured = (state: State, message: Extract<MaintenanceMessage, { _tag: "Measured" }>): void => {
    const record = state.directory.find(state.sessions.get(message.session)?.nodeId ?? "")
    if (record === undefined) return
    record.height = message.height ?? record.height
    record.latencyMs = message.latencyMs ?? record.latencyMs
    record.lastSeenAt = state.clock.currentTimeMillisUnsafe()
  }

  /** Dials until there are enough outbound sessions, those being dialled included. */
  const tick = (state: State): void => {
    const now = state.clock.currentTimeMillisUnsafe()
    const all = [...state.sessions.values()]
    const connected = {
      nodeIds: new Set([ports.ourId, ...all.map(({ nodeId }) => nodeId)]),
      endpoints: new Set(all.flatMap(({ endpoint, dialled }) => [endpoint ?? "", dialled ?? ""]))
    }
    for (const [endpoint, since] of state.dialled) if (now - since > dialMsMax) state.dialled.delete(endpoint)
    const outbound = all.filter(({ direction }) => direction === "outbound").length
    const free = Math.min(outboundSessionsMax - outbound, ports.sessionsMax - all.length)
    const room = ports.dials ? free - state.dialled.size : 0
    for (const endpoint of state.directory.toDial(connected, room, now)) {
      state.directory.dialling(endpoint, now)
      state.dialled.set(endpoint, now)
      ports.dial(endpoint)
    }
    if (++state.ticks % saveTicks === 0) ports.save(state.directory.all)
  }

  const sessionOf = ({ sessions }: State, node: string): SessionId | undefined =>
    [...sessions.values()].find(({ nodeId, endpoint, nodeUrl }) => [nodeId, endpoint, nodeUrl].includes(node))?.session

  const view = (state: State, record: PeerRecord): PeerView => {
    const now = state.clock.currentTimeMillisUnsafe()
    const session = [...state.sessions.values()].find(({ nodeId }) => nodeId === record.nodeId)
    const cooldownUntil = session === undefined ? state.directory.cooldownOf(record.endpoint, now) : undefined
    const banned = state.directory.isBanned(record.nodeId, now)
    return {
      nodeId: record.nodeId,
      endpoint: record.endpoint ?? "",
      direction: session?.direction ?? "none",
      state: banned ? "banned" : session !== undefined ? "active" : cooldownUntil !== undefined ? "backoff" : "known",
      score: -record.points,
      height: record.height,
      agent: record.agent,
      latencyMs: record.latencyMs,
      lastSeenAt: record.lastSeenAt,
      lastError: record.lastError,
      cooldownUntil,
      bannedUntil: banned ? record.bannedUntil : undefined,
      nodeUrl: session?.nodeUrl,
      gossipEndpoint: session?.gossipEndpoint,
      tlsFingerprint: session?.tlsFingerprint
    }
  }

  const step = (state: State, message: MaintenanceMessage): void => {
    switch (message._tag) {
      case "Admit":
        return admit(state, message)
      case "SessionEnded":
        return ended(state, message.session, message.reason)
      case "DialFailed":
        return failed(state, message.endpoint, message.reason)
      case "Misbehaved":
        return misbehaved(state, message)
      case "Measured":
        return measured(state, message)
      case "Found":
        for (const { endpoint, nodeId } of message.peers)
          if (nodeId !== ports.ourId) state.directory.learn(endpoint, nodeId)
        return
      case "Advertise":
        return message.reply.succeed(
          state.directory.advertised(state.sessions.get(message.to)?.nodeId ?? "", peersPerMessageMax)
        )
      case "AddPeer":
        return message.reply.succeed(ports.dials ? state.directory.add(message.endpoint) : "no-peers")
      case "Peers":
        return message.reply.succeed(state.directory.all.map((record) => view(state, record)))
      case "SessionOf":
        return message.reply.succeed(sessionOf(state, message.node))
      case "Tick":
        return tick(state)
    }
  }

  const open = Effect.gen(function* () {
    const clock = yield* Clock.Clock
    const random = yield* Random
    ports.begin()
    return {
      clock,
      random,
      directory: new Directory(ports.seeds, ports.load()),
      sessions: new Map<SessionId, PeerFacts>(),
      dialled: new Map<string, number>(),
      ticks: 0
    }
  })
  return {
    name: "maintenance",
    inboxMax: 1024,
    overflow: maintenanceOverflow,
    open,
    step,
    drain: (state) => Effect.sync(() => ports.save(state.directory.all)),
    bounds: ({ directory, sessions, dialled }) => [
      ...directory.bounds,
      { of: "sessions", used: sessions.size, max: ports.sessionsMax },
      { of: "dialled", used: dialled.size, max: outboundSessionsMax }
    ]
  }
}
