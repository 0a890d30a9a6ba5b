/** Words, amounts and rows, as the page writes them. Text from outside enters as text nodes only. */
import { type Amount, format } from "../src/ledger/amount.ts"
import type { ChainFacts } from "./wallet.ts"

export const element = <E extends HTMLElement = HTMLElement>(id: string): E => document.getElementById(id) as E

/** Units for people: groups of three, no zeros at the end. */
export const money = (units: number, { decimals }: ChainFacts): string => {
  const [whole = "", fraction = ""] = format(units as Amount, decimals).split(".")
  const grouped = whole.replace(/\B(?=(\d{3})+$)/g, "\u202f")
  const short = fraction.replace(/0+$/, "")
  return `${grouped}${short === "" ? "" : `.${short}`}`
}

export const short = (text: string): string => (text.length > 22 ? `${text.slice(0, 12)}…${text.slice(-6)}` : text)

/** A number with its noun, in the plural where it must be. */
export const counted = (count: number, noun: string): string => `${count} ${noun}${count === 1 ? "" : "s"}`

/** An element of a class with what is in it; undefined is left out. */
export const make = <K extends keyof HTMLElementTagNameMap>(
  name: K,
  kind: string,
  ...content: ReadonlyArray<Node | string | undefined>
): HTMLElementTagNameMap[K] => {
  const made = document.createElement(name)
  made.className = kind
  made.append(...content.filter((one) => one !== undefined))
  return made
}

/** Text that leads somewhere, if it does. */
export const link = (text: string, href: string | undefined, title = text): HTMLElement => {
  const made = make(href === undefined ? "span" : "a", "", text)
  if (href !== undefined) (made as HTMLAnchorElement).href = href
  made.title = title
  return made
}

export const button = (label: string, press: () => void): HTMLButtonElement => {
  const made = make("button", "", label)
  made.type = "button"
  made.onclick = press
  return made
}

/** A row of two cells; the link, if any, is on the first. */
export const row = (left: string, right: string, href?: string, title?: string): HTMLLIElement =>
  make("li", "", link(left, href, title), make("span", "", right))

export const fill = (list: HTMLElement, rows: ReadonlyArray<HTMLLIElement>, nothing: string): void =>
  list.replaceChildren(...(rows.length > 0 ? rows : [row(nothing, "")]))
