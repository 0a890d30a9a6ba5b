/** A node that answers raw pages out of a test chain, as the routes of docs/protocol.md, "By HTTP", do; and its lies. */
import { encodeBlock } from "../src/block/block.ts"
import { toHex } from "../src/codec/bytes.ts"
import { rawHeadersMax } from "../src/limits.ts"
import type { TestChain } from "./fixtures.ts"

export interface RawAnswer {
  readonly status: number
  readonly body: string
}

/** What a request to a node gets. */
export type RawNode = (url: string) => RawAnswer

const ok = (value: unknown): RawAnswer => ({ status: 200, body: JSON.stringify(value) })

/** Heights of a page after a locator: the first hash that is on the best branch counts. */
const pageAfter = ({ store }: TestChain, locator: ReadonlyArray<string>): ReadonlyArray<number> => {
  const isBest = (id: string): boolean => {
    const row = store.find(id)
    return row !== undefined && store.bestAt(row.header.height)?.header.id === id
  }
  const from = store.find(locator.find(isBest) ?? "")?.header.height ?? 0
  const length = Math.min(rawHeadersMax, store.tip().header.height - from)
  return Array.from({ length }, (_, i) => from + 1 + i)
}

export const listOf = (url: string, name: string): ReadonlyArray<string> =>
  (new URL(url).searchParams.get(name) ?? "").split(",")

/** The fields of a page of headers; liars change some. */
export const headersOf = (chain: TestChain, locator: ReadonlyArray<string>) => {
  const { header, work } = chain.store.tip()
  const rows = pageAfter(chain, locator).map((height) => toHex(chain.store.bestAt(height)!.header.bytes))
  return {
    genesis: chain.rules.genesis.header.id,
    tip: { height: header.height as number, hash: header.id, cumulative_work: String(work) },
    count: rows.length,
    headers: rows.join("")
  }
}

/** Tells what it has. */
export const honestNode =
  (chain: TestChain): RawNode =>
  (url) => {
    const { pathname } = new URL(url)
    if (pathname === "/api/headers/raw") return ok(headersOf(chain, listOf(url, "locator")))
    if (pathname === "/api/blocks/raw") {
      const blocks = listOf(url, "hashes").map((id) => chain.store.block(id))
      const known = blocks.slice(0, blocks.findIndex((block) => block === undefined) >>> 0)
      return ok({ blocks: known.map((block) => toHex(encodeBlock(block!))) })
    }
    return { status: 404, body: "{}" }
  }

/** Answers headers with other fields, and the rest as another node does. */
export const lyingNode =
  (base: RawNode, change: (page: ReturnType<typeof headersOf>, url: string) => object): RawNode =>
  (url) => {
    const answer = base(url)
    if (!url.includes("/api/headers/raw")) return answer
    return ok(change(JSON.parse(answer.body) as ReturnType<typeof headersOf>, url))
  }
