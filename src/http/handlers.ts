/** What each route does with its decoded input: ask the node, write the answer as the contract says. */
import { Effect, Result } from "effect"
import type { BlockHash } from "../block/header.ts"
import { fromHex, toHex, utf8 } from "../codec/bytes.ts"
import { devAccountsOf } from "../chain/dev-accounts.ts"
import { formatAddress } from "../crypto/address.ts"
import { sha256 } from "../crypto/hash.ts"
import { formatTransaction, parseTransaction } from "../ledger/transaction-text.ts"
import type { TransactionId } from "../ledger/transaction.ts"
import type { BlockView, NodeShape } from "../node.ts"
import { authorityHandlers } from "./authority-handlers.ts"
import { peerHandlers } from "./peer-handlers.ts"
import { coinHandlers } from "./coin-handlers.ts"
import { aliases, routes } from "./contract.ts"
import type { Handlers, Output } from "./exchange.ts"
import { addressIn, badCursor, cursorOf, hasCoins, limitOf, withoutAccounts } from "./input.ts"
import {
  accountJson,
  accountProofJson,
  blockJson,
  capabilities,
  finalityJson,
  headerJson,
  metaJson,
  serviceJson,
  stateJson,
  statsJson,
  transactionJson,
  transactionProofJson
} from "./json.ts"
import { pathOf } from "./openapi.ts"
import { problem } from "./problem.ts"
import { rotaHandlers } from "./rota-handlers.ts"
import { stateHandlers } from "./state-handlers.ts"

/** Confirmations after which a block's page is told to be kept by caches: a reorganisation that deep is news of another kind. */
const settledConfirmations = 100

const transactionMissing = problem(
  404,
  "transaction-not-found",
  "No block of the best branch has it, and it is not pending."
)

/** A block's hash names its content for ever; its confirmations change until it is settled. */
const cacheOf = (view: BlockView): Readonly<Record<string, string>> =>
  view.confirmations > settledConfirmations && view.final !== false
    ? { etag: `"${view.block.header.id}"`, "cache-control": "public, max-age=86400, immutable" }
    : {
        etag: `"${view.block.header.id}-${view.confirmations}${view.final === true ? "-final" : ""}"`,
        "cache-control": "no-cache"
      }

const now = (): string => new Date().toISOString()

const blockOutput = ({ facts }: NodeShape, view: BlockView | undefined, what: string): Output<"blockAt"> =>
  view === undefined
    ? problem(404, "block-not-found", `There is no block ${what} on the best branch.`)
    : { reply: { block: blockJson(facts, view) }, headers: cacheOf(view) }

/** What several routes show of the node as it stands. */
const statsAndMeta = (node: NodeShape) =>
  Effect.gen(function* () {
    const { facts } = node
    const { rules } = facts
    const stats = yield* node.stats()
    const tip = yield* node.tip()
    const peers = yield* node.peers()
    const parent = tip.header
    const [window] = [yield* node.headersFrom(Math.max(0, parent.height - 100), 101)]
    const at = (height: number) => window.find(({ header }) => header.height === height)?.header ?? parent
    const anchored = rules.spec.difficulty.rule === "asert" && parent.height > 0 ? yield* node.blockAt(0) : undefined
    const nextTarget = rules.consensus.nextTarget({
      parent,
      at: (height) => (height === 0 && anchored !== undefined ? anchored.block.header : at(height))
    })
    return { stats: statsJson(facts, { stats, tip: parent, nextTarget, peers }), meta: metaJson(facts, parent) }
  })

/** What this node is and how it is. */
const nodeHandlers = (
  node: NodeShape
): Pick<Handlers, "health" | "ready" | "info" | "stats" | "validate" | "finality" | "hash"> => {
  const { facts } = node
  const { rules } = facts
  const prefix = rules.spec.addressPrefix
  let known: ReadonlyArray<string> | undefined
  /** Looked for once, when first asked. */
  const devAccounts = (): ReadonlyArray<string> =>
    (known ??= facts.dev ? devAccountsOf(rules.spec).map(({ address }) => formatAddress(address, prefix)) : [])
  return {
    health: () =>
      Effect.succeed({
        reply: {
          status: "ok",
          service: "cairn",
          version: facts.version,
          mode: facts.dev ? "development" : "production",
          node_id: facts.nodeId,
          node_url: facts.httpUrl,
          chain_id: rules.spec.ledger.chainId,
          config_valid: true,
          config_errors: [],
          timestamp: now()
        }
      }),
    ready: () =>
      Effect.gen(function* () {
        const { ready, state, reasons } = yield* node.ready()
        const { header } = yield* node.tip()
        if (!ready)
          return problem(503, "not-ready", reasons.map(({ message }) => message).join(" "), { errors: reasons })
        const { nodeId } = facts
        return {
          reply: {
            status: "ready" as const,
            state: stateJson(state),
            chain_id: rules.spec.ledger.chainId,
            node_id: nodeId,
            height: header.height,
            timestamp: now()
          }
        }
      }),
    info: () =>
      Effect.map(node.tip(), ({ header }) => ({
        reply: {
          service: serviceJson(facts),
          capabilities,
          api: {
            ...Object.fromEntries(
              Object.entries(routes).map(([name, { method, path }]) => [name, `${method} ${pathOf(path)}`])
            ),
            ...Object.fromEntries(
              Object.entries(aliases).map(([path, name]) => [`${name} (${pathOf(path)})`, `GET ${pathOf(path)}`])
            ),
            events: "GET /api/events",
            metrics: "GET /metrics",
            openapi: "GET /openapi.json"
          },
          meta: metaJson(facts, header),
          dev_accounts: devAccounts()
        }
      })),
    stats: () => Effect.map(statsAndMeta(node), (reply) => ({ reply })),
    validate: () => Effect.map(node.validate(), (reply) => ({ reply })),
    finality: () =>
      Effect.map(node.finality(), (view) =>
        view === undefined
          ? problem(404, "finality-none", "The authorities of this chain do not vote on checkpoints.")
          : { reply: finalityJson(facts, view) }
      ),
    hash: ({ params }) =>
      Effect.succeed({ reply: { input: params["text"]!, hash: toHex(sha256(utf8(params["text"]!))) } })
  }
}

/** Blocks and headers of the best branch. */
const chainHandlers = (node: NodeShape): Pick<Handlers, "chain" | "headers" | "locator" | "blockAt" | "blockOf"> => {
  const { facts } = node
  return {
    chain: (input) =>
      Effect.gen(function* () {
        const cursor = cursorOf(input)
        if (cursor !== undefined && !/^\d{1,15}$/.test(cursor)) return badCursor
        const from = cursor === undefined ? Number.MAX_SAFE_INTEGER : Number(cursor)
        const rows = yield* node.blocksDownFrom(from, limitOf(input))
        const last = rows.at(-1)?.block.header.height ?? 0
        const shared = yield* statsAndMeta(node)
        const validation = yield* node.validate()
        const page = { rows: rows.length, next_cursor: last === 0 ? null : String(last - 1) }
        return { reply: { ...shared, validation, chain: rows.map((view) => blockJson(facts, view)), page } }
      }),
    headers: (input) =>
      Effect.gen(function* () {
        const locator = input.query["locator"] as ReadonlyArray<string> | undefined
        const start = input.query["start"] as number | undefined
        const from =
          (input.query["from_height"] as number | undefined) ?? (start === undefined ? 0 : Math.max(0, start - 1))
        const rows = yield* locator === undefined
          ? node.headersFrom(from, limitOf(input))
          : node.headersAfter(
              locator.map((hash) => fromHex(hash)! as Uint8Array as BlockHash),
              limitOf(input)
            )
        const { work } = yield* node.tip()
        return {
          reply: {
            headers: rows.map((row) => headerJson(facts, row)),
            count: rows.length,
            cumulative_work: String(work)
          }
        }
      }),
    locator: (input) =>
      Effect.gen(function* () {
        const hashes = yield* node.locator((input.query["limit"] as number | undefined) ?? 16)
        const { header, work } = yield* node.tip()
        const locator = {
          hashes: hashes.map(toHex),
          height: header.height,
          cumulative_work: String(work),
          tip_hash: header.id
        }
        return { reply: { meta: metaJson(facts, header), locator } }
      }),
    blockAt: ({ params }) =>
      Effect.map(node.blockAt(Number(params["height"])), (view) =>
        blockOutput(node, view, `at height ${params["height"]}`)
      ),
    blockOf: ({ params }) => {
      const hash = params["hash"]!.toLowerCase()
      return Effect.map(node.blockOf(fromHex(hash)! as Uint8Array as BlockHash), (view) =>
        blockOutput(node, view, hash)
      )
    }
  }
}

/** Transactions and accounts. */
const moneyHandlers = (
  node: NodeShape
): Pick<Handlers, "pending" | "transaction" | "submit" | "accounts" | "account" | "mine"> => {
  const { facts } = node
  const { rules } = facts
  const prefix = rules.spec.addressPrefix
  return {
    pending: (input) =>
      Effect.map(node.pending(cursorOf(input), limitOf(input)), (page) =>
        page === undefined
          ? badCursor
          : {
              reply: {
                pending_transactions: page.rows.map((row) => formatTransaction(row, prefix)),
                count: page.rows.length,
                page: { rows: page.rows.length, next_cursor: page.next ?? null }
              }
            }
      ),
    transaction: ({ params }) =>
      Effect.map(node.transaction(fromHex(params["id"]!.toLowerCase())! as Uint8Array as TransactionId), (view) =>
        view === undefined ? transactionMissing : { reply: transactionJson(facts, view) }
      ),
    submit: ({ body }) => {
      const parsed = parseTransaction(body, prefix, rules.spec.ledger.model)
      // The same reader as for bytes from peers: what JSON lets through that the rules do not, they find.
      const decoded = Result.isFailure(parsed) ? parsed : rules.ledger.decode(parsed.success.bytes)
      if (Result.isFailure(decoded)) {
        const { code, message } = decoded.failure
        return Effect.succeed(problem(400, code, message))
      }
      return Effect.map(node.submit(decoded.success), ({ nextHeight, pending, account }) => ({
        reply: {
          message: "The transaction is pending.",
          next_block_index: nextHeight + 1,
          transaction: formatTransaction(decoded.success, prefix),
          pending_transactions: pending,
          account: accountJson(facts, account)
        }
      }))
    },
    accounts: (input) =>
      Effect.map(node.accounts(cursorOf(input), limitOf(input)), (page) =>
        page === undefined
          ? badCursor
          : {
              reply: {
                accounts: page.rows.map((row) => accountJson(facts, row)),
                count: page.rows.length,
                page: { rows: page.rows.length, next_cursor: page.next ?? null }
              }
            }
      ),
    account: ({ params }) => {
      const address = addressIn(node, params["address"]!)
      return "code" in address
        ? Effect.succeed(address)
        : Effect.map(node.account(address), (view) => ({ reply: { account: accountJson(facts, view) } }))
    },
    mine: ({ body }) => {
      const { miner } = body as { readonly miner?: string }
      const proposer = miner === undefined ? undefined : addressIn(node, miner)
      if (proposer !== undefined && "code" in proposer) return Effect.succeed(proposer)
      return Effect.map(node.mine(proposer), (view) => ({
        reply: { message: "A block was sealed.", block: blockJson(facts, view) }
      }))
    }
  }
}

/** Proofs that need a header and nothing else. */
const proofHandlers = (node: NodeShape): Pick<Handlers, "transactionProof" | "accountProof"> => ({
  transactionProof: ({ params }) =>
    Effect.gen(function* () {
      const id = fromHex(params["id"]!.toLowerCase())! as Uint8Array as TransactionId
      const view = yield* node.transactionProof(id)
      if (view !== undefined) return { reply: transactionProofJson(view) }
      return (yield* node.transaction(id)) === undefined
        ? transactionMissing
        : problem(404, "transaction-pending", "It is pending: no block has it yet, so nothing can prove it. Ask later.")
    }),
  accountProof: ({ params }) => {
    if (hasCoins(node)) return Effect.succeed(withoutAccounts)
    const address = addressIn(node, params["address"]!)
    return "code" in address
      ? Effect.succeed(address)
      : Effect.map(node.accountProof(address), (proof) => ({ reply: accountProofJson(proof) }))
  }
})

/** A handler for every route. */
export const makeHandlers = (node: NodeShape): Handlers => ({
  ...nodeHandlers(node),
  ...chainHandlers(node),
  ...moneyHandlers(node),
  ...coinHandlers(node),
  ...stateHandlers(node),
  ...authorityHandlers(node),
  ...peerHandlers(node),
  ...rotaHandlers(node),
  ...proofHandlers(node)
})
