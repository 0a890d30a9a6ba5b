/** The page: what the node knows, live, and a wallet that signs here. Text from outside enters as text nodes only. */
import type { Keypair } from "../src/crypto/keys.ts"
import { type Amount, format } from "../src/ledger/amount.ts"
import { lineOf } from "../src/ledger/transaction-text.ts"
import { proofTextMax } from "../src/block/proof.ts"
import * as api from "./api.ts"
import { judgeFile, judgeReply, type Shown, strange } from "./proof.ts"
import { addressText, type ChainFacts, devKey, makeKey, readKey, sign } from "./wallet.ts"

const element = <E extends HTMLElement = HTMLElement>(id: string): E => document.getElementById(id) as E
const input = (id: string): HTMLInputElement => element<HTMLInputElement>(id)

let facts: ChainFacts
let key: Keypair | undefined
let newest = -1

type Confirmed = Awaited<ReturnType<typeof api.blocks>>["chain"][number]["transactions"][number]
const transfersShown = 8

const money = (units: number): string => {
  const [whole = "", fraction = ""] = format(units as Amount, facts.decimals).split(".")
  const grouped = whole.replace(/\B(?=(\d{3})+$)/g, "\u202f")
  const short = fraction.replace(/0+$/, "")
  return `${grouped}${short === "" ? "" : `.${short}`}`
}
const short = (text: string): string => (text.length > 22 ? `${text.slice(0, 12)}…${text.slice(-6)}` : text)
const clock = (ms: number): string => new Date(ms).toLocaleTimeString()

/** A row of two cells; the link, if any, is on the first. */
const row = (left: string, right: string, link?: string, title?: string): HTMLLIElement => {
  const item = document.createElement("li")
  const first = document.createElement(link === undefined ? "span" : "a")
  if (link !== undefined) (first as HTMLAnchorElement).href = link
  first.textContent = left
  first.title = title ?? left
  const last = document.createElement("span")
  last.textContent = right
  item.append(first, last)
  return item
}

const fill = (id: string, rows: ReadonlyArray<HTMLLIElement>, nothing: string): void => {
  const items = rows.length > 0 ? rows : [row(nothing, "")]
  element(id).replaceChildren(...items)
}

const showFigures = async (): Promise<void> => {
  const { stats } = await api.stats()
  element("height").textContent = String(stats.blocks - 1)
  element("pending-count").textContent = String(stats.pending_transactions)
  element("peer-count").textContent = String(stats.peers)
  element("supply").textContent = money(stats.circulating_supply)
  element("supply-unit").textContent = `${facts.symbol} in supply`
}

const showBlocks = async (): Promise<void> => {
  const { chain } = await api.blocks()
  const rows = chain.map((block) => {
    const count = block.transactions.filter(({ kind }) => kind === "transfer").length
    const item = row(
      `${block.height}  ${short(block.hash)}`,
      `${count} transfer${count === 1 ? "" : "s"} · ${clock(block.time)}`,
      `/api/blocks/hash/${block.hash}`,
      block.hash
    )
    if (newest >= 0 && block.height > newest) item.classList.add("fresh")
    return item
  })
  newest = chain[0]?.height ?? newest
  fill("blocks", rows, "no blocks")
  const transfers = chain.flatMap(({ transactions }) => transactions.filter((one) => one.kind === "transfer"))
  fill("transfers", transfers.slice(0, transfersShown).map(confirmedRow), "none in the last blocks")
}

/** A confirmed transfer, and the button that asks for its proof and checks it. */
const confirmedRow = (one: Extract<Confirmed, { kind: "transfer" }>): HTMLLIElement => {
  const parties = `${short(one.sender)} → ${short(one.recipient)}`
  const item = row(parties, `${money(one.amount)} ${facts.symbol} `, `/api/transactions/${one.id}`, one.id)
  const button = document.createElement("button")
  button.type = "button"
  button.textContent = "Prove"
  button.onclick = () =>
    void attempt(async () => {
      const { proof } = await api.transactionProof(one.id)
      await showProof(judgeReply(proof, one.id, facts), one.id)
    })
  item.lastElementChild!.append(button)
  return item
}

const showProof = async (judged: Shown, name: string): Promise<void> => {
  const header = judged.held?.header
  const known = header === undefined || (await api.hashAt(header.height)) === header.id
  const { sentence, held } = known ? judged : strange(header)
  element("proof").hidden = false
  element("proof-verdict").textContent = sentence
  element("proof-verdict").className = held === undefined ? "bad" : "good"
  element("proof-way").replaceChildren(...(held?.way === undefined ? [] : [held.way]))
  const link = element<HTMLAnchorElement>("proof-file")
  link.hidden = held === undefined
  link.href = `data:application/json;charset=utf-8,${encodeURIComponent(held?.file ?? "")}`
  link.download = `proof-${name.slice(0, 12)}.json`
}

const showPending = async (): Promise<void> => {
  const { pending_transactions: list } = await api.pending()
  fill(
    "pending",
    list.map((one) => {
      const { from, to, amount, note } = lineOf(one)
      const said = note === "" ? "" : `  “${note}”`
      return row(
        `${short(from)} → ${short(to)}${said}`,
        `${money(amount)} ${facts.symbol}`,
        `/api/transactions/${one.id}`
      )
    }),
    "nothing waits"
  )
}

const showAccounts = async (): Promise<void> => {
  const { accounts } = await api.accounts()
  fill(
    "accounts",
    accounts.map((one) =>
      row(
        short(one.address),
        `${money(one.confirmed_balance)} ${facts.symbol}`,
        `/api/accounts/${one.address}`,
        one.address
      )
    ),
    "no accounts yet"
  )
}

const showPeers = async (): Promise<void> => {
  const { peer_records: list } = await api.peers()
  fill(
    "peers",
    list.map((one) =>
      row(
        one.url === "" ? short(one.node_id) : one.url,
        `${one.state} · height ${one.last_advertised_height}`,
        undefined,
        one.node_id
      )
    ),
    "no peers: this node is alone"
  )
}

const showOwn = async (): Promise<void> => {
  element("own").hidden = key === undefined
  element("send").hidden = key === undefined
  if (key === undefined) return
  const address = addressText(key, facts)
  const { account } = await api.account(address)
  element("own-address").textContent = address
  const waiting = account.pending_balance - account.confirmed_balance
  element("own-balance").textContent =
    `${money(account.confirmed_balance)} ${facts.symbol}${waiting === 0 ? "" : ` (${waiting > 0 ? "+" : "−"}${money(Math.abs(waiting))} pending)`}`
}

const say = (text: string, kind: "good" | "bad"): void => {
  const outcome = element("outcome")
  outcome.textContent = text
  outcome.className = kind
}

/** Runs what a button does; a refusal is shown, and nothing typed is lost. */
const attempt = async (act: () => Promise<void>): Promise<void> => {
  try {
    await act()
  } catch (error) {
    say(error instanceof Error ? error.message : String(error), "bad")
  }
}

const use = (chosen: Keypair, pressed: HTMLButtonElement | undefined): void => {
  key = chosen
  for (const button of element("keys").querySelectorAll("button"))
    button.setAttribute("aria-pressed", String(button === pressed))
  say("", "good")
  void attempt(showOwn)
}

const keyButton = (label: string, make: () => Keypair): HTMLButtonElement => {
  const button = document.createElement("button")
  button.type = "button"
  button.textContent = label
  button.setAttribute("aria-pressed", "false")
  button.onclick = () => use(make(), button)
  return button
}

const send = async (): Promise<void> => {
  if (key === undefined) return
  const { account } = await api.account(addressText(key, facts))
  const form = {
    to: input("to").value,
    amount: input("amount").value,
    fee: input("fee").value,
    note: input("note").value
  }
  const signed = sign(key, facts, { ...form, nonce: account.next_nonce, time: Date.now() })
  if ("wrong" in signed) return say(signed.wrong, "bad")
  const { transaction } = await api.submit(signed)
  say(`Sent. It is pending as ${short(transaction.id)}.`, "good")
  input("amount").value = ""
  input("note").value = ""
  await showOwn()
}

const all = async (): Promise<void> => {
  await Promise.all([showFigures(), showBlocks(), showPending(), showAccounts(), showPeers(), showOwn()])
}

/** Many events together are one refresh. */
let due = false
const refreshSoon = (): void => {
  if (due) return
  due = true
  setTimeout(() => {
    due = false
    void attempt(all)
  }, 150)
}

const begin = async (): Promise<void> => {
  const { meta, service, dev_accounts: dev } = await api.info()
  facts = { chainId: meta.chain_id, prefix: meta.address_prefix, decimals: meta.decimals, symbol: meta.symbol }
  element("chain").textContent = `${meta.chain_id} · ${meta.consensus} · ${service.mode}`
  element("version").textContent = `cairn ${service.version}`
  input("fee").value = format((meta.limits["min_transaction_fee"] ?? 0) as Amount, facts.decimals)
  element("keys").append(keyButton("New key", makeKey), ...dev.map((_, i) => keyButton(`dev:${i}`, () => devKey(i))))
  element("mine").hidden = service.mode !== "development"
  await all()
  api.listen({
    change: (kind, data) => {
      if (kind === "tip") element("news").textContent = `Block ${data.height ?? ""} was attached.`
      refreshSoon()
    },
    live: (live) => {
      element("live").textContent = live ? "live" : "reconnecting …"
      element("live").classList.toggle("on", live)
      if (live) refreshSoon()
    }
  })
}

element<HTMLFormElement>("send").onsubmit = (event) => {
  event.preventDefault()
  void attempt(send)
}
element<HTMLFormElement>("import-form").onsubmit = (event) => {
  event.preventDefault()
  const read = readKey(input("import-text").value)
  input("import-text").value = ""
  if (read === undefined) say("That is neither 64 hex characters of a key nor a mnemonic.", "bad")
  else use(read, undefined)
}
input("proof-check").onchange = () =>
  void attempt(async () => {
    const file = input("proof-check").files?.[0]
    // One character more than any proof has is enough to be refused.
    if (file !== undefined) await showProof(judgeFile(await file.slice(0, proofTextMax + 1).text(), facts), "checked")
  })
element<HTMLButtonElement>("mine").onclick = () => void attempt(async () => void (await api.mine()))
void attempt(begin)
