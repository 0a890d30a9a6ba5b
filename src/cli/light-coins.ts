/**
 * `cairn light balance` on a chain of coins: which coins there are is found by filters, and each of them is proven. So what is
 * told is there; that there is no more rests on the filters that the peers agree on.
 */
import { Effect } from "effect"
import { formatAddress } from "../crypto/address.ts"
import { toHex } from "../codec/bytes.ts"
import { spendableFrom } from "../ledger/coin.ts"
import type { CoinsOutcome } from "../light/coins.ts"
import { attempt } from "./attempt.ts"
import type { Failure } from "./failure.ts"
import {
  addressesIn,
  filterLines,
  goOn,
  headerFacts,
  headerLines,
  isSynced,
  type Light,
  unfound,
  unproven
} from "./light-session.ts"
import { money } from "./money.ts"
import { makeProgress, print, rows } from "./output.ts"

/** Coins to prove from which on a person would wait. */
const progressFrom = 100

type Found = Extract<CoinsOutcome, { readonly _tag: "Found" }>

/** Finds and proves the coins of an address, and tells of them; of each one if they are `listed`. */
export const coinsOf = (
  light: Light,
  options: { readonly address: string; readonly from: number; readonly listed: boolean }
): Effect.Effect<void, Failure> => {
  const { client, driver, clock } = light
  const now = () => clock.currentTimeMillisUnsafe()
  const say = makeProgress(now, 5_000)
  return Effect.gen(function* () {
    const [owner] = yield* attempt(() => addressesIn(light, [options.address]))
    yield* goOn(light, () => {
      if (client.coins === undefined && isSynced(light))
        driver.perform(client.askCoins({ owner: owner!, from: options.from }, now()))
      const { proven, of } = client.coins?.progress ?? { proven: 0, of: 0 }
      if (of >= progressFrom && proven < of) say(`proving coins: ${proven} of ${of}`, { coins: proven, of })
      return client.coins?.outcome !== undefined
    })
    const outcome = client.coins!.outcome!
    if (outcome._tag === "Unfound") return yield* unfound(light)
    if (outcome._tag === "Unproven") return yield* unproven(light, { absent: 0, ...outcome }, options.address)
    tell(light, outcome, options, formatAddress(owner!, light.rules.spec.addressPrefix))
  })
}

const tell = (
  light: Light,
  found: Found,
  { from, listed }: { readonly from: number; readonly listed: boolean },
  address: string
): void => {
  const { ledger } = light.rules.spec
  const scan = light.client.scan!
  const { header } = found
  const coins = found.coins
    .toSorted((a, b) => b.amount - a.amount)
    .map((coin) => ({
      transaction_id: toHex(coin.id),
      index: coin.index,
      amount: coin.amount as number,
      height: coin.height,
      coinbase: coin.coinbase,
      spendable_from: spendableFrom(coin, ledger.model === "utxo" ? ledger.coinbaseMaturity : 0)
    }))
  const sum = (list: typeof coins): number => list.reduce((total, { amount }) => total + amount, 0)
  const unripe = coins.filter((coin) => coin.spendable_from > header.height + 1)
  const count = `${coins.length} coin${coins.length === 1 ? "" : "s"}`
  const value = {
    ...{ kind: "coins", address, balance: sum(coins), unripe: sum(unripe), coins, from },
    header: { hash: header.id, height: header.height, time: header.time },
    filters: scan.counts.filters,
    blocks: scan.counts.blocks,
    agreeing_peers: scan.agreeing.length,
    light: headerFacts(light)
  }
  print(value, [
    `${address} has ${money(sum(coins), ledger)} in ${count} after height ${header.height}.`,
    ...(listed ? coins.map((coin) => `  ${coin.transaction_id}:${coin.index}  ${money(coin.amount, ledger)}`) : []),
    ...rows([
      ...(unripe.length === 0
        ? []
        : ([["unripe", `${money(sum(unripe), ledger)} of it cannot be spent yet`]] as const)),
      ["proven", "each of these coins is there, by the state root of a checked header"],
      ["not proven", `that there are no others from height ${from} on; that rests on the filters`]
    ]),
    ...filterLines(scan),
    ...headerLines(light)
  ])
}
