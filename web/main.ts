/** The page: what the node knows, live, and a wallet that signs here. Text from outside enters as text nodes only. */
import { proofTextMax } from "../src/block/proof.ts"
import { fromHex, toHex } from "../src/codec/bytes.ts"
import { isAddress, parseAddress } from "../src/crypto/address.ts"
import type { Keypair } from "../src/crypto/keys.ts"
import { type Amount, format } from "../src/ledger/amount.ts"
import { coinKey } from "../src/ledger/coin.ts"
import { fillerText } from "../src/ledger/filler.ts"
import { lineOf } from "../src/ledger/transaction-text.ts"
import type { TransactionId } from "../src/ledger/transaction.ts"
import { freeCoins } from "../src/wallet/spend.ts"
import * as api from "./api.ts"
import { makePanel } from "./authorities.ts"
import { drawCoins } from "./coins.ts"
import { recall, remember } from "./memory.ts"
import { makeOperator, type Operator } from "./operator.ts"
import { judgeFile, judgeReply, type Shown, strange } from "./proof.ts"
import { button, counted, element, fill, money, row, short } from "./text.ts"
import { placeOf, showView } from "./view.ts"
import { addressText, type ChainFacts, devKey, devNames, type Form, join, makeKey, pay, readKey, sign } from "./wallet.ts"

const input = (id: string): HTMLInputElement => element<HTMLInputElement>(id)

let facts: ChainFacts
let key: Keypair | undefined
let newest = -1
/** Of a chain of authorities. */
let rota: ReturnType<typeof makePanel> | undefined
let operator: Operator

type Confirmed = Awaited<ReturnType<typeof api.blocks>>["chain"][number]["transactions"][number]
const transfersShown = 8

const clock = (ms: number): string => new Date(ms).toLocaleTimeString()

const list = (id: string, rows: ReadonlyArray<HTMLLIElement>, nothing: string): void => fill(element(id), rows, nothing)
/** What a chain calls its transactions. */
const noun = (): string => (facts.model === "utxo" ? "payment" : "transfer")

const showFigures = async (): Promise<void> => {
  const { stats } = await api.stats()
  showState(stats)
  element("height").textContent = String(stats.blocks - 1)
  element("pending-count").textContent = String(stats.pending_transactions)
  element("peer-count").textContent = String(stats.peers)
  element("supply").textContent = money(stats.circulating_supply, facts)
  element("supply-unit").textContent = `${facts.symbol} in supply`
  element("final").hidden = stats.final_height === undefined
  element("final").textContent = `final up to height ${stats.final_height ?? 0}`
}

/** The node's state, since when and why; how far it is while it catches up. */
const showState = ({ state, sync }: Awaited<ReturnType<typeof api.stats>>["stats"]): void => {
  element("state").textContent = state.name
  element("state").classList.toggle("on", state.name === "ready")
  element("state-why").textContent = `since ${clock(state.since)}. ${state.message}`
  const progress = element<HTMLProgressElement>("state-progress")
  progress.hidden = state.name !== "syncing"
  progress.max = Math.max(1, sync.target_height)
  progress.value = sync.height
}

const showBlocks = async (): Promise<void> => {
  const { chain } = await api.blocks()
  const rows = chain.map((block) => {
    const count = block.transactions.filter(({ kind }) => kind === noun()).length
    const item = row(
      `${block.height}  ${short(block.hash)}`,
      `${counted(count, noun())} · ${clock(block.time)}`,
      `#block/${block.height}`,
      block.hash
    )
    if (newest >= 0 && block.height > newest) item.classList.add("fresh")
    return item
  })
  newest = chain[0]?.height ?? newest
  list("blocks", rows, "no blocks")
  const confirmed = chain.flatMap(({ transactions }) =>
    transactions.flatMap((one) => (one.kind === "transfer" || one.kind === "payment" ? [confirmedRow(one)] : []))
  )
  list("transfers", confirmed.slice(0, transfersShown), "none in the last blocks")
}

/** A confirmed transaction, and the button that asks for its proof and checks it. */
const confirmedRow = (one: Extract<Confirmed, { kind: "transfer" | "payment" }>): HTMLLIElement => {
  const { from, to, amount } = lineOf(one)
  const item = row(`${short(from)} → ${short(to)}`, `${money(amount, facts)} ${facts.symbol} `, `#tx/${one.id}`, one.id)
  item.lastElementChild!.append(button("Prove", () => proveTransaction(one.id)))
  return item
}

/** Asks for a proof, checks it and shows what it is worth. */
const prove = (name: string, subject: Uint8Array, get: () => Promise<{ readonly proof: string }>): void =>
  void attempt(async () => showProof(judgeReply((await get()).proof, subject, facts), name))
const proveTransaction = (id: string): void => prove(id, fromHex(id)!, () => api.transactionProof(id))
const proveCoin = (id: string, index: number): void =>
  prove(id, fromHex(coinKey({ id: fromHex(id)! as Uint8Array as TransactionId, index }))!, () =>
    api.coinProof(id, index)
  )
const proveAccount = (address: string): void => {
  const subject = parseAddress(address, facts.prefix)
  if (isAddress(subject)) prove(address, subject, () => api.accountProof(address))
}
const view = (): Promise<void> => showView({ facts, proveTransaction, proveCoin, proveAccount })

const showProof = async (judged: Shown, name: string): Promise<void> => {
  const header = judged.held?.header
  const known = header === undefined || (await api.hashAt(header.height)) === header.id
  const { sentence, held } = known ? judged : strange(header)
  element("proof").hidden = false
  element("proof-verdict").textContent = sentence
  element("proof-verdict").className = held === undefined ? "bad" : "good"
  element("proof-way").replaceChildren(...(held === undefined ? [] : [held.way]))
  element("proof").scrollIntoView({ block: "nearest" })
  const link = element<HTMLAnchorElement>("proof-file")
  link.hidden = held === undefined
  link.href = `data:application/json;charset=utf-8,${encodeURIComponent(held?.file ?? "")}`
  link.download = `proof-${name.slice(0, 12)}.json`
}

const showPending = async (): Promise<void> => {
  const { pending_transactions: waiting } = await api.pending()
  const rows = waiting.map((one) => {
    const { from, to, amount, note } = lineOf(one)
    const said = note === "" ? "" : `  “${note}”`
    return row(`${short(from)} → ${short(to)}${said}`, `${money(amount, facts)} ${facts.symbol}`, `#tx/${one.id}`)
  })
  list("pending", rows, "nothing waits")
}

const showAccounts = async (): Promise<void> => {
  const { accounts } = await api.accounts()
  const rows = accounts.map(({ address, confirmed_balance: balance }) =>
    row(short(address), `${money(balance, facts)} ${facts.symbol}`, `#at/${address}`, address)
  )
  list("accounts", rows, "no accounts yet")
}

type Peer = Awaited<ReturnType<typeof api.peers>>["peer_records"][number]

/** A peer with what it is worth to us; what went wrong last stands in the title. */
const peerRow = (one: Peer): HTMLLIElement => {
  const way = one.direction === "none" ? "" : ` · ${one.direction}`
  const away = one.latency_ms === null ? "" : ` · ${Math.round(one.latency_ms)} ms`
  const told = `${one.state}${way} · score ${one.score} · height ${one.last_advertised_height}${away} `
  const title = one.last_error === null ? one.node_id : `${one.node_id}: ${one.last_error}`
  const item = row(one.url === "" ? short(one.node_id) : one.url, told, undefined, title)
  item.classList.add("peer")
  item.lastElementChild!.append(...operator.peerButtons(one.node_id, one.state))
  return item
}

const showPeers = async (): Promise<void> => {
  const { peer_records: records } = await api.peers()
  list("peers", records.map(peerRow), "no peers: this node is alone")
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
    `${money(account.confirmed_balance, facts)} ${facts.symbol}${waiting === 0 ? "" : ` (${waiting > 0 ? "+" : "−"}${money(Math.abs(waiting), facts)} pending)`}`
  if (facts.model === "account") return
  const holding = await api.coins(address)
  element("coins").replaceChildren(...drawCoins(holding, facts, proveCoin))
  element("join").hidden = freeCoins(holding.coins, holding.height).length < 2
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

/** Shows the secret of the key in use, or takes it out of the page again. */
const showKey = (shown: boolean): void => {
  element("key-text").hidden = !shown
  element("key-secret").textContent = shown && key !== undefined ? toHex(key.secret) : ""
  element("key-show").textContent = shown ? "Hide the key" : "Show the key"
  element("key-show").setAttribute("aria-expanded", String(shown))
}

const use = (chosen: Keypair | undefined, pressed: HTMLButtonElement | undefined): void => {
  key = chosen
  showKey(false)
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

const formOf = (): Form => ({
  to: input("to").value,
  amount: input("amount").value,
  fee: input("fee").value,
  note: input("note").value,
  data: input("data").value
})

/** Signs a transfer, or a payment with coins chosen here, and hands it over. */
const send = async (): Promise<void> => {
  if (key === undefined) return
  const address = addressText(key, facts)
  if (facts.model === "utxo") {
    const paid = pay(key, facts, formOf(), await api.coins(address))
    if ("wrong" in paid) return say(paid.wrong, "bad")
    await submitPayment(paid)
  } else {
    const { account } = await api.account(address)
    const signed = sign(key, facts, { ...formOf(), nonce: account.next_nonce, time: Date.now() })
    if ("wrong" in signed) return say(signed.wrong, "bad")
    const { transaction } = await api.submit(signed)
    say(`Sent. It is pending as ${short(transaction.id)}.`, "good")
    location.hash = `#tx/${transaction.id}`
  }
  input("amount").value = ""
  for (const id of ["note", "data"]) input(id).value = ""
  await showOwn()
}

const submitPayment = async ({
  payment,
  chosen
}: Extract<ReturnType<typeof pay>, { chosen: unknown }>): Promise<void> => {
  const { transaction } = await api.submit(payment)
  const { inputs, change, fee } = chosen
  const back = change > 0 ? `${money(change, facts)} come back` : "nothing comes back"
  const cost = `${counted(inputs.length, "coin")} spent, ${back}, fee ${money(fee, facts)}`
  say(`Sent. It is pending as ${short(transaction.id)}: ${cost}.`, "good")
  location.hash = `#tx/${transaction.id}`
}

const joinCoins = async (): Promise<void> => {
  if (key === undefined) return
  const joined = join(key, facts, formOf(), await api.coins(addressText(key, facts)))
  if ("wrong" in joined) return say(joined.wrong, "bad")
  await submitPayment(joined)
  await showOwn()
}

const all = async (): Promise<void> => {
  const parts = [showFigures(), showBlocks(), showPending(), showAccounts(), showPeers(), showOwn(), view()]
  const lesson = course === undefined || element("learn").hidden ? undefined : liveOf().then(course.refresh)
  await Promise.all([...parts, rota?.show(), lesson])
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

const viewKey = "cairn-view"
let course: ReturnType<typeof import("./learn.ts").makeCourse> | undefined

const liveOf = async () => {
  const [info, { stats }] = await Promise.all([api.info(), api.stats()])
  return { facts, info, stats }
}

/** Shows one of the two views; the course is fetched when it is asked for the first time. */
const openView = async (name: "console" | "learn"): Promise<void> => {
  remember(viewKey, name)
  for (const one of ["console", "learn"]) {
    element(one).hidden = one !== name
    element(`tab-${one}`).setAttribute("aria-selected", String(one === name))
    element(`tab-${one}`).tabIndex = one === name ? 0 : -1
  }
  if (name === "learn" && course === undefined) {
    const [{ makeCourse }, live] = await Promise.all([import("./learn.ts"), liveOf()])
    course ??= makeCourse(element("learn"), live)
  }
}

const makeTabs = (): void => {
  for (const [name, other] of [["console", "learn"] as const, ["learn", "console"] as const]) {
    const tab = element(`tab-${name}`)
    tab.onclick = () => void attempt(() => openView(name))
    tab.onkeydown = ({ key: pressed }) => {
      if (pressed !== "ArrowLeft" && pressed !== "ArrowRight") return
      element(`tab-${other}`).focus()
      void attempt(() => openView(other))
    }
  }
}

const begin = async (): Promise<void> => {
  const { meta, service, capabilities, dev_accounts: dev } = await api.info()
  const { model, chain_id: chainId, address_prefix: prefix, decimals, symbol } = meta
  const dataMax = meta.limits["max_transaction_data_bytes"] ?? 0
  const filler = meta.data_filler ?? undefined
  facts = { model, chainId, prefix, decimals, symbol, dataMax, filler }
  element("note-field").hidden = meta.limits["max_transaction_note_bytes"] === 0
  element("data-field").hidden = dataMax === 0
  if (filler !== undefined) input("data").placeholder = `text, or 0x and hex; if empty, ${fillerText(filler)}`
  element("coins").hidden = model === "account"
  element("chain").textContent = `${meta.chain_id} · ${meta.consensus} · ${service.mode}`
  element("version").textContent = `cairn ${service.version}`
  input("fee").value = format((meta.limits["min_transaction_fee"] ?? 0) as Amount, facts.decimals)
  const names = devNames(dev, facts)
  element("keys").append(keyButton("New key", makeKey), ...names.map((i) => keyButton(`dev:${i}`, () => devKey(i))))
  if (meta.consensus.startsWith("proof-of-authority")) rota = makePanel(api.authorities, api.offences)
  const open = capabilities["admin_authentication"] !== true
  element("mine").hidden = !open
  operator = makeOperator({
    open,
    ownAddress: () => (key === undefined ? "" : addressText(key, facts)),
    refresh: refreshSoon
  })
  makeTabs()
  await all()
  if (recall(viewKey) === "learn") await openView("learn")
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
element("key-show").onclick = () => showKey(element("key-text").hidden === true)
element("key-forget").onclick = () => {
  use(undefined, undefined)
  element("coins").replaceChildren()
}
// A page that was not served securely may not write to the clipboard: the text can still be marked.
element("key-copy").onclick = () =>
  void attempt(async () => {
    await navigator.clipboard.writeText(element("key-secret").textContent)
    say("The key is on the clipboard.", "good")
  })
element("join").onclick = () => void attempt(joinCoins)
element<HTMLFormElement>("look").onsubmit = (event) => {
  event.preventDefault()
  location.hash = placeOf(input("look-for").value)
}
window.onhashchange = () => void attempt(view)
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
