/** The coins of an address as a picture: a bar for each, as long as it is large, marked by what may become of it. */
import type { ReplyOf } from "../src/http/contract.ts"
import { drawBar } from "./draw.ts"
import { button, counted, link, make, money, row } from "./text.ts"
import type { ChainFacts } from "./wallet.ts"

type Shown = ReplyOf<"coins">

/** Bars drawn; the others are summed up. */
const barsMax = 10

interface Bar {
  readonly id: string
  readonly index: number
  readonly amount: number
  readonly kind: "free" | "spent" | "ripening" | "coming"
  readonly word: string
}

const barsOf = ({ coins, pending_coins: coming, height }: Shown): ReadonlyArray<Bar> => {
  const bars = coins.map(({ transaction_id: id, index, amount, spent_by: spender, spendable_from: from }): Bar => {
    const coin = { id, index, amount }
    if (spender !== null) return { ...coin, kind: "spent", word: "being spent" }
    return from > height + 1
      ? { ...coin, kind: "ripening", word: `ripe at ${from}` }
      : { ...coin, kind: "free", word: "free" }
  })
  const pending = coming.map(
    ({ transaction_id: id, index, amount }): Bar => ({ id, index, amount, kind: "coming", word: "pending" })
  )
  return [...bars, ...pending].sort((a, b) => b.amount - a.amount)
}

const sum = (bars: ReadonlyArray<Bar>): number => bars.reduce((total, { amount }) => total + amount, 0)

const sentenceOf = (bars: ReadonlyArray<Bar>, more: boolean): string => {
  const count = (kind: Bar["kind"]): number => bars.filter((bar) => bar.kind === kind).length
  const coins = bars.length - count("coming")
  const parts = [
    ["free", count("free")],
    ["being spent", count("spent")],
    ["ripening", count("ripening")],
    ["to come", count("coming")]
  ] as const
  const words = parts.flatMap(([word, number]) => (number > 0 ? [`${number} ${word}`] : []))
  const whole = more ? `The ${coins} largest coins` : counted(coins, "coin")
  return words.length === 0 ? whole : `${whole}: ${words.join(", ")}`
}

/** The picture. `prove` is asked for a proof that the coin is there. */
export const drawCoins = (
  shown: Shown,
  facts: ChainFacts,
  prove: (id: string, index: number) => void
): ReadonlyArray<HTMLElement> => {
  const bars = barsOf(shown)
  const largest = Math.max(1, bars[0]?.amount ?? 1)
  const rows = bars.slice(0, barsMax).map(({ id, index, amount, kind, word }) => {
    const name = link(`${money(amount, facts)} ${facts.symbol}`, `#tx/${id}`, `${id}:${index}`)
    const proof = kind === "coming" ? undefined : button("Prove", () => prove(id, index))
    const item = make("li", "coin", make("div", "row spread", name, make("span", "muted", `${word} `, proof)))
    item.append(drawBar(amount / largest, kind))
    return item
  })
  const rest = bars.slice(barsMax)
  const others = rest.length > 0 ? [row(`and ${rest.length} more`, `${money(sum(rest), facts)} ${facts.symbol}`)] : []
  const sentence = make("p", "muted", sentenceOf(bars, shown.page.next_cursor !== null))
  return [sentence, make("ol", "list", ...rows, ...others)]
}
