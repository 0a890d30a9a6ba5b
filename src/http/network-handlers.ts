/**
 * What nodes say to each other without a session. A caller has the peers' secret and no more: what it says of itself is signed,
 * what it says of others is a hint that only our own sessions follow, and no URL that stands in a body is ever fetched.
 */
import { Clock, Effect, Result } from "effect"
import { type Block, encodeBlock } from "../block/block.ts"
import type { BlockHash } from "../block/header.ts"
import { fromHex, toHex } from "../codec/bytes.ts"
import { onOneLine } from "../codec/text.ts"
import { httpNodesOf, peerPolicy } from "../config.ts"
import { HeardWords, type PeerWord, peerWordAdvice, type PeerWordKind, readPeerWord } from "../discovery/peer-word.ts"
import type { TransactionReject } from "../ledger/reject.ts"
import type { Transaction } from "../ledger/transaction.ts"
import { formatTransaction, parseTransaction } from "../ledger/transaction-text.ts"
import { blockBytesMax, peerFailureLogMs, rawHeadersMax } from "../limits.ts"
import type { Answer, NodeFacts, NodeShape, Tip } from "../node/node.ts"
import type { InspectedNode, PeerView, ToldPeer } from "../node/peers.ts"
import { readBlock } from "./block-text.ts"
import { type AppFacts, capabilitiesOf } from "./capabilities.ts"
import type { ReplyOf } from "./contract.ts"
import type { Handlers, Input, Output } from "./exchange.ts"
import { metaJson, serviceJson } from "./json.ts"
import { problem } from "./problem.ts"

type Names = "headersRaw" | "blocksRaw" | "resolve" | "networkPeers" | "networkInventory" | "networkBlocks"
type Words = "networkTransactions" | "gossipAnnounce" | "peerUpdate" | "peerFailure"
type Fields = Readonly<Record<string, unknown>>

const hashOf = (hex: string): BlockHash => fromHex(hex)! as Uint8Array as BlockHash
const tipJson = ({ header, work }: Tip): ReplyOf<"headersRaw">["tip"] => ({
  height: header.height,
  hash: header.id,
  cumulative_work: String(work)
})
const textOf = (value: unknown): string | null => (typeof value === "string" && value !== "" ? value : null)

const locatorOf = (node: NodeShape) =>
  Effect.gen(function* () {
    const hashes = yield* node.locator(16)
    const { header, work } = yield* node.tip()
    return { hashes: hashes.map(toHex), height: header.height, cumulative_work: String(work), tip_hash: header.id }
  })

/** Blocks and headers as bytes. */
const rawHandlers = (node: NodeShape): Pick<Handlers, "headersRaw" | "blocksRaw"> => ({
  headersRaw: ({ query }) =>
    Effect.gen(function* () {
      const locator = (query["locator"] as ReadonlyArray<string> | undefined) ?? []
      const rows = yield* node.headersAfter(
        locator.map(hashOf),
        (query["limit"] as number | undefined) ?? rawHeadersMax
      )
      const headers = rows.map(({ header }) => toHex(header.bytes)).join("")
      const tip = tipJson(yield* node.tip())
      return { reply: { genesis: node.facts.rules.genesis.header.id, tip, count: rows.length, headers } }
    }),
  blocksRaw: ({ query }) =>
    Effect.gen(function* () {
      const blocks: Array<string> = []
      let left = blockBytesMax
      for (const hash of query["hashes"] as ReadonlyArray<string>) {
        const view = yield* node.blockOf(hashOf(hash))
        const bytes = view === undefined ? undefined : encodeBlock(view.block)
        // Who asked for more asks for the rest again.
        if (bytes === undefined || (blocks.length > 0 && bytes.length > left)) break
        left -= bytes.length
        blocks.push(toHex(bytes))
      }
      return { reply: { count: blocks.length, blocks } }
    })
})

const inspectedJson = ({ url, status, code, claim, headers, blocks }: InspectedNode) => ({
  url,
  status,
  code: code ?? null,
  tip: claim === undefined ? null : { height: claim.height, hash: claim.hash, cumulative_work: String(claim.work) },
  headers,
  blocks
})

const sessionJson = ({ endpoint, nodeId, height }: PeerView) => ({ url: endpoint === "" ? nodeId : endpoint, height })

const resolveHandler =
  (node: NodeShape): Handlers["resolve"] =>
  () =>
    Effect.map(node.resolve(), ({ before, after, inspected, discovered, sessions }) => {
      const replaced = before.header.id !== after.header.id
      const source = inspected.find(({ status }) => status === "updated")?.url
      return {
        reply: {
          replaced,
          discovery: { discovered: [...discovered], inspected: inspected.map(({ url }) => url) },
          result: {
            source_peer: replaced ? (source ?? null) : null,
            blocks: after.header.height + 1,
            cumulative_work: String(after.work),
            inspected: inspected.map(inspectedJson)
          },
          snapshot: {
            meta: metaJson(node.facts, after.header),
            tip: tipJson(after),
            peers: sessions.map((peer) => sessionJson(peer).url)
          }
        }
      }
    })

const recordJson = (peer: ToldPeer): ReplyOf<"networkPeers">["peer_records"][number] => ({
  node_id: peer.nodeId,
  url: peer.endpoint,
  node_url: textOf(peer.nodeUrl),
  gossip_endpoint: textOf(peer.gossipEndpoint),
  tls_cert_fingerprint: textOf(peer.tlsFingerprint),
  version: peer.agent,
  capabilities: peer.capabilities,
  last_advertised_height: peer.height,
  last_cumulative_work: String(peer.work)
})

const directoryHandler =
  (node: NodeShape, app: AppFacts): Handlers["networkPeers"] =>
  ({ query, remote }) =>
    Effect.gen(function* () {
      const { facts } = node
      const limit = (query["limit"] as number | undefined) ?? (facts.config.peers?.policy ?? peerPolicy).advertisedMax
      const told = yield* node.toldPeers(limit, query["exclude"] as string | undefined, remote)
      const { header } = yield* node.tip()
      return {
        reply: {
          service: {
            ...serviceJson(facts),
            p2p_endpoint: facts.p2pEndpoint ?? null,
            gossip_endpoint: facts.gossipEndpoint ?? null
          },
          capabilities: capabilitiesOf(facts, app),
          meta: metaJson(facts, header),
          locator: yield* locatorOf(node),
          peers: told.map(({ endpoint }) => endpoint),
          peer_records: told.map(recordJson)
        }
      }
    })

const outcomes = {
  known: "This node has it already.",
  noted: "No session is with that node: it is noted, and nobody is asked for it.",
  updated: "Our session with that node has brought it."
} as const

const inventoryHandler =
  (node: NodeShape): Handlers["networkInventory"] =>
  ({ body }) =>
    Effect.gen(function* () {
      const { source_peer: source, inventory } = body as {
        readonly source_peer?: string
        readonly inventory: { readonly cumulative_work: string; readonly tip_hash: string }
      }
      if (source === undefined || source === "" || source.length > 256)
        return problem(400, "source-peer-missing", "source_peer must name the node: its id, its endpoint or its URL.")
      const { cumulative_work: work, tip_hash: hash } = inventory
      const outcome = yield* node.inventory({ source, hash: hashOf(hash), work: BigInt(work) })
      if (outcome === "failed")
        return problem(409, "pull-failed", "Our session with that node has not brought what it is said to have.")
      const { hashes } = yield* locatorOf(node)
      const updated = outcome === "updated"
      return {
        ...(updated ? {} : { status: 200 }),
        reply: {
          accepted: true,
          updated,
          status: updated ? ("updated" as const) : ("noop" as const),
          message: outcomes[outcome],
          advertised_locator: hashes,
          discovered: [],
          snapshot: tipJson(yield* node.tip())
        }
      }
    })

/** What stands under a name, or the whole body without who it is from. */
const under = (body: unknown, name: string): unknown => {
  const { source_peer: _, ...fields } = body as Fields
  return Object.hasOwn(fields, name) ? fields[name] : fields
}

const refusedBlock = (code: string, message: string) =>
  problem(409, code, message, { extra: { accepted: false, error: message } })

/** Offers a block, and tells what that has made of the tip. */
const offer = (node: NodeShape, block: Block): Answer<Output<"networkBlocks">> =>
  Effect.gen(function* () {
    const before = yield* node.tip()
    const offered = yield* Effect.result(node.offerBlock(block))
    if (Result.isFailure(offered)) {
      const { failure } = offered
      if (failure._tag !== "BlockRefused") return yield* failure
      return refusedBlock(failure.reject.code, failure.reject.message)
    }
    const after = yield* node.tip()
    const attached = offered.success === "attached"
    const stays = attached && (yield* node.blockOf(before.header.hash)) !== undefined
    const words = {
      attached: "The block is on the best branch.",
      stored: "The block is on another branch.",
      known: "The block was known."
    }
    return {
      reply: {
        accepted: true as const,
        appended: stays,
        replaced: attached && !stays,
        message: words[offered.success],
        snapshot: tipJson(after)
      }
    }
  })

const blocksHandler =
  (node: NodeShape): Handlers["networkBlocks"] =>
  ({ body }) =>
    Effect.gen(function* () {
      const value = under(body, "block")
      const previous = (value as Fields | null)?.["previous_hash"]
      const hash = typeof previous === "string" ? fromHex(previous, 32) : undefined
      // An authority's header says where the last vote stands; its JSON does not, and its parent does.
      const parent = hash === undefined ? undefined : yield* node.blockOf(hash as Uint8Array as BlockHash)
      const block = readBlock(node.facts.rules, value, () => parent?.block.header)
      if (Result.isFailure(block)) return problem(400, "block-malformed", `This is no block: ${block.failure}.`)
      return yield* offer(node, block.success)
    })

const isDuplicate = ({ code }: TransactionReject): boolean => code === "already-pending" || code === "already-confirmed"

const readTransaction = ({ facts }: NodeShape, value: unknown): Result.Result<Transaction, TransactionReject> => {
  const { spec, ledger } = facts.rules
  const bytes = typeof value === "string" ? fromHex(value) : undefined
  if (bytes !== undefined) return ledger.decode(bytes)
  const parsed = parseTransaction(value, spec.addressPrefix, spec.ledger.model)
  return Result.isFailure(parsed) ? parsed : ledger.decode(parsed.success.bytes)
}

const transactionsHandler =
  (node: NodeShape): Handlers["networkTransactions"] =>
  ({ body }) => {
    const read = readTransaction(node, under(body, "transaction"))
    if (Result.isFailure(read)) return Effect.succeed(problem(400, read.failure.code, read.failure.message))
    const transaction = read.success
    return Effect.gen(function* () {
      const sent = yield* Effect.result(node.submit(transaction))
      if (Result.isSuccess(sent)) {
        const next_block_index = sent.success.nextHeight + 1
        const shown = formatTransaction(transaction, node.facts.rules.spec.addressPrefix)
        return { reply: { accepted: true as const, duplicate: false as const, next_block_index, transaction: shown } }
      }
      const { failure } = sent
      if (failure._tag !== "TransactionRefused") return yield* failure
      const { reject } = failure
      if (isDuplicate(reject))
        return { status: 200, reply: { accepted: false as const, duplicate: true as const, message: reject.message } }
      // What has no room now may have some later; all else is a wrong request here, whoever is to blame (L-R24).
      return problem(/-full$/.test(reject.code) ? 503 : 400, reject.code, reject.message)
    })
  }

/** What was heard before, comes too late or from ourselves is nobody's fault: it travels several ways. */
const isStale = (code: string): boolean => /^announcement-(own|stale|seen|overtaken|hops)$/.test(code)
const isTooOften = (code: string): boolean => /too-often$|too-many$/.test(code)

const announceHandler =
  (node: NodeShape): Handlers["gossipAnnounce"] =>
  ({ body, remote }) =>
    Effect.gen(function* () {
      const { announcement } = body as { readonly announcement: string }
      if (node.announce === undefined)
        return problem(503, "gossip-off", "This node hears no announcements: gossip is not turned on.")
      const { refused, isAhead, ...heard } = yield* node.announce(fromHex(announcement)!, remote ?? "127.0.0.1")
      if (refused !== undefined && !isStale(refused))
        return problem(isTooOften(refused) ? 429 : 409, refused, "The announcement is not heard.", {
          extra: { accepted: false, error: refused },
          headers: isTooOften(refused) ? { "retry-after": "1" } : {}
        })
      return {
        ...(isAhead ? {} : { status: 200 }),
        reply: {
          accepted: refused === undefined,
          updated: isAhead,
          status: refused ?? (isAhead ? "asked" : "heard"),
          message: isAhead ? "Our session with that node is asked." : "Nobody is asked for it.",
          source_peer: textOf(heard.endpoint),
          source_gossip_endpoint: textOf(heard.gossipEndpoint),
          node_id: textOf(heard.nodeId),
          found: heard.found,
          snapshot: tipJson(yield* node.tip())
        }
      }
    })

const statuses: Readonly<Record<string, number>> = { "peer-word-replayed": 409 }

/** Hears what nodes sign of themselves. An endpoint may be dialled; nothing is fetched, and no score changes. */
const wordHandler = (node: NodeShape, words: HeardWords, kind: PeerWordKind) => {
  let loggedAt = Number.NEGATIVE_INFINITY
  const log = ({ nodeId, error }: PeerWord, now: number): Effect.Effect<void> => {
    if (Math.abs(now - loggedAt) < peerFailureLogMs) return Effect.void
    loggedAt = now
    return Effect.logInfo("a node says that it did not reach us", { peer: nodeId, why: onOneLine(error) })
  }
  return ({ body }: Input): Answer<Output<"peerUpdate">> =>
    Effect.gen(function* () {
      const now = yield* Clock.currentTimeMillis
      const read = readPeerWord(body, kind)
      const refused = Result.isFailure(read) ? read.failure : words.hear(read.success, now, isNodeUrl(node.facts))
      if (Result.isFailure(read) || refused !== undefined)
        return problem(statuses[refused!] ?? 400, refused!, peerWordAdvice[refused!])
      const word: PeerWord = read.success
      if (kind === "failure") yield* log(word, now)
      const isDialled = kind === "update" && word.endpoint !== ""
      if (isDialled) yield* node.heard({ nodeId: word.nodeId, endpoint: word.endpoint })
      const { nodeId: node_id, endpoint, nodeUrl, gossipEndpoint } = word
      const peer = {
        node_id,
        url: textOf(endpoint),
        node_url: textOf(nodeUrl),
        gossip_endpoint: textOf(gossipEndpoint)
      }
      return { reply: { accepted: true, peer, discovered: isDialled ? [endpoint] : [] } }
    })
}

/** Is it the URL of a node, of https if that is all that this node would ask? */
const isNodeUrl =
  ({ config }: NodeFacts) =>
  (text: string): boolean => {
    const url = URL.parse(text)
    const scheme = httpNodesOf(config).policy.requireHttps === true ? /^https:$/ : /^https?:$/
    return url !== null && scheme.test(url.protocol) && url.username === "" && url.password === ""
  }

export const networkHandlers = (node: NodeShape, app: AppFacts): Pick<Handlers, Names | Words> => {
  const { ledger } = node.facts.rules.spec
  const words = new HeardWords({ chainId: ledger.chainId, genesis: node.facts.rules.genesis.header.hash })
  return {
    ...rawHandlers(node),
    resolve: resolveHandler(node),
    networkPeers: directoryHandler(node, app),
    networkInventory: inventoryHandler(node),
    networkBlocks: blocksHandler(node),
    networkTransactions: transactionsHandler(node),
    gossipAnnounce: announceHandler(node),
    peerUpdate: wordHandler(node, words, "update"),
    peerFailure: wordHandler(node, words, "failure")
  }
}
