/** `cairn state`: what everybody had after a block, asked page by page and held against the state root of its header. */
import { decodeHeader } from "../block/header.ts"
import { StateTree } from "../block/state-tree.ts"
import { equal, fromHex, toHex } from "../codec/bytes.ts"
import { type Address, isAddress, parseAddress } from "../crypto/address.ts"
import { call } from "../http/client.ts"
import type { ReplyOf } from "../http/contract.ts"
import { encodeAccount, keyOf } from "../ledger/account.ts"
import { type Amount, isAmount } from "../ledger/amount.ts"
import { coinKey, encodeCoin } from "../ledger/coin.ts"
import type { Nonce, TransactionId } from "../ledger/transaction.ts"
import { httpPageMax, stateEntriesToldMax } from "../limits.ts"
import { failure } from "./failure.ts"
import { type ChainMeta, metaOf, money } from "./money.ts"
import { print, rows } from "./output.ts"

type Reply = ReplyOf<"stateAt">
type Entry = readonly [key: string, value: Uint8Array]

/** Entries told one by one to a person. */
const entriesTold = 20

const u32Max = 0xffff_ffff

const wrong = (what: string) => failure("refused", "state-wrong", what, "Ask another node.")

/** The ledger's entries of a page; what is no address, amount or id is refused, for nothing of the node is believed. */
const entriesOf = ({ accounts, coins }: Reply, { address_prefix: prefix }: ChainMeta): ReadonlyArray<Entry> => {
  const address = (text: string): Address => {
    const parsed = parseAddress(text, prefix)
    if (isAddress(parsed)) return parsed
    throw wrong(`The node names ${text}, which is no address of this chain.`)
  }
  const named = (id: string): TransactionId => {
    const bytes = fromHex(id, 32)
    if (bytes !== undefined) return bytes as Uint8Array as TransactionId
    throw wrong("The node names a coin that can have no such id.")
  }
  const whole = (value: number, most = Number.MAX_SAFE_INTEGER): Amount => {
    if (isAmount(value) && value <= most) return value
    throw wrong(`The node names ${value} where a whole number stands.`)
  }
  return [
    ...(accounts ?? []).map(
      ({ address: text, balance, nonce }): Entry => [
        keyOf(address(text)),
        encodeAccount({ balance: whole(balance), nonce: whole(nonce) as number as Nonce })
      ]
    ),
    ...(coins ?? []).map(
      ({ transaction_id: id, index, owner, amount, height, coinbase }): Entry => [
        coinKey({ id: named(id), index: whole(index, u32Max) }),
        encodeCoin({ owner: address(owner), amount: whole(amount), height: whole(height, u32Max), coinbase })
      ]
    )
  ]
}

/** The header of the pages, which must be what the fields beside it say. */
const headerOf = ({ header: hex, hash, state_root: root, height }: Reply) => {
  const bytes = fromHex(hex)
  const header = bytes === undefined ? undefined : decodeHeader(bytes)
  if (header === undefined || header.id !== hash || header.height !== height || toHex(header.stateRoot) !== root)
    throw wrong("The header that the node gives is not that of the block that it names.")
  return header
}

/** Asks for every page of a height, checks that all of it gives the root in the header, and tells of it. */
export const stateAt = async (node: string, at: number | undefined): Promise<void> => {
  const meta = await metaOf(node)
  const height = at ?? (await call(node, "stats")).stats.blocks - 1
  const ask = (cursor: string | null): Promise<Reply> =>
    call(node, "stateAt", { params: { height }, query: { limit: httpPageMax, ...(cursor === null ? {} : { cursor }) } })
  let page = await ask(null)
  const header = headerOf(page)
  const entries = new Map<string, Uint8Array>()
  const told: { accounts: Array<unknown>; coins: Array<unknown> } = { accounts: [], coins: [] }
  const lines: Array<string> = []
  for (;;) {
    if (page.hash !== header.id) throw wrong("The pages are of two blocks.")
    for (const [key, value] of entriesOf(page, meta)) entries.set(key, value)
    told.accounts.push(...(page.accounts ?? []))
    told.coins.push(...(page.coins ?? []))
    if (lines.length < entriesTold) lines.push(...linesOf(page, meta))
    if (entries.size > stateEntriesToldMax)
      throw failure(
        "refused",
        "state-too-large",
        `More than ${stateEntriesToldMax} entries are not held here.`,
        `Ask for the pages yourself: ${node}/api/blocks/${height}/state`
      )
    if (page.page.next_cursor === null) break
    page = await ask(page.page.next_cursor)
  }
  if (!equal(new StateTree(() => undefined).update(entries), header.stateRoot))
    throw wrong(`What the node tells does not give the state root of block ${header.id}.`)
  const rest = entries.size - Math.min(entriesTold, lines.length)
  print(
    { height, hash: header.id, state_root: toHex(header.stateRoot), entries: entries.size, ...listed(meta, told) },
    [
      `The state after block ${height}, by the root in its header.`,
      ...rows([
        ["block", header.id],
        ["state root", toHex(header.stateRoot)],
        ["entries", String(entries.size)]
      ]),
      ...lines.slice(0, entriesTold),
      ...(rest > 0 ? [`  and ${rest} more: in a pipe all are printed`] : [])
    ]
  )
}

const listed = ({ model }: ChainMeta, { accounts, coins }: { accounts: unknown; coins: unknown }) =>
  model === "utxo" ? { coins } : { accounts }

const linesOf = ({ accounts, coins }: Reply, meta: ChainMeta): ReadonlyArray<string> => [
  ...(accounts ?? []).map(({ address, balance, nonce }) => `  ${address}  ${money(balance, meta)}  ${nonce} sent`),
  ...(coins ?? []).map(
    ({ transaction_id: id, index, owner, amount }) => `  ${id}:${index}  ${money(amount, meta)}  ${owner}`
  )
]
