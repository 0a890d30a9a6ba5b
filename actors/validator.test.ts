/** A node that seals: it listens first, stops when it sees its own key at work elsewhere, waits for a signer that is away. */
import { expect, test } from "bun:test"
import { Clock, Effect, Logger, References } from "effect"
import { firstAuthority, keyOf, specOf, TestChain } from "../test/fixtures.ts"
import { startAlone } from "../test/sim/node.ts"
import { slotOf } from "../src/consensus/rota.ts"
import { makeRules } from "../src/chain/rules.ts"
import { forSeeds } from "../src/sim/world.ts"
import { nothingSigned, type Unsigned } from "../src/validator/protection.ts"
import { localSigner, type Signer } from "../src/validator/signer.ts"
import { type Sighting, watched } from "../src/validator/watch.ts"

const spec = specOf({ authorities: 1 })
const { rota } = makeRules(spec).consensus.author!
const key = keyOf(firstAuthority)

const signerOf = (): Signer => {
  let signed = nothingSigned
  return localSigner(key, { load: () => signed, save: (next) => void (signed = next) })
}

/** Runs with a log that is kept, but for what the watch of slots says of each (slot-watch.test.ts). */
const logging = <A, E>(heard: Array<string>, body: Effect.Effect<A, E>): Effect.Effect<A, E> => {
  const keep = Logger.make(({ message }) => {
    const line = String(([] as Array<unknown>).concat(message)[0])
    if (!/^(sealed block|slot) \d+/.test(line)) heard.push(line)
  })
  return body.pipe(
    Effect.provide(Logger.layer([keep])),
    Effect.provideService(References.MinimumLogLevel, "Info")
  )
}

test("a block in each slot once it has listened; a block of its key from elsewhere stops it, says so, and stays", () =>
  forSeeds(5, () => {
    const heard: Array<string> = []
    const found: Array<Sighting> = []
    const body = Effect.gen(function* () {
      const startSlot = slotOf(rota, yield* Clock.currentTimeMillis)
      const signer = watched(signerOf(), {
        rota,
        startSlot,
        listenSlots: 3,
        seen: undefined,
        found: (one) => void found.push(one)
      })
      const { tree, store } = yield* startAlone({ spec, signer })
      const reasons = Effect.map(tree.node.ready(), (view) => view.reasons.map(({ code }) => code))
      const height = (): number => store.tip().header.height
      yield* Effect.sleep(3_000)
      expect([height(), yield* reasons, heard]).toEqual([0, [], []])
      yield* Effect.sleep(5_000)
      const sealed = height()
      expect(sealed).toBeGreaterThanOrEqual(4)
      expect(store.bestAt(1)!.header.time).toBeGreaterThanOrEqual(rota.genesisTime + (startSlot + 4) * rota.slotMs)

      // The same key on the same chain, in a slot that is ours too, on another branch.
      const other = new TestChain(spec)
      other.now = store.bestAt(1)!.header.time - 100
      const strange = other.next()
      expect(yield* tree.node.offerBlock(strange)).toBe("stored")
      const after = height()
      yield* Effect.sleep(10_000)
      expect(found).toEqual([{ slot: slotOf(rota, strange.header.time), hash: strange.header.id }])
      expect([height() - after <= 1, yield* reasons]).toEqual([true, ["doppelganger"]])
      expect(heard.filter((line) => line.includes("another process seals with this key")).length).toBe(1)
      yield* tree.stop
    })
    return logging(heard, body)
  }))

test("a signer that is away is said once, slots pass, and once it is back they are sealed again", () =>
  forSeeds(5, () => {
    const heard: Array<string> = []
    let away: Unsigned | undefined
    const body = Effect.gen(function* () {
      const { tree, store } = yield* startAlone({ spec, signer: { ...signerOf(), idle: () => away } })
      yield* Effect.sleep(3_000)
      away = { code: "signer-away", message: "the signer is away: gone" }
      yield* Effect.sleep(1_000)
      const height = store.tip().header.height
      expect(height).toBeGreaterThan(0)
      yield* Effect.sleep(5_000)
      expect<number>(store.tip().header.height).toBe(height)
      expect((yield* tree.node.ready()).reasons.map(({ code }) => code)).toEqual(["signer-away"])
      away = undefined
      yield* Effect.sleep(3_000)
      expect(store.tip().header.height).toBeGreaterThan(height + 1)
      expect(heard).toEqual(["no block is sealed: the signer is away: gone", "blocks are sealed in our turns again"])
      yield* tree.stop
    })
    return logging(heard, body)
  }))
