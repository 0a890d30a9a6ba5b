/** The explorer: a transaction drawn, a block and what is in it, an address and what it has. The fragment of the URL says which. */
import { fromHex } from "../src/codec/bytes.ts"
import { shownBytes } from "../src/codec/text.ts"
import type { ReplyOf } from "../src/http/contract.ts"
import * as api from "./api.ts"
import { drawCoins } from "./coins.ts"
import { drawStream, type End } from "./draw.ts"
import { stateFold } from "./state.ts"
import { button, counted, element, link, make, money, row, short } from "./text.ts"
import type { ChainFacts } from "./wallet.ts"

export interface ViewPorts {
  readonly facts: ChainFacts
  readonly proveTransaction: (id: string) => void
  readonly proveCoin: (id: string, index: number) => void
  readonly proveAccount: (address: string) => void
}

/** Ends drawn on one side; the others are one end together. */
const endsMax = 10

/** The places that a text may mean, as fragments. */
export const placeOf = (text: string): string => {
  const clean = text.trim()
  if (/^\d{1,15}$/.test(clean)) return `#block/${clean}`
  return /^[0-9a-fA-F]{64}$/.test(clean) ? `#tx/${clean.toLowerCase()}` : `#at/${clean}`
}

const addressLink = (address: string): HTMLElement => link(short(address), `#at/${address}`, address)

const end = ({ facts }: ViewPorts, kind: End["kind"], units: number, ...words: ReadonlyArray<Node | string>): End => ({
  ...{ kind, units },
  label: [make("b", "", money(units, facts)), ...words]
})

/** At most so many ends; what is beyond is summed up. */
const bounded = (ports: ViewPorts, ends: ReadonlyArray<End>): ReadonlyArray<End> => {
  if (ends.length <= endsMax) return ends
  const rest = ends.slice(endsMax - 1)
  const units = rest.reduce((sum, one) => sum + one.units, 0)
  return [...ends.slice(0, endsMax - 1), end(ports, rest[0]!.kind, units, make("span", "muted", `${rest.length} more`))]
}

type Shown = ReplyOf<"transaction">

const feeEnd = (ports: ViewPorts, fee: number | null): ReadonlyArray<End> =>
  fee === null || fee === 0 ? [] : [end(ports, "fee", fee, make("span", "muted", "fee"))]

/** What is spent and what is made; undefined: it cannot be told any more. */
const endsOf = (
  ports: ViewPorts,
  { transaction: one, spends, fee }: Shown
): readonly [ReadonlyArray<End>, ReadonlyArray<End>] | undefined => {
  if (one.kind === "transfer") {
    const spent = end(ports, "spent", one.amount + one.fee, addressLink(one.sender))
    return [[spent], [end(ports, "paid", one.amount, addressLink(one.recipient)), ...feeEnd(ports, fee)]]
  }
  if (one.kind === "coinbase") {
    const paid = one.outputs.map(({ amount, recipient }) => end(ports, "paid", amount, addressLink(recipient)))
    const units = one.outputs.reduce((sum, { amount }) => sum + amount, 0)
    return [[end(ports, "fee", units, make("span", "muted", "new, and fees"))], paid]
  }
  if (spends === null) return undefined
  const owners = new Set(spends.map(({ owner }) => owner))
  const spent = spends.map(({ amount, owner, transaction_id: id, index }) =>
    end(ports, "spent", amount, addressLink(owner), " ", link("from", `#tx/${id}`, `${id}:${index}`))
  )
  const made = one.outputs.map(({ amount, recipient }) =>
    end(ports, owners.has(recipient) ? "change" : "paid", amount, addressLink(recipient))
  )
  return [bounded(ports, spent), [...bounded(ports, made), ...feeEnd(ports, fee)]]
}

const line = (...content: ReadonlyArray<Node | string | undefined>): HTMLElement => make("p", "", ...content)

/** Bytes in hex, shown as the text that they are, or as they are. */
const dataLine = (name: string, hex: string): HTMLElement =>
  line(make("span", "muted", `${name} `), make("code", "data", shownBytes(fromHex(hex)!)))

const showTransaction = async (ports: ViewPorts, id: string): Promise<ReadonlyArray<HTMLElement>> => {
  const shown = await api.transaction(id)
  const { transaction: one, block } = shown
  const ends = endsOf(ports, shown)
  const place =
    block === null ? [make("b", "", "pending")] : [link(`in block ${block.height}`, `#block/${block.height}`)]
  const standing = block === null ? "" : `, ${counted(block.confirmations, "confirmation")} `
  const prove = block === null ? undefined : button("Prove", () => ports.proveTransaction(id))
  const name = one.kind.charAt(0).toUpperCase() + one.kind.slice(1)
  return [
    make("h3", "", name),
    line(make("code", "", id)),
    line(...place, standing, prove),
    ...(ends === undefined ? [] : [drawStream(...ends)]),
    ...(one.kind !== "coinbase" && one.note !== "" ? [line(`“${one.note}”`)] : []),
    ...(one.kind !== "coinbase" && one.data !== undefined ? [dataLine("data", one.data)] : []),
    line(link("as JSON", `/api/transactions/${id}`))
  ]
}

type Sealed = ReplyOf<"blockAt">["block"]["authority"]

/** In whose turn a block was sealed. */
const turnText = (sealed: Sealed): string | undefined =>
  sealed === null
    ? undefined
    : `, in slot ${sealed.slot}, ${sealed.in_turn ? "in its turn" : "out of turn, in its leader’s place"}`

/** What a block says of another authority. */
const voteLine = (sealed: Sealed): ReadonlyArray<HTMLElement> =>
  sealed === null || sealed.vote === null
    ? []
    : [
        line(
          `It ${sealed.vote.kind === "convict" ? "convicts" : `votes to ${sealed.vote.kind}`} `,
          addressLink(sealed.vote.subject)
        )
      ]

const showBlock = async ({ facts }: ViewPorts, height: string): Promise<ReadonlyArray<HTMLElement>> => {
  const { block } = await api.blockAt(height)
  const rows = block.transactions.map((one) => {
    const units = "outputs" in one ? one.outputs.reduce((sum, { amount }) => sum + amount, 0) : one.amount
    // The reward of a chain of accounts is derived, and no transaction that could be looked up.
    const href = one.kind === "reward" ? undefined : `#tx/${one.id}`
    return row(`${one.kind} ${short(one.id)}`, `${money(units, facts)} ${facts.symbol}`, href, one.id)
  })
  return [
    make("h3", "", `Block ${block.height}`),
    line(make("code", "", block.hash)),
    line(
      new Date(block.time).toLocaleString(),
      block.height === 0 ? "" : ", sealed by ",
      block.height === 0 ? undefined : addressLink(block.mined_by),
      turnText(block.authority),
      block.final === true ? ", final" : ""
    ),
    ...(block.extra === "" ? [] : [dataLine("data", block.extra)]),
    ...voteLine(block.authority),
    make("ol", "list", ...rows),
    stateFold(facts, block),
    line(
      block.height === 0 ? undefined : link("the one before", `#block/${block.height - 1}`),
      " ",
      block.confirmations > 1 ? link("the next", `#block/${block.height + 1}`) : undefined,
      " ",
      link("as JSON", `/api/blocks/${block.height}`)
    )
  ]
}

const showAddress = async (ports: ViewPorts, address: string): Promise<ReadonlyArray<HTMLElement>> => {
  const { facts } = ports
  const { account } = await api.account(address)
  const coins = facts.model === "utxo" ? drawCoins(await api.coins(address), facts, ports.proveCoin) : []
  const sent = facts.model === "utxo" ? undefined : `, ${counted(account.next_confirmed_nonce - 1, "transfer")} sent `
  const prove = facts.model === "utxo" ? undefined : button("Prove", () => ports.proveAccount(address))
  return [
    make("h3", "", "Address"),
    line(make("code", "", address)),
    line(make("b", "", `${money(account.confirmed_balance, facts)} ${facts.symbol}`), sent, prove),
    ...coins,
    line(link("as JSON", `/api/accounts/${address}`))
  ]
}

const shows = { tx: showTransaction, block: showBlock, at: showAddress }

/** Shows what the fragment names, or nothing if it names nothing. */
export const showView = async (ports: ViewPorts): Promise<void> => {
  const [, kind, name] = /^#(tx|block|at)\/([0-9a-z]{1,90})$/.exec(location.hash) ?? []
  const asked = location.hash
  const view = element("view")
  if (kind === undefined || name === undefined) return view.replaceChildren()
  const content = await shows[kind as keyof typeof shows](ports, name).catch((error: Error) => [
    make("p", "bad", error.message)
  ])
  // Who has asked for another meanwhile gets that one.
  if (location.hash === asked) view.replaceChildren(...content)
}
