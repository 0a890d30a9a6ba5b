/** Random transactions on either ledger, bad ones among them, made of the entries of a state. */
import { keyOf as accountKey, decodeAccount } from "../src/ledger/account.ts"
import { type Coin, decodeCoin, decodeOutpoint } from "../src/ledger/coin.ts"
import type { LedgerRules } from "../src/ledger/ledger.ts"
import type { Outpoint, Transaction } from "../src/ledger/transaction.ts"
import { fromHex, toHex } from "../src/codec/bytes.ts"
import type { Dice } from "../src/sim/dice.ts"
import { keyOf, payment, transfer } from "./fixtures.ts"

export const models = ["account", "utxo"] as const satisfies ReadonlyArray<LedgerRules["model"]>

/** Test keys that pay and are paid, and that may propose. */
export const people = 6

type Entries = Iterable<readonly [key: string, value: Uint8Array]>

/** Some transfers in a row: one in five with a nonce that is not the next, some above the balance. */
const randomTransfers = (dice: Dice, entries: Entries, count: number): ReadonlyArray<Transaction> => {
  const known = new Map(entries)
  const nonces = new Map<number, number>()
  return Array.from({ length: count }, () => {
    const from = dice.int(people)
    const { balance, nonce: last } = decodeAccount(known.get(accountKey(keyOf(from).address)))
    const nonce = (nonces.get(from) ?? last) + 1
    const wrong = dice.chance(0.2)
    if (!wrong) nonces.set(from, nonce)
    const amount = 1 + dice.int(Math.max(1, Math.floor(balance * (wrong ? 1.5 : 0.3))))
    return transfer({
      from,
      to: (from + 1 + dice.int(people - 1)) % people,
      nonce: wrong && dice.chance(0.5) ? nonce + dice.int(3) : nonce,
      amount,
      fee: 1 + dice.int(5)
    })
  })
}

interface Held extends Coin, Outpoint {
  readonly holder: number
}

const ownerOf = (address: Uint8Array): number | undefined => {
  const found = Array.from({ length: people }, (_, i) => i).find((i) => toHex(keyOf(i).address) === toHex(address))
  return found
}

/**
 * Some payments in a row: on coins of the state, of the payments before, and of rewards that are not ripe; of one owner and
 * of several. Some spend what another has spent, lack a signature or have one too many, or pay more than they have.
 */
const randomPayments = (dice: Dice, entries: Entries, count: number): ReadonlyArray<Transaction> => {
  const coins: Array<Held> = [...entries].flatMap(([key, value]) => {
    const coin = decodeCoin(value)
    const holder = ownerOf(coin.owner)
    return holder === undefined ? [] : [{ ...coin, ...decodeOutpoint(fromHex(key)!), holder }]
  })
  const made: Array<Transaction> = []
  while (made.length < count && coins.length > 0) {
    const again = dice.chance(0.15)
    const inputs = new Set(Array.from({ length: 1 + dice.int(3) }, () => dice.pick(coins)))
    if (!again) for (const coin of inputs) coins.splice(coins.indexOf(coin), 1)
    const held = [...inputs].reduce((sum, coin) => sum + coin.amount, 0)
    const left = Math.max(1, held - (dice.chance(0.1) ? -1 : dice.int(6)))
    const parts = 1 + dice.int(Math.min(3, left))
    const outputs = Array.from({ length: parts }, (_, i): readonly [number, number] => [
      dice.int(people),
      i === 0 ? left - (parts - 1) * Math.floor(left / parts) : Math.floor(left / parts)
    ])
    const owners = [...new Set([...inputs].map(({ holder }) => holder))]
    const by = dice.chance(0.05) ? owners.slice(1) : dice.chance(0.05) ? [...new Set([...owners, 7])] : owners
    const one = payment({ inputs: [...inputs], outputs, by })
    made.push(one)
    if (again || dice.chance(0.5)) continue
    one.payment.outputs.forEach(({ recipient, amount }, index) => {
      const coin = { owner: recipient, amount, height: 0, coinbase: false }
      coins.push({ ...coin, id: one.id, index, holder: ownerOf(recipient)! })
    })
  }
  return made
}

/** Up to `count` transactions in a row, as somebody may send them; the ledger takes most and refuses some. */
export const randomTransactions = (
  dice: Dice,
  model: LedgerRules["model"],
  { entries, count }: { readonly entries: Entries; readonly count: number }
): ReadonlyArray<Transaction> =>
  model === "account" ? randomTransfers(dice, entries, count) : randomPayments(dice, entries, count)
