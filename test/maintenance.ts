/** The maintenance actor by itself: its steps run one by one, with all that it does outside. */
import { Clock, Effect } from "effect"
import { replyWith } from "../actors/actor.ts"
import { makeMaintenance } from "../actors/maintenance.ts"
import type { MaintenanceMessage, PeerFacts, SessionMessage } from "../actors/protocol.ts"
import { type PeerPolicy, peerPolicy } from "../src/config.ts"
import { Random } from "../src/io/random.ts"
import { sessionsMax } from "../src/limits.ts"
import type { PeerBookView } from "../src/node/peers.ts"
import { makeDice } from "../src/sim/dice.ts"

export interface MaintenanceWish {
  readonly policy?: Partial<PeerPolicy>
  readonly seeds?: ReadonlyArray<string>
  readonly rows?: ReadonlyMap<string, unknown>
  readonly sessionsMax?: number
}

export const maintenanceStage = (wish: MaintenanceWish = {}) => {
  const world = { now: 1_000_000 }
  const heard = {
    dialled: [] as Array<string>,
    told: [] as Array<readonly [number, SessionMessage]>,
    saved: [] as Array<ReadonlyMap<string, unknown>>
  }
  const dice = makeDice(1)
  const actor = makeMaintenance({
    ourId: "node1us",
    seeds: wish.seeds ?? [],
    policy: { ...peerPolicy, ...wish.policy },
    ours: () => ["44.0.0.1:19100"],
    speaks: () => true,
    dials: true,
    sessionsMax: wish.sessionsMax ?? sessionsMax,
    session: (id) => ({ tell: (message: SessionMessage) => heard.told.push([id, message]) > 0 }) as never,
    dial: (endpoint) => void heard.dialled.push(endpoint),
    begin: () => {},
    load: () => wish.rows ?? new Map(),
    save: (rows) => void heard.saved.push(new Map(JSON.parse(JSON.stringify([...rows])) as Array<[string, unknown]>)),
    changed: () => {}
  })
  const clock = { currentTimeMillisUnsafe: () => world.now } as unknown as Clock.Clock
  const state = Effect.runSync(
    Effect.scoped(actor.open).pipe(
      Effect.provideService(Clock.Clock, clock),
      Effect.provideService(Random, (length: number) => dice.bytes(length))
    ) as Effect.Effect<never>
  )
  const step = (message: MaintenanceMessage): void => void actor.step(state, message)
  /** Lets so many seconds pass, a tick in each. */
  const pass = (seconds: number): void => {
    for (let i = 0; i < seconds; i++) {
      world.now += 1_000
      step({ _tag: "Tick" })
    }
  }
  let session = 0
  /** Somebody proves who it is: "in", or why not. */
  const admit = (facts: Partial<PeerFacts> & { readonly nodeId: string }): string => {
    let answer = ""
    const reply = replyWith<true, { readonly code: string }>(
      () => void (answer = "in"),
      (refused) => void (answer = "code" in refused ? refused.code : "busy")
    )
    const more = {
      endpoint: undefined,
      remoteHost: "45.0.0.1",
      direction: "inbound",
      agent: "",
      dialled: undefined
    } as const
    step({ _tag: "Admit", facts: { ...more, session: ++session, ...facts }, reply })
    return answer
  }
  const found = (endpoint: string, nodeId = `node1${endpoint}`): string =>
    admit({
      nodeId,
      dialled: endpoint,
      direction: "outbound",
      remoteHost: endpoint.slice(0, endpoint.lastIndexOf(":"))
    })
  const book = (): PeerBookView => {
    let view: PeerBookView | undefined
    step({ _tag: "Book", reply: replyWith<PeerBookView>((given) => void (view = given)) })
    return view!
  }
  const tell = (from: number | undefined, endpoints: ReadonlyArray<string>): void =>
    step({ _tag: "Found", from, peers: endpoints.map((endpoint) => ({ endpoint, nodeId: "" })) })
  const drain = (): void => Effect.runSync(actor.drain!(state) as Effect.Effect<void>)
  return { world, heard, step, pass, admit, found, book, tell, drain, last: () => session }
}
