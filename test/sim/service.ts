/** A discovery service in a world: the registry's own rules behind a door that a test can close, slow down, or let lie. */
import { Clock, Effect, Result } from "effect"
import { type Member, Registry } from "../../src/discovery/registry.ts"
import { advice, type DiscoveryReject, readCommand } from "../../src/discovery/statement.ts"
import { type Fetch, type FetchAnswer, FetchFault } from "../../src/io/fetch.ts"
import { openMembers } from "../../src/store/members.ts"

/** `mute`: the question is never answered, not even by the door. */
export type Mood = "up" | "away" | "slow" | "mute" | { readonly says: FetchAnswer }

export class SimService {
  readonly url = "http://192.0.2.53:4444/"
  mood: Mood = "up"
  /** Commands heard while it was up, in order. */
  readonly heard: Array<string> = []
  /** When it was asked for anything, in whatever mood. */
  readonly askedAt: Array<number> = []
  private readonly registry = new Registry(openMembers(":memory:"))

  readonly fetch: Fetch = ({ body, timeoutMs, bytesMax }) =>
    Effect.flatMap(Clock.currentTimeMillis, (now): Effect.Effect<FetchAnswer, FetchFault> => {
      const { mood } = this
      this.askedAt.push(now)
      if (mood === "away") return Effect.fail(new FetchFault({ message: "nobody there" }))
      if (mood === "mute") return Effect.never
      const late = new FetchFault({ message: "no answer in time" })
      if (mood === "slow") return Effect.andThen(Effect.sleep(timeoutMs), Effect.fail(late))
      const answer = mood === "up" ? this.answer(JSON.parse(body), now) : mood.says
      const tooLong = new FetchFault({ message: "too long" })
      return answer.body.length > bytesMax ? Effect.fail(tooLong) : Effect.succeed(answer)
    })

  /** Where the members of a chain are, by id. */
  members(genesis: Uint8Array, now: number): Readonly<Record<string, string>> {
    const { members } = this.registry.page({ genesis, after: "", limit: 64 }, now)
    return Object.fromEntries(members.map(({ nodeId, endpoint }) => [nodeId, endpoint]))
  }

  private answer(value: unknown, now: number): FetchAnswer {
    const read = readCommand(value)
    if (Result.isFailure(read)) return refusal(read.failure)
    const command = read.success
    this.heard.push(command.command)
    if (command.command === "get_all") {
      const { members, next } = this.registry.page(command, now)
      return { status: 200, body: JSON.stringify({ members, page: { next_cursor: next ?? null } }) }
    }
    const { statement } = command
    const caller = { source: "192.0.2.1", near: false }
    const done =
      command.command === "add" ? this.registry.add(statement, caller, now) : this.registry.remove(statement, now)
    return Result.isFailure(done) ? refusal(done.failure) : { status: 200, body: memberText(done.success) }
  }
}

const refusal = (code: DiscoveryReject): FetchAnswer => ({
  status: 400,
  body: JSON.stringify({ code, detail: advice[code] })
})
const memberText = ({ nodeId }: Member): string => JSON.stringify({ peer: { id: nodeId } })
