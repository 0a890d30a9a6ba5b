/**
 * Owns the peer book: who may come in, whom we dial, who is banned, and the rounds that keep it fresh. A mailbox around
 * src/peer/directory.ts. It asks and dials without waiting: what comes of it comes back as a message.
 */
import { Clock, Effect } from "effect"
import { toHex } from "../src/codec/bytes.ts"
import type { PeerPolicy } from "../src/config.ts"
import { Random } from "../src/io/random.ts"
import { handshakeMsMax, outboundSessionsMax, peersPerMessageMax } from "../src/limits.ts"
import { reached } from "../src/marks.ts"
import type { PeerView } from "../src/node/peers.ts"
import { type Candidate, checkAdmission, groupsOf } from "../src/peer/admission.ts"
import { bookKeyBytes, type Connected, Directory } from "../src/peer/directory.ts"
import type { PeerRecord } from "../src/peer/record.ts"
import type { ActorRef, ActorSpec } from "./actor.ts"
import { toldOf, viewBook, viewPeer } from "./peer-view.ts"
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
  readonly policy: PeerPolicy
  /** Where we listen ourselves. */
  readonly ours: () => ReadonlyArray<string>
  /** Can this node dial such an endpoint? */
  readonly speaks: (endpoint: string) => boolean
  /** False: a node that speaks to no peers, whatever its directory knows. */
  readonly dials: boolean
  /** Sessions in all. */
  readonly sessionsMax: number
  readonly session: (id: SessionId) => ActorRef<SessionMessage> | undefined
  /** Begins a dial; its failure comes back as DialFailed. */
  readonly dial: (endpoint: string) => void
  /** Called at every start: sessions of an earlier life were admitted by a memory that is gone. */
  readonly begin: () => void
  /** The book across a restart. */
  readonly load: () => ReadonlyMap<string, unknown>
  readonly save: (rows: ReadonlyMap<string, unknown>) => void
  readonly changed: (nodeId: string, change: "joined" | "left", reason: string | undefined) => void
}

/** A session that stands, and what its peer gave us. */
interface Held extends PeerFacts, Candidate {
  latencyMs: number | undefined
  lastBlockAt: number | undefined
  lastTransactionAt: number | undefined
  /** Endpoints that it may still tell of before the next round. */
  tells: number
}

interface State {
  readonly clock: Clock.Clock
  readonly random: (length: number) => Uint8Array
  readonly directory: Directory
  readonly sessions: Map<SessionId, Held>
  /** Endpoints dialled and neither failed nor let in, with the time when that began. They count as sessions. */
  readonly dialled: Map<string, number>
  /** Of those, the ones that are only looked at. */
  readonly probing: Set<string>
  /** What we had dialled when we last looked. */
  anchors: ReadonlyArray<string>
  connectedAt: number
  roundAt: number
}

/** Milliseconds between two saves where no rounds are made. */
const saveMs = 60_000

/** The maintenance actor. */
export const makeMaintenance = (ports: MaintenancePorts): ActorSpec<State, MaintenanceMessage> => {
  const { policy } = ports
  /** Milliseconds that a dial and the proof after it can take; then it has failed without a word. */
  const dialMsMax = handshakeMsMax + policy.timeoutMs
  const close = (id: SessionId, reason: string): void => void ports.session(id)?.tell({ _tag: "Close", reason })
  const nowOf = (state: State): number => state.clock.currentTimeMillisUnsafe()
  const chanceOf = (state: State) => (): number => {
    const [a = 0, b = 0, c = 0] = state.random(3)
    return (a * 65_536 + b * 256 + c) / 2 ** 24
  }
  const jitter = (state: State): number => state.random(1)[0]! / 256
  const sessionOf = (state: State, nodeId: string): Held | undefined =>
    [...state.sessions.values()].find((held) => held.nodeId === nodeId)

  const candidate = (state: State, facts: PeerFacts, now: number): Held => {
    const place = state.directory.placeOf(facts.dialled)
    const isOwn = facts.dialled === undefined ? state.directory.isOwn(facts.nodeId) : place?.table === "own"
    const nothing = { latencyMs: undefined, lastBlockAt: undefined, lastTransactionAt: undefined }
    return { ...facts, ...nothing, host: facts.remoteHost, since: now, isOwn, tells: peersPerMessageMax }
  }

  /** Whom we only wanted to look at, or may not keep: we know now who is there. */
  const turnAway = (state: State, facts: PeerFacts, code: string, now: number): void => {
    if (facts.dialled === undefined) return
    state.directory.found(facts.dialled, facts.nodeId, now)
    state.directory.ended(facts.dialled, 0, code, now, jitter(state))
  }

  const admit = (state: State, { facts, reply }: Extract<MaintenanceMessage, { _tag: "Admit" }>): void => {
    const { directory, sessions } = state
    const now = nowOf(state)
    const others = [...sessions.values()]
    const newcomer = candidate(state, facts, now)
    const banned = newcomer.isOwn
      ? directory.isBanned(facts.nodeId, now)
      : directory.isUnwelcome(facts.nodeId, facts.remoteHost, now)
    const { ourId, sessionsMax } = ports
    const outcome = checkAdmission(newcomer, others, { ourId, banned, sessionsMax, policy, key: directory.key })
    if (facts.dialled !== undefined) state.dialled.delete(facts.dialled)
    const isProbe = facts.dialled !== undefined && state.probing.delete(facts.dialled)
    if (isProbe || "reject" in outcome) {
      const code = isProbe || !("reject" in outcome) ? "probe" : outcome.reject
      reached(isProbe ? "peer-probed" : "session-refused")
      turnAway(state, facts, code, now)
      return reply.fail({
        code,
        message: isProbe ? "only looked whether you are there" : "there is no place for this session"
      })
    }
    const { replaces, evicts } = outcome
    if (replaces !== undefined) {
      reached("session-replaced")
      drop(state, replaces as Held, "replaced by the session that the lower id dialled")
    }
    if (evicts !== undefined) {
      reached("session-evicted")
      drop(state, evicts as Held, "evicted: its place was needed")
      ports.changed(evicts.nodeId, "left", "evicted")
    }
    sessions.set(facts.session, newcomer)
    const { gossipKey } = facts
    directory.meet(facts.nodeId, { ...facts, gossipKey: gossipKey === undefined ? undefined : toHex(gossipKey) }, now)
    reply.succeed(true)
    ports.changed(facts.nodeId, "joined", undefined)
  }

  /** Ends a session for another. */
  const drop = (state: State, held: Held, reason: string): void => {
    state.sessions.delete(held.session)
    close(held.session, reason)
  }

  const ended = (state: State, id: SessionId, reason: string): void => {
    const held = state.sessions.get(id)
    if (held === undefined) return
    const now = nowOf(state)
    state.sessions.delete(id)
    if (held.dialled !== undefined) {
      state.dialled.delete(held.dialled)
      state.directory.ended(held.dialled, now - held.since, reason, now, jitter(state))
    }
    ports.changed(held.nodeId, "left", reason)
  }

  const failed = (state: State, endpoint: string, reason: string): void => {
    state.dialled.delete(endpoint)
    state.probing.delete(endpoint)
    const online = state.sessions.size > 0
    state.directory.failed(endpoint, reason, nowOf(state), { jitter: jitter(state), online })
  }

  const misbehaved = (state: State, message: Extract<MaintenanceMessage, { _tag: "Misbehaved" }>): void => {
    const held = state.sessions.get(message.session)
    if (held === undefined || !state.directory.punish(held.nodeId, message.code, message.points, nowOf(state))) return
    reached("peer-banned")
    close(message.session, `banned: ${message.code}`)
  }

  const measured = (state: State, message: Extract<MaintenanceMessage, { _tag: "Measured" }>): void => {
    const held = state.sessions.get(message.session)
    if (held === undefined) return
    const record = state.directory.heardFrom(held.nodeId, held.dialled, nowOf(state))
    const { latencyMs, height, work } = message
    if (latencyMs !== undefined) held.latencyMs = Math.min(held.latencyMs ?? latencyMs, latencyMs)
    if (record === undefined) return
    record.height = height ?? record.height
    record.work = work === undefined ? record.work : String(work)
    record.latencyMs = latencyMs ?? record.latencyMs
  }

  const gave = (state: State, { session, what }: Extract<MaintenanceMessage, { _tag: "Gave" }>): void => {
    const held = state.sessions.get(session)
    if (held === undefined) return
    if (what === "block") held.lastBlockAt = nowOf(state)
    else held.lastTransactionAt = nowOf(state)
  }

  /** Hearsay: endpoints to look at some day. A peer may tell of so many in a round. */
  const found = (state: State, { from, peers }: Extract<MaintenanceMessage, { _tag: "Found" }>): void => {
    const held = from === undefined ? undefined : state.sessions.get(from)
    if (from !== undefined && held === undefined) return
    const ours = ports.ours()
    const heard = peers.filter(({ endpoint, nodeId }) => nodeId !== ports.ourId && !ours.includes(endpoint))
    const taken = held === undefined ? heard : heard.slice(0, held.tells)
    if (held !== undefined) held.tells -= taken.length
    for (const { endpoint } of taken) state.directory.learn(endpoint, held?.remoteHost, nowOf(state))
  }

  const announced = (state: State, { endpoint, nodeId }: Extract<MaintenanceMessage, { _tag: "Announced" }>): void => {
    if (state.directory.announced(endpoint, nodeId, nowOf(state))) reached("peer-announced")
  }

  const connectedOf = (state: State): Connected => {
    const all = [...state.sessions.values()]
    return {
      nodeIds: new Set([ports.ourId, ...all.map(({ nodeId }) => nodeId)]),
      endpoints: new Set([
        ...ports.ours(),
        ...state.dialled.keys(),
        ...all.flatMap(({ endpoint, dialled }) => [endpoint ?? "", dialled ?? ""])
      ]),
      groups: groupsOf(all)
    }
  }

  const dial = (state: State, endpoint: string, now: number): void => {
    state.directory.dialling(endpoint, now)
    state.dialled.set(endpoint, now)
    ports.dial(endpoint)
  }

  /** Dials until there are enough outbound sessions, those being dialled included. */
  const connect = (state: State, now: number): void => {
    for (const [endpoint, since] of state.dialled) if (now - since > dialMsMax) state.dialled.delete(endpoint)
    for (const endpoint of state.probing) if (!state.dialled.has(endpoint)) state.probing.delete(endpoint)
    if (!ports.dials) return
    const all = [...state.sessions.values()]
    const outbound = all.filter(({ direction }) => direction === "outbound")
    const free = Math.min(outboundSessionsMax - outbound.length, ports.sessionsMax - all.length)
    const room = free - (state.dialled.size - state.probing.size)
    if (room > 0)
      for (const endpoint of state.directory.toDial(connectedOf(state), room, now, chanceOf(state)))
        dial(state, endpoint, now)
    // A node that stops has lost its sessions before it saves.
    const anchors = outbound.sort((a, b) => a.since - b.since).flatMap(({ dialled }) => dialled ?? [])
    if (anchors.length > 0) state.anchors = anchors
  }

  const sessionWith = ({ sessions }: State, node: string): SessionId | undefined =>
    [...sessions.values()].find(({ nodeId, endpoint, nodeUrl }) => [nodeId, endpoint, nodeUrl].includes(node))?.session

  /** Asks some peers for whom they know, looks at one endpoint, forgets what is over, and saves. */
  const round = (state: State, now: number): void => {
    const { directory, sessions } = state
    directory.prune(now)
    const chance = chanceOf(state)
    const ids = [...sessions.keys()]
    for (let left = policy.discoveryFanout; left > 0 && ids.length > 0; left--) {
      const [id] = ids.splice(Math.floor(chance() * ids.length), 1)
      ports.session(id!)?.tell({ _tag: "AskPeers" })
    }
    for (const held of sessions.values()) held.tells = peersPerMessageMax
    const probe =
      ports.dials && state.probing.size === 0 ? directory.toProbe(connectedOf(state), now, chance) : undefined
    if (probe !== undefined) {
      state.probing.add(probe)
      dial(state, probe, now)
    }
    ports.save(directory.rows(state.anchors))
  }

  /** Is it time? Also when the clock was set back. */
  const isDue = (last: number, everyMs: number, now: number): boolean => now - last >= everyMs || now < last

  const tick = (state: State): void => {
    const now = nowOf(state)
    if (isDue(state.connectedAt, policy.connectMs, now)) {
      state.connectedAt = now
      connect(state, now)
    }
    if (!isDue(state.roundAt, policy.maintenanceMs ?? saveMs, now)) return
    state.roundAt = now
    if (policy.maintenanceMs !== undefined) round(state, now)
    else ports.save(state.directory.rows(state.anchors))
  }

  const view = (state: State, record: PeerRecord): PeerView => {
    const direction = sessionOf(state, record.nodeId)?.direction ?? "none"
    return viewPeer(state.directory, record, { direction, dialled: state.dialled }, nowOf(state))
  }
  const views = (state: State): ReadonlyArray<PeerView> => state.directory.all.map((record) => view(state, record))

  const advertise = (state: State, { to, reply }: Extract<MaintenanceMessage, { _tag: "Advertise" }>): void => {
    const held = state.sessions.get(to)
    const ask = { except: held?.nodeId, host: held?.remoteHost, max: peersPerMessageMax }
    const rows = held === undefined ? [] : state.directory.advertised(ask, nowOf(state), chanceOf(state))
    reply.succeed(rows.map(({ endpoint, nodeId }) => ({ endpoint, nodeId })))
  }

  const add = (state: State, { endpoint, host, reply }: Extract<MaintenanceMessage, { _tag: "AddPeer" }>): void => {
    if (!ports.dials) return reply.succeed("no-peers")
    if (ports.ours().includes(endpoint)) return reply.succeed("self")
    const { directory } = state
    const now = nowOf(state)
    reply.succeed(host === undefined ? directory.add(endpoint, now) : directory.learn(endpoint, host, now))
  }

  const ban = (state: State, { nodeId, ms, reason, reply }: Extract<MaintenanceMessage, { _tag: "Ban" }>): void => {
    state.directory.ban(nodeId, { ms: ms ?? policy.banMs, reason }, nowOf(state))
    const held = sessionOf(state, nodeId)
    if (held !== undefined) close(held.session, "banned: by the operator")
    ports.save(state.directory.rows(state.anchors))
    reply.succeed(view(state, state.directory.find(nodeId)!))
  }

  const unban = (state: State, { nodeId, reply }: Extract<MaintenanceMessage, { _tag: "Unban" }>): void => {
    if (!state.directory.unban(nodeId)) return reply.succeed(undefined)
    ports.save(state.directory.rows(state.anchors))
    reply.succeed(view(state, state.directory.find(nodeId)!))
  }

  const remove = (state: State, { name, reply }: Extract<MaintenanceMessage, { _tag: "RemovePeer" }>): void => {
    const gone = state.directory.remove(name)
    for (const { session, nodeId, dialled } of state.sessions.values())
      if (gone && (nodeId === name || dialled === name)) close(session, "removed by the operator")
    ports.save(state.directory.rows(state.anchors))
    reply.succeed(gone)
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
      case "Gave":
        return gave(state, message)
      case "Found":
        return found(state, message)
      case "Announced":
        return announced(state, message)
      case "Advertise":
        return advertise(state, message)
      case "Tell":
        return message.reply.succeed(toldOf(state.directory.advertised(message, nowOf(state), chanceOf(state))))
      case "AddPeer":
        return add(state, message)
      case "Ban":
        return ban(state, message)
      case "Unban":
        return unban(state, message)
      case "RemovePeer":
        return remove(state, message)
      case "Peers":
        return message.reply.succeed(views(state))
      case "SessionOf":
        return message.reply.succeed(sessionWith(state, message.node))
      case "Book":
        return message.reply.succeed(viewBook(state.directory, views(state), state.dialled, nowOf(state)))
      case "Tick":
        return tick(state)
    }
  }

  const open = Effect.gen(function* () {
    const clock = yield* Clock.Clock
    const random = yield* Random
    ports.begin()
    const now = clock.currentTimeMillisUnsafe()
    const { seeds } = ports
    const { speaks } = ports
    const directory = new Directory({ key: random(bookKeyBytes), seeds, policy, now, speaks }, ports.load())
    // Anchors are used once: a peer that brings us down does not do so again at each start.
    ports.save(directory.rows([]))
    return {
      clock,
      random,
      directory,
      sessions: new Map<SessionId, Held>(),
      dialled: new Map<string, number>(),
      probing: new Set<string>(),
      anchors: [],
      connectedAt: Number.NEGATIVE_INFINITY,
      roundAt: now
    }
  })
  return {
    name: "maintenance",
    inboxMax: 1024,
    overflow: maintenanceOverflow,
    open,
    step,
    drain: (state) => Effect.sync(() => ports.save(state.directory.rows(state.anchors))),
    bounds: ({ directory, sessions, dialled, probing }) => [
      ...directory.bounds,
      { of: "sessions", used: sessions.size, max: ports.sessionsMax },
      { of: "dialled", used: dialled.size, max: outboundSessionsMax + 1 },
      { of: "probing", used: probing.size, max: 1 }
    ]
  }
}
