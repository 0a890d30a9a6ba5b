/** Layers of changed entries: what a layer takes from the one above is as if it had been changed itself. */
import { expect, test } from "bun:test"
import { makeDice } from "../sim/dice.ts"
import { Overlay } from "./overlay.ts"

const byte = (value: number): Uint8Array => new Uint8Array([value])

test("a layer sees its own changes over those below, and remembers what was before it", () => {
  const base = new Map([
    ["a", byte(1)],
    ["b", byte(2)]
  ])
  const state = new Overlay((key) => base.get(key))
  state.set("a", undefined)
  state.set("c", byte(3))
  expect(["a", "b", "c", "d"].map((key) => state.get(key))).toStrictEqual([undefined, byte(2), byte(3), undefined])
  expect([...state.changes.values()].map(({ before }) => before)).toStrictEqual([byte(1), undefined, byte(2), undefined])
  expect([...base.keys()]).toEqual(["a", "b"])
})

test("what was never there is added without a look below; what has been touched is changed", () => {
  let reads = 0
  const state = new Overlay(() => void reads++)
  state.add("new", byte(1))
  expect([reads, state.get("new"), reads]).toEqual([0, byte(1), 0])
  state.set("new", undefined)
  state.add("new", byte(2))
  expect([state.changes.get("new"), reads]).toEqual([{ before: undefined, after: byte(2) }, 0])
})

test("taking a layer above is the same as making its changes here", () => {
  const dice = makeDice(61)
  for (let round = 0; round < 300; round++) {
    const base = new Map<string, Uint8Array>(Array.from({ length: 6 }, (_, i) => [`k${i}`, byte(i)]))
    const [one, other] = [0, 1].map(() => new Overlay((key) => base.get(key)))
    for (let layer = 0; layer < 4; layer++) {
      const above = new Overlay((key) => one!.get(key))
      for (let i = 0; i < 8; i++) {
        const key = `k${dice.int(10)}`
        const value = dice.chance(0.4) ? undefined : byte(dice.int(256))
        if (dice.chance(0.2)) above.get(key)
        above.set(key, value)
        other!.set(key, value)
      }
      one!.take(above.changes)
    }
    for (let i = 0; i < 10; i++) {
      expect(one!.get(`k${i}`)).toEqual(other!.get(`k${i}`))
      expect(one!.changes.get(`k${i}`)?.before).toEqual(base.get(`k${i}`))
    }
  }
})
