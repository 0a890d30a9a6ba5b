/** `cairn light scan`: what concerns some addresses, by block filters; no peer learns which addresses. */
import { Effect } from "effect"
import { formatAddress } from "../crypto/address.ts"
import type { Found } from "../light/scan.ts"
import { formatTransaction, lineOf, type TransactionText } from "../ledger/transaction-text.ts"
import { attempt } from "./attempt.ts"
import {
  addressesIn,
  filterLines,
  goOn,
  headerFacts,
  headerLines,
  isSynced,
  type Light,
  type LightOptions,
  unfound,
  withLight
} from "./light-session.ts"
import { money } from "./money.ts"
import { print } from "./output.ts"

const foundFacts = (found: Found, prefix: string) => {
  const { kind, header } = found
  const place = { kind, height: header.height, block: header.id, time: header.time }
  if (found.kind === "proposed") return place
  const transaction = formatTransaction(found.transaction, prefix)
  const { from, to, amount } = lineOf(transaction)
  return { ...place, index: found.index, from: from === "" ? null : from, to, amount, transaction }
}

/** How many others a payment pays besides the one that is named. */
const othersPaid = (text: TransactionText): number => {
  if (text.kind !== "payment") return 0
  const payers = new Set(text.witnesses.map(({ owner }) => owner))
  const paid = new Set(text.outputs.map(({ recipient }) => recipient).filter((one) => !payers.has(one)))
  return Math.max(0, paid.size - 1)
}

const foundLine = (light: Light, found: Found): string => {
  const at = `  height ${found.header.height}`
  if (found.kind === "proposed") return `${at}  sealed the block`
  const text = formatTransaction(found.transaction, light.rules.spec.addressPrefix)
  const { from, to, amount } = lineOf(text)
  const others = othersPaid(text)
  const whom = others === 0 ? to : `${to} and ${others} more`
  return `${at}  ${from === "" ? "the coinbase" : from} paid ${whom} ${money(amount, light.rules.spec.ledger)}, ${text.id}`
}

/** `cairn light scan`. */
export const lightScan = (
  options: LightOptions & { readonly addresses: ReadonlyArray<string>; readonly from: number }
) =>
  withLight(options, { redial: false }, (light) => {
    const { client, driver, rules, clock } = light
    const prefix = rules.spec.addressPrefix
    const { from } = options
    return Effect.gen(function* () {
      const elements = yield* attempt(() => addressesIn(light, options.addresses))
      yield* goOn(light, () => {
        if (client.scan === undefined && isSynced(light))
          driver.perform(client.askScan({ elements, from }, clock.currentTimeMillisUnsafe()))
        return client.scan?.done === true || (client.scan?.failed === true && driver.settled)
      })
      const scan = client.scan!
      if (scan.failed) return yield* unfound(light)
      const { found, counts, stop } = scan
      const value = {
        addresses: elements.map((address) => formatAddress(address, prefix)),
        from,
        to: stop.height,
        found: found.map((one) => foundFacts(one, prefix)),
        filters: counts.filters,
        blocks: counts.blocks,
        agreeing_peers: scan.agreeing.length,
        light: headerFacts(light)
      }
      print(value, [
        `${found.length} found in blocks ${from} to ${stop.height}; ${counts.blocks} blocks were downloaded.`,
        ...found.map((one) => foundLine(light, one)),
        ...filterLines(scan),
        ...headerLines(light)
      ])
    })
  })
