/** Calls to the node that served this page. Shapes are those of the contract; types only, so no schema library comes along. */
import type { ReplyOf } from "../src/http/contract.ts"

/** A refusal in words, as the node gave it. */
export class Refusal extends Error {}

const ask = async <A>(path: string, body?: unknown, headers: Readonly<Record<string, string>> = {}): Promise<A> => {
  const init: RequestInit =
    body === undefined
      ? {}
      : { method: "POST", headers: { "content-type": "application/json", ...headers }, body: JSON.stringify(body) }
  const response = await fetch(path, init).catch(() => {
    throw new Refusal("The node does not answer. Is it running?")
  })
  const reply = (await response.json()) as A & { detail?: string; code?: string }
  if (!response.ok) throw new Refusal(`${reply.detail ?? response.statusText} (${reply.code ?? response.status})`)
  return reply
}

export const info = (): Promise<ReplyOf<"info">> => ask("/api/info?limit=0")
export const stats = (): Promise<ReplyOf<"stats">> => ask("/api/stats")
export const blockAt = (height: string): Promise<ReplyOf<"blockAt">> => ask(`/api/blocks/${height}`)
export const stateAt = (height: number, cursor: string | null): Promise<ReplyOf<"stateAt">> =>
  ask(`/api/blocks/${height}/state?limit=32${cursor === null ? "" : `&cursor=${encodeURIComponent(cursor)}`}`)
export const transaction = (id: string): Promise<ReplyOf<"transaction">> => ask(`/api/transactions/${id}`)
export const blocks = (): Promise<ReplyOf<"chain">> => ask("/api/chain?limit=8")
/** Hash of the best branch's block at a height; undefined if there is none. */
export const hashAt = async (height: number): Promise<string | undefined> =>
  (await ask<ReplyOf<"headers">>(`/api/headers?from_height=${height}&limit=1`)).headers[0]?.hash
export const pending = (): Promise<ReplyOf<"pending">> => ask("/api/transactions/pending?limit=8")
export const accounts = (): Promise<ReplyOf<"accounts">> => ask("/api/accounts?limit=8")
export const account = (address: string): Promise<ReplyOf<"account">> => ask(`/api/accounts/${address}`)
/** The coins of an address, the largest first; as many as one page holds. */
export const coins = (address: string): Promise<ReplyOf<"coins">> => ask(`/api/accounts/${address}/coins?limit=256`)
export const coinProof = (id: string, index: number): Promise<ReplyOf<"coinProof">> =>
  ask(`/api/coins/${id}/${index}/proof`)
export const accountProof = (address: string): Promise<ReplyOf<"accountProof">> => ask(`/api/accounts/${address}/proof`)
export const transactionProof = (id: string): Promise<ReplyOf<"transactionProof">> =>
  ask(`/api/transactions/${id}/proof`)
export const authorities = (): Promise<ReplyOf<"authorities">> => ask("/api/authorities?slots=8")
export const offences = (): Promise<ReplyOf<"evidence">> => ask("/api/authorities/evidence")
export const peers = (): Promise<ReplyOf<"peers">> => ask("/api/peers")
export const submit = (transaction: unknown): Promise<ReplyOf<"submit">> => ask("/api/transactions", transaction)
export const validate = (): Promise<ReplyOf<"validate">> => ask("/api/validate")

let token = ""
/** What the acts of an operator show from now on; empty: nothing. */
export const useToken = (text: string): void => void (token = text)
/** An act of the node's operator. */
export const act = <A>(path: string, body: unknown): Promise<A> =>
  ask(path, body, token === "" ? {} : { "x-blockchain-admin-token": token })
/** `miner`: who is paid; empty: whom the node chooses. */
export const mine = (miner = ""): Promise<ReplyOf<"mine">> => act("/api/mine", miner === "" ? {} : { miner })

/** Hears of everything that changes what the page shows. */
export const listen = (on: {
  readonly change: (kind: string, data: { readonly height?: number }) => void
  readonly live: (live: boolean) => void
}): void => {
  const source = new EventSource("/api/events")
  source.onopen = () => on.live(true)
  source.onerror = () => on.live(false)
  for (const kind of ["tip", "transaction", "peer", "state", "double-sign", "resync"]) {
    source.addEventListener(kind, (event) =>
      on.change(kind, JSON.parse((event as MessageEvent<string>).data) as { height?: number })
    )
  }
}
