/** Lies about coins: false payments and coinbases in blocks, and what is sent of them. */
import { assert } from "../assert.ts"
import { concat } from "../codec/bytes.ts"
import type { Address } from "../crypto/address.ts"
import type { Keypair } from "../crypto/keys.ts"
import { sign } from "../crypto/signature.ts"
import type { Amount } from "../ledger/amount.ts"
import { noData } from "../ledger/payload.ts"
import { makeCoinbase, makePayment, signPayment, witnessBytes } from "../ledger/payment.ts"
import type { Coinbase, Output, PaymentTransaction, Transaction, TransactionId } from "../ledger/transaction.ts"
import { confirmedCoins, type NamedCoin, paidBy, spendableCoins } from "./coins.ts"
import { confirmed, draft, filled, type Forgery, given, holding, type MoneyLies, repeated } from "./forge.ts"
import type { Liar } from "./liar.ts"
import { walletKey } from "./keys.ts"

/** A wallet that lends the liar its key: a user who cheats. */
const purse = (): Keypair => walletKey(0)
/** A wallet that does not. */
const stranger = (): Keypair => walletKey(1)

type Coin = Pick<NamedCoin, "id" | "index" | "amount">

/** A coin that never was. */
const invented = ({ dice }: Liar): Coin => ({ id: dice.bytes(32) as TransactionId, index: 0, amount: 1_000 as Amount })

/** The purse's coins of the tip; one that never was, if the purse is empty. */
const purseCoins = (liar: Liar): ReadonlyArray<Coin> => {
  const { victim, rules } = liar
  const coins = spendableCoins(victim.store, rules, purse().address).filter(({ pending }) => !pending)
  return coins.length > 0 ? coins : [invented(liar)]
}

/** Of the purse's coins the largest: it can pay for anything. */
const purseCoin = (liar: Liar): Coin => purseCoins(liar).toSorted((a, b) => b.amount - a.amount)[0]!

interface PaymentWish {
  readonly coins?: ReadonlyArray<Coin>
  /** Units for the liar; what is left goes back to the purse. */
  readonly units?: number
  readonly outputs?: ReadonlyArray<Output>
  readonly fee?: number
  readonly by?: ReadonlyArray<Keypair>
  readonly chainId?: string
  readonly data?: Uint8Array
}

/** A payment to whomever, signed by whomever: what the purse would pay, where nothing else is wished. */
const pay = (liar: Liar, wish: PaymentWish = {}): PaymentTransaction => {
  const { ledger } = liar.rules.spec
  const { units = 1, fee = ledger.feeMin, by = [purse()], chainId = ledger.chainId, data = noData } = wish
  const coins = wish.coins ?? [purseCoin(liar)]
  const held = coins.reduce((sum, coin) => sum + coin.amount, 0)
  const left = held - fee - units
  const back = left > 0 ? [{ recipient: purse().address, amount: left as Amount }] : []
  const outputs = wish.outputs ?? [{ recipient: liar.dice.bytes(20) as Address, amount: units as Amount }, ...back]
  return signPayment({ chainId, inputs: coins.map(({ id, index }) => ({ id, index })), outputs, note: "", data }, by)
}

/** Payments of which each spends the change of the one before. */
const chain = (liar: Liar, count: number): ReadonlyArray<PaymentTransaction> => {
  const payments: Array<PaymentTransaction> = []
  let coin = purseCoin(liar)
  for (let i = 0; i < count; i++) {
    const payment = pay(liar, { coins: [coin] })
    payments.push(payment)
    coin = paidBy(payment, 0).at(-1)!
  }
  return payments
}

/** The payment with another's signature: same id, nobody's will. */
const missigned = ({ payment, id }: PaymentTransaction, { key }: Liar): PaymentTransaction =>
  makePayment({
    ...payment,
    witnesses: payment.witnesses.map((witness) => ({ ...witness, signature: sign(id, key.secret) }))
  })

/** The youngest reward of the victim's branch: too young to be spent. */
const unripe = (liar: Liar): Coin => {
  const { store } = liar.victim
  const [coinbase] = store.block(store.tip().header.id)!.transactions
  const [output] = coinbase?.kind === "coinbase" ? coinbase.coinbase.outputs : []
  return output === undefined ? invented(liar) : { id: coinbase!.id, index: 0, amount: output.amount }
}

/** A coin of someone who has lent nothing. */
const foreign = (liar: Liar): Coin =>
  confirmedCoins(liar.victim.store, stranger().address).find(({ coinbase }) => !coinbase) ?? invented(liar)

/** The last two witnesses in the wrong order: as bytes, since no payment of ours is so. */
const disordered = (payment: PaymentTransaction): Transaction => {
  const { bytes } = payment
  const [first, second] = [bytes.length - 2 * witnessBytes, bytes.length - witnessBytes]
  return { ...payment, bytes: concat(bytes.subarray(0, first), bytes.subarray(second), bytes.subarray(first, second)) }
}

const broken = (liar: Liar): Transaction => {
  const { dice, rules } = liar
  const coin = purseCoin(liar)
  const sound = pay(liar, { coins: [coin] })
  const { recipient } = sound.payment.outputs[0]!
  const edited = (edit: (bytes: Uint8Array) => Uint8Array | void): Transaction => {
    const bytes = sound.bytes.slice()
    return { ...sound, bytes: edit(bytes) ?? bytes }
  }
  const to = (...amounts: ReadonlyArray<number>): Transaction =>
    pay(liar, { coins: [coin], outputs: amounts.map((amount) => ({ recipient, amount: amount as Amount })) })
  const { chainId, supplyMax } = rules.spec.ledger
  /** Behind form and chain id: the number of inputs, one input, the number of outputs, and the first output. */
  const amountAt = 2 + chainId.length + 2 + 36 + 2 + 20
  return dice.pick([
    () => twice(liar, coin),
    () => pay(liar, { coins: [], outputs: sound.payment.outputs }),
    () => pay(liar, { coins: [coin], by: [] }),
    () => disordered(pay(liar, { coins: [coin], by: [purse(), liar.key] })),
    () => to(),
    () => to(0),
    () => to(supplyMax, 1),
    () => to(...Array.from({ length: 10 }, () => supplyMax)),
    () => pay(liar, { coins: [coin], chainId: "elsewhere" }),
    () => edited((bytes) => void (bytes[0] = dice.pick([0, 1, 4, 5, 255]))),
    () => pay(liar, { coins: [coin], data: dice.bytes(1 + (rules.spec.ledger.payloadBytesMax ?? 0)) }),
    () => edited((bytes) => void (bytes[1] = 200)),
    () => edited((bytes) => bytes.fill(0xff, 2 + chainId.length, 4 + chainId.length) && undefined),
    () => edited((bytes) => void (bytes[amountAt + 7] = 0x80)),
    () => edited((bytes) => bytes.subarray(0, bytes.length - 1 - dice.int(bytes.length - 1))),
    () => edited((bytes) => Uint8Array.from([...bytes, ...dice.bytes(1 + dice.int(50))]))
  ])()
}

/** A payment that names one coin twice, and pays what two such would hold. */
const twice = (liar: Liar, coin: Coin): PaymentTransaction => pay(liar, { coins: [coin, coin], units: coin.amount })

const refused = (about: string, because: string, make: (liar: Liar) => ReadonlyArray<Transaction>): Forgery => ({
  about,
  code: "transaction-refused",
  because,
  forge: (liar) => given(filled(draft(liar), make(liar)))
})

/** A block that opens with another coinbase than the honest one. */
const opening = (
  about: string,
  because: string,
  change: (honest: Coinbase, liar: Liar) => Partial<Coinbase>
): Forgery => ({
  about,
  code: "transaction-refused",
  because,
  forge: (liar) => {
    const block = draft(liar)
    const honest = coinbaseOf(block.transactions[0])
    return given(holding(block, [makeCoinbase({ ...honest, ...change(honest, liar) })]))
  }
})

const coinbaseOf = (transaction: Transaction | undefined): Coinbase => {
  assert(transaction?.kind === "coinbase", "a block of coins opens with a coinbase")
  return transaction.coinbase
}

/** A coinbase that pays nobody we know. */
const stray = (liar: Liar): Transaction => {
  const honest = coinbaseOf(draft(liar).transactions[0])
  return makeCoinbase({ ...honest, outputs: [{ recipient: liar.dice.bytes(20) as Address, amount: 1 as Amount }] })
}

/** The only output of an honest coinbase of the simulated chain, where rewards do not end. */
const paid = ({ outputs }: Coinbase): Output => outputs[0]!

const falseCoinbases: MoneyLies["forgeries"] = {
  reward: opening("a coinbase of twice the reward", "coinbase-amount-wrong", (honest) => ({
    outputs: [{ ...paid(honest), amount: (2 * paid(honest).amount) as Amount }]
  })),
  "coinbase-less": opening("a coinbase of less than the reward", "coinbase-amount-wrong", (honest) => ({
    outputs: [{ ...paid(honest), amount: (paid(honest).amount - 1) as Amount }]
  })),
  "coinbase-height": opening("a coinbase of another height", "coinbase-height-wrong", ({ height }, { dice }) => ({
    height: height + dice.pick([-1, 1, 1_000])
  })),
  "coinbase-split": opening("a coinbase with two outputs", "coinbase-outputs-wrong", (honest) => {
    const { recipient, amount } = paid(honest)
    const part = Math.floor(amount / 2) as Amount
    return {
      outputs: [
        { recipient, amount: part },
        { recipient, amount: (amount - part) as Amount }
      ]
    }
  }),
  "coinbase-empty": opening("a coinbase that pays nothing", "coinbase-outputs-wrong", () => ({ outputs: [] })),
  "coinbase-recipient": opening("a coinbase to another than its proposer", "coinbase-recipient-wrong", (honest) => ({
    outputs: [{ ...paid(honest), recipient: purse().address }]
  })),
  "coinbase-missing": {
    about: "no coinbase",
    code: "transaction-refused",
    because: "coinbase-missing",
    forge: (liar) => given(holding(draft(liar), liar.dice.chance(0.5) ? [] : chain(liar, 1)))
  },
  "coinbase-late": {
    about: "a payment before its coinbase",
    code: "transaction-refused",
    because: "coinbase-misplaced",
    forge: (liar) => {
      const block = draft(liar)
      return given(holding(block, [...chain(liar, 1), ...block.transactions]))
    }
  },
  "coinbase-second": refused("two coinbases", "coinbase-misplaced", (liar) => [stray(liar)])
}

export const paymentLies: MoneyLies = {
  sound: chain,
  broken,
  forgeries: {
    ...falseCoinbases,
    "double-spend": refused("two payments of one coin", "coin-spent", (liar) => {
      const coins = [purseCoin(liar)]
      return [1, 7].map((units) => pay(liar, { coins, units }))
    }),
    "coin-unknown": refused("a payment of a coin that never was", "coin-unknown", (liar) => [
      pay(liar, { coins: [invented(liar)] })
    ]),
    "coin-unripe": refused("a payment of the last block's reward", "coin-immature", (liar) => [
      pay(liar, { coins: [unripe(liar)] })
    ]),
    "coin-foreign": refused("a payment of another's coin", "coin-not-owned", (liar) => [
      pay(liar, { coins: [foreign(liar)] })
    ]),
    "coin-half": refused("a payment of two owners that one has signed", "coin-not-owned", (liar) => [
      pay(liar, { coins: [purseCoin(liar), foreign(liar)] })
    ]),
    overspend: refused("a payment of more than its coins hold", "outputs-exceed-inputs", (liar) => {
      const coin = purseCoin(liar)
      return [pay(liar, { coins: [coin], units: coin.amount + 1 })]
    }),
    "double-input": {
      about: "a payment that names a coin twice",
      code: "block-malformed",
      because: "input-duplicate",
      forge: (liar) => given(filled(draft(liar), [twice(liar, purseCoin(liar))]))
    },
    unneeded: refused("a payment that someone has signed who owns none of its coins", "witness-unneeded", (liar) => [
      pay(liar, { by: [purse(), liar.key] })
    ]),
    replay: refused("a payment that is confirmed already", "coin-unknown", (liar) => repeated(liar, chain(liar, 1))),
    theft: {
      about: "a payment of another's coin with a signature that is not theirs",
      code: "signature-invalid",
      forge: (liar) => given(filled(draft(liar), [missigned(pay(liar), liar)]))
    }
  },
  dishonest: {
    "payment-theft": {
      about: "payments of another's coins, signed by nobody",
      code: "signature-invalid",
      make: (liar) => missigned(pay(liar), liar)
    },
    "payment-foreign": {
      about: "payments of another's coins, signed by the liar",
      code: "coin-not-owned",
      make: (liar) => pay(liar, { coins: [foreign(liar)], by: [liar.key] })
    },
    "payment-elsewhere": {
      about: "payments of another chain",
      code: "chain-id-mismatch",
      make: (liar) => pay(liar, { chainId: "elsewhere" })
    },
    "payment-dust": {
      about: "payments below the least fee",
      code: "fee-too-low",
      make: (liar) => pay(liar, { fee: 1 })
    },
    "payment-overspent": {
      about: "payments of more than their coins hold",
      code: "outputs-exceed-inputs",
      make: (liar) => {
        const coin = purseCoin(liar)
        return pay(liar, { coins: [coin], units: coin.amount + 1 })
      }
    },
    "payment-twice": {
      about: "payments that name a coin twice",
      code: "input-duplicate",
      make: (liar) => twice(liar, purseCoin(liar))
    },
    "payment-unneeded": {
      about: "payments that someone has signed who owns none of the coins",
      code: "witness-unneeded",
      make: (liar) => pay(liar, { by: [purse(), liar.key] })
    },
    "payment-coinbase": { about: "coinbases outside of blocks", code: "coinbase-misplaced", make: stray },
    "payment-broken": { about: "payments that refute themselves", make: broken }
  },
  useless: {
    "payment-replayed": {
      about: "payments that are confirmed already",
      make: (liar) => confirmed(liar).slice(0, 200)
    },
    "payment-unknown": {
      about: "payments of coins that never were",
      make: (liar) => Array.from({ length: 100 }, () => pay(liar, { coins: [invented(liar)] }))
    },
    "payment-unripe": {
      about: "payments of a reward that may not be spent yet",
      make: (liar) => [pay(liar, { coins: [unripe(liar)] })]
    },
    "payment-conflicts": {
      about: "payments of one coin by the hundred, for one fee",
      make: (liar) => {
        const coins = [purseCoin(liar)]
        return Array.from({ length: 100 }, () => pay(liar, { coins }))
      }
    },
    "payment-chain": {
      about: "payments by the hundred that build on one another, the last first",
      make: (liar) => chain(liar, 200).toReversed()
    }
  }
}
