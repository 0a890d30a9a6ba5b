/**
 * The account model: each address has a balance and counts its transfers.
 *
 * An entry's key is the address, its value 16 bytes: balance u64, nonce u64, little-endian. An address that was never
 * paid has no entry; one that is empty keeps its entry, so that its nonces cannot be used again.
 */
import { Result } from "effect"
import { assert } from "../assert.ts"
import { equal, readU64, toHex, utf8, writeU64 } from "../codec/bytes.ts"
import { type Address, addressBytes, addressOf } from "../crypto/address.ts"
import { verify } from "../crypto/signature.ts"
import { add, type Amount, amount, zero } from "./amount.ts"
import { makeIssue, money } from "./issue.ts"
import type { AccountRules, Ledger } from "./ledger.ts"
import type { Overlay } from "./overlay.ts"
import { checkData } from "./payload.ts"
import { reject, type TransactionReject } from "./reject.ts"
import type { Nonce, TransferTransaction } from "./transaction.ts"
import { decodeTransfer } from "./transfer.ts"

export interface AccountState {
  readonly balance: Amount
  /** Nonce of the last confirmed transfer; 0: none yet. */
  readonly nonce: Nonce
}

const nobody: AccountState = { balance: zero, nonce: 0 as Nonce }

/** The key of an address's entry. */
export const keyOf = (address: Address): string => toHex(address)

export const encodeAccount = (account: AccountState): Uint8Array => {
  const out = new Uint8Array(16)
  writeU64(out, 0, account.balance)
  writeU64(out, 8, account.nonce)
  return out
}

/** The account of an entry's value; of no entry, an account with nothing. */
export const decodeAccount = (value: Uint8Array | undefined): AccountState => {
  if (value === undefined) return nobody
  const balance = readU64(value, 0)
  const nonce = readU64(value, 8)
  assert(value.length === 16 && balance !== undefined && nonce !== undefined, "an account entry is two safe integers")
  return { balance: balance as Amount, nonce: nonce as Nonce }
}

/** Rules of a transfer that need no state, cheap ones first; the hash of the key is the last. */
const checkFields = (rules: AccountRules, { transfer }: TransferTransaction): TransactionReject | undefined => {
  const { chainId, feeMin, noteBytesMax, supplyMax } = rules
  if (transfer.chainId !== chainId) {
    return reject(
      "chain-id-mismatch",
      `It is signed for chain "${transfer.chainId}"; this is "${chainId}". Sign it for this one.`
    )
  }
  if (transfer.amount < 1) return reject("amount-invalid", "The amount must be at least one base unit.")
  if (transfer.amount > supplyMax || transfer.fee > supplyMax) {
    return reject(
      "amount-invalid",
      `Amount and fee must each be at most ${money(rules, supplyMax)}: more can never exist.`
    )
  }
  if (transfer.fee < feeMin)
    return reject("fee-too-low", `The fee must be at least ${money(rules, feeMin)}.`, { feeMin })
  if (transfer.note !== "" && utf8(transfer.note).length > noteBytesMax) {
    return reject("note-too-long", `A note has at most ${noteBytesMax} bytes on this chain. Shorten it.`, {
      noteBytesMax
    })
  }
  const unfit = checkData(rules, transfer.data)
  if (unfit !== undefined) return unfit
  if (transfer.nonce < 1) return reject("nonce-too-low", "Nonces count from 1.")
  if (equal(transfer.sender, transfer.recipient)) {
    return reject(
      "recipient-is-sender",
      "The recipient is the sender: nothing would move but the fee. Name another recipient."
    )
  }
  if (!equal(addressOf(transfer.publicKey), transfer.sender)) {
    return reject("sender-mismatch", "The sender is not the address of the public key. Sign with the sender's own key.")
  }
  return undefined
}

/** The sender of a transfer that the state allows, or why it does not. */
const checkMove = (
  rules: AccountRules,
  state: Overlay,
  { transfer }: TransferTransaction
): AccountState | TransactionReject => {
  const sender = decodeAccount(state.get(keyOf(transfer.sender)))
  const expected = sender.nonce + 1
  const detail = { expected, got: transfer.nonce }
  if (transfer.nonce < expected) {
    return reject("nonce-too-low", `Nonce ${transfer.nonce} is used. Sign with the next one, ${expected}.`, detail)
  }
  if (transfer.nonce > expected) {
    return reject("nonce-too-high", `Nonce ${transfer.nonce} comes later; the next is ${expected}.`, detail)
  }
  const needed = add(transfer.amount, transfer.fee)
  if (needed === undefined || needed > sender.balance) {
    return reject("balance-too-low", `The balance ${money(rules, sender.balance)} does not cover amount and fee.`, {
      balance: sender.balance,
      needed: needed ?? Number.MAX_SAFE_INTEGER
    })
  }
  const held = add(decodeAccount(state.get(keyOf(transfer.recipient))).balance, transfer.amount)
  if (held === undefined || held > rules.supplyMax) {
    return reject("balance-overflow", "The recipient would hold more than can ever exist.")
  }
  return sender
}

const isReject = (outcome: AccountState | TransactionReject): outcome is TransactionReject => "code" in outcome

const credit = (state: Overlay, address: Address, units: number): void => {
  if (units === 0) return
  const key = keyOf(address)
  const account = decodeAccount(state.get(key))
  state.set(key, encodeAccount({ balance: amount(account.balance + units), nonce: account.nonce }))
}

const apply = (rules: AccountRules, state: Overlay, transaction: TransferTransaction): Amount | TransactionReject => {
  const sender = checkMove(rules, state, transaction)
  if (isReject(sender)) return sender
  const { transfer } = transaction
  const left = amount(sender.balance - transfer.amount - transfer.fee)
  state.set(keyOf(transfer.sender), encodeAccount({ balance: left, nonce: transfer.nonce }))
  // Read after that write: even a transfer to oneself, which decode refuses, could not make money.
  credit(state, transfer.recipient, transfer.amount)
  return transfer.fee
}

const otherModel = (): TransactionReject =>
  reject("version-unsupported", "A payment of coins belongs to the coin ledger; this chain has accounts.")

/** The account ledger of some rules; `allocated` units exist from the genesis on. */
export const makeAccountLedger = (rules: AccountRules, allocated: Amount): Ledger => {
  const issue = makeIssue(rules, allocated)
  return {
    rules,
    ...issue,
    decode: (bytes) => {
      const decoded = decodeTransfer(bytes)
      if (Result.isFailure(decoded)) return decoded
      const wrong = checkFields(rules, decoded.success)
      return wrong === undefined ? decoded : Result.fail(wrong)
    },
    checkSignature: (transaction) => {
      if (transaction.kind !== "transfer") return false
      const { signature, publicKey } = transaction.transfer
      return verify(transaction.id, signature, publicKey)
    },
    check: (state, transaction) => {
      if (transaction.kind !== "transfer") return otherModel()
      const sender = checkMove(rules, state, transaction)
      return isReject(sender) ? sender : transaction.transfer.fee
    },
    apply: (state, transaction) => (transaction.kind === "transfer" ? apply(rules, state, transaction) : otherModel()),
    opens: false,
    opening: () => undefined,
    applyReward: (state, facts, fees) => {
      credit(state, facts.proposer, issue.rewardAt(facts.height) + fees)
      return undefined
    },
    isEntry: (key, value) =>
      key.length === addressBytes &&
      value.length === 16 &&
      readU64(value, 0) !== undefined &&
      readU64(value, 8) !== undefined,
    unitsOf: (value) => decodeAccount(value).balance,
    ownerOf: () => undefined,
    allocate: (state, alloc) => {
      for (const { address, balance } of alloc) credit(state, address, balance)
    }
  }
}
