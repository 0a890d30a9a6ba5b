/** The fold of a block that holds the state after it: its pages come when it is opened, and one more at each press. */
import * as api from "./api.ts"
import { button, make, money, row, short } from "./text.ts"
import type { ChainFacts } from "./wallet.ts"

interface Block {
  readonly height: number
  readonly hash: string
}

type Page = Awaited<ReturnType<typeof api.stateAt>>

const rowsOf = ({ accounts, coins }: Page, facts: ChainFacts): ReadonlyArray<HTMLLIElement> => {
  const amount = (units: number): string => `${money(units, facts)} ${facts.symbol}`
  return [
    ...(accounts ?? []).map(({ address, balance }) => row(short(address), amount(balance), `#at/${address}`, address)),
    ...(coins ?? []).map(({ transaction_id: id, index, owner, amount: units }) =>
      row(`${short(id)}:${index} of ${short(owner)}`, amount(units), `#at/${owner}`, `${id}:${index}`)
    )
  ]
}

const makeFold = (facts: ChainFacts, { height, hash }: Block): HTMLElement => {
  const list = make("ol", "list")
  const said = make("p", "bad")
  let cursor: string | null = null
  let asking = false
  const next = async (): Promise<void> => {
    if (asking) return
    asking = true
    said.textContent = ""
    try {
      const page = await api.stateAt(height, cursor)
      if (page.hash !== hash) throw new Error("Another branch has won: look at the block again.")
      list.append(...rowsOf(page, facts))
      cursor = page.page.next_cursor
      more.hidden = cursor === null
    } catch (error) {
      said.textContent = error instanceof Error ? error.message : String(error)
    }
    asking = false
  }
  const more = button("More", () => void next())
  const fold = make("details", "", make("summary", "", "State after this block"), list, said, more)
  fold.addEventListener("toggle", () => void (fold.open && list.childElementCount === 0 && next()))
  return fold
}

let last: { readonly hash: string; readonly fold: HTMLElement } | undefined

/** The fold of a block: the same one as long as the same block is shown, so that a refresh of the page does not close it. */
export const stateFold = (facts: ChainFacts, block: Block): HTMLElement => {
  if (last?.hash !== block.hash) last = { hash: block.hash, fold: makeFold(facts, block) }
  return last.fold
}
