/**
 * Who is registered, by rules alone: who may come in, whose word is the last, who is shown. What is kept is kept behind a port.
 */
import { Result } from "effect"
import { equal } from "../codec/bytes.ts"
import { discoveryFreshMs, discoveryMembersMax, discoveryPerSourceMax } from "../limits.ts"
import { checkStatement, type Command, type DiscoveryReject, type Statement } from "./statement.ts"

/** One who is registered, as others are told. Times in milliseconds. */
export interface Member {
  readonly nodeId: string
  readonly chainId: string
  readonly endpoint: string
  readonly time: number
  readonly expires: number
}

/** A member as it is kept, also when it has gone: its last word stands until no older one could be replayed. */
export interface Row extends Member {
  readonly genesis: Uint8Array
  /** Who it came from; empty: this machine, where any number may be. */
  readonly source: string
  /** When it may be forgotten. */
  readonly keptUntil: number
}

/** Where rows are kept. */
export interface MemberStore {
  /** Forgets rows whose time to be kept is over. */
  readonly purge: (now: number) => void
  readonly find: (nodeId: string) => Row | undefined
  readonly put: (row: Row) => void
  /** How many rows there are, and how many of one source. */
  readonly count: (source: string) => { readonly all: number; readonly ofSource: number }
  /** Members of a chain that have not expired, by id, after an id, at most so many. */
  readonly page: (genesis: Uint8Array, after: string, limit: number, now: number) => ReadonlyArray<Member>
  readonly close: () => void
}

/** Who asks: an address that counts as one, and whether it is this machine. */
export interface Caller {
  readonly source: string
  readonly near: boolean
}

export class Registry {
  private readonly store: MemberStore
  private readonly membersMax: number

  constructor(store: MemberStore, membersMax: number = discoveryMembersMax) {
    this.store = store
    this.membersMax = membersMax
  }

  /** Registers, or moves or lengthens a registration. */
  add(statement: Statement, caller: Caller, now: number): Result.Result<Member, DiscoveryReject> {
    const { nodeId, chainId, genesis, endpoint, time, expires } = statement
    const source = caller.near ? "" : caller.source
    const wrong = checkStatement(statement, { now, near: caller.near }) ?? this.replayed(statement, now)
    if (wrong !== undefined) return Result.fail(wrong)
    const known = this.store.find(nodeId)
    const { all, ofSource } = this.store.count(source)
    if (known === undefined && all >= this.membersMax) return Result.fail("members-full")
    if (source !== "" && known?.source !== source && ofSource >= discoveryPerSourceMax)
      return Result.fail("address-full")
    const keptUntil = Math.max(expires, time + discoveryFreshMs)
    this.store.put({ nodeId, chainId, genesis, endpoint, time, expires, source, keptUntil })
    return Result.succeed({ nodeId, chainId, endpoint, time, expires })
  }

  /** Takes a member out, if it says so itself. */
  remove(statement: Statement, now: number): Result.Result<Member, DiscoveryReject> {
    const wrong = checkStatement(statement, { now, near: true }) ?? this.replayed(statement, now)
    if (wrong !== undefined) return Result.fail(wrong)
    const known = this.store.find(statement.nodeId)
    if (known === undefined || known.expires <= now || !equal(known.genesis, statement.genesis))
      return Result.fail("member-unknown")
    const { time } = statement
    // The word stays: else the registration could be replayed while it is fresh.
    this.store.put({ ...known, time, expires: 0, keptUntil: time + discoveryFreshMs })
    return Result.succeed(known)
  }

  /** A page of a chain's members, and after which id the next one begins. */
  page(
    { genesis, after, limit }: Omit<Extract<Command, { command: "get_all" }>, "command">,
    now: number
  ): { readonly members: ReadonlyArray<Member>; readonly next: string | undefined } {
    const members = this.store.page(genesis, after, limit, now)
    return { members, next: members.length < limit ? undefined : members.at(-1)?.nodeId }
  }

  private replayed({ nodeId, time }: Statement, now: number): DiscoveryReject | undefined {
    this.store.purge(now)
    const known = this.store.find(nodeId)
    return known !== undefined && time <= known.time ? "registration-replayed" : undefined
  }
}
