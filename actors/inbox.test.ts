/** The inbox against a model that is obviously right: a list that is searched and cut. */
import { expect, test } from "bun:test"
import { makeDice } from "../src/sim/dice.ts"
import { Inbox, type Overflow } from "./inbox.ts"

interface Message {
  readonly _tag: Overflow
  readonly n: number
}

const kinds = ["refuse", "wait", "drop-new", "drop-old", "keep-latest", "owed"] as const
const owedMax = 3
const overflow = Object.fromEntries(kinds.map((kind) => [kind, kind])) as Record<Overflow, Overflow>

/** What `push` should answer, done to a plain list. */
const pushModel = (list: Array<Message>, message: Message, max: number): unknown => {
  const oldest = list.find(({ _tag }) => _tag === message._tag)
  if (message._tag === "keep-latest" && oldest !== undefined) {
    list[list.indexOf(oldest)] = message
    return { displaced: oldest }
  }
  if (message._tag === "keep-latest" || list.length < max) return (list.push(message), "taken")
  if (message._tag === "drop-new") return "lost"
  const owed = list.filter(({ _tag }) => _tag === "owed").length
  if (message._tag === "owed") return owed < owedMax ? (list.push(message), "taken") : "lost"
  if (message._tag !== "drop-old") return "full"
  if (oldest === undefined) return "lost"
  list.splice(list.indexOf(oldest), 1)
  list.push(message)
  return { displaced: oldest }
}

test("answers and order are those of a plain list, whatever comes and goes", () => {
  for (let seed = 0; seed < 200; seed++) {
    const dice = makeDice(seed)
    const max = 1 + dice.int(seed % 10 === 0 ? 1500 : 8)
    const inbox = new Inbox<Message>(max, overflow, owedMax)
    expect(inbox.capacity).toBe(max + 1 + owedMax)
    const list: Array<Message> = []
    for (let n = 0; n < 400; n++) {
      if (dice.chance(0.4)) expect(inbox.shift()).toBe(list.shift()!)
      else
        for (let burst = dice.int(8); burst >= 0; burst--) {
          const message = { _tag: dice.pick(kinds), n }
          expect(inbox.push(message)).toEqual(pushModel(list, message, max) as never)
        }
      expect([inbox.size, inbox.size <= inbox.capacity]).toEqual([list.length, true])
    }
    while (list.length > 0) expect(inbox.shift()).toBe(list.shift()!)
    expect([inbox.shift(), inbox.size]).toEqual([undefined, 0])
  }
})
