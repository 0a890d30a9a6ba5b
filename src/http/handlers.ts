/** What each route does with its decoded input: ask the node, write the answer as the contract says. */
import { Effect, Result } from "effect"
import type { BlockHash } from "../block/header.ts"
import { fromHex, toHex, utf8 } from "../codec/bytes.ts"
import { devAccountsOf } from "../chain/dev-accounts.ts"
import { formatAddress } from "../crypto/address.ts"
import { sha256 } from "../crypto/hash.ts"
import { formatTransaction, parseTransaction } from "../ledger/transaction-text.ts"
import type { TransactionId } from "../ledger/transaction.ts"
import type { BlockView, NodeShape } from "../node/node.ts"
import { type AppFacts, capabilitiesOf } from "./capabilities.ts"
import { authorityHandlers } from "./authority-handlers.ts"
import { peerHandlers } from "./peer-handlers.ts"
import { coinHandlers } from "./coin-handlers.ts"
import { aliases, routes } from "./contract.ts"
import { healthHandlers } from "./health-handlers.ts"
import type { Handlers, Output } from "./exchange.ts"
import { addressIn, badCursor, cursorOf, hasCoins, limitOf, withoutAccounts } from "./input.ts"
import {
  accountJson,
  accountProofJson,
  blockJson,
  finalityJson,
  headerJson,
  metaJson,
  modeOf,
  namesJson,
  serviceJson,
  transactionJson,
  transactionProofJson
} from "./json.ts"
import { legacyHandlers } from "./legacy-handlers.ts"
import { networkHandlers } from "./network-handlers.ts"
import { pathOf } from "./openapi.ts"
import { problem } from "./problem.ts"
import { rotaHandlers } from "./rota-handlers.ts"
import { snapshotOf, snapshotSize, snapshotWith, statsAndMeta } from "./snapshot.ts"
import { storageHandlers } from "./storage-handlers.ts"
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

const blockOutput = ({ facts }: NodeShape, view: BlockView | undefined, what: string): Output<"blockAt"> => {
  if (view !== undefined) return { reply: { block: blockJson(facts, view) }, headers: cacheOf(view) }
  const pruned = facts.prunedTo ? ` that is kept here: blocks 1 to ${facts.prunedTo} are pruned` : ""
  return problem(404, "block-not-found", `There is no block ${what} on the best branch${pruned}.`)
}

/** Is the body of a height one that was dropped? */
const isPruned = ({ facts }: NodeShape, height: number): boolean => height > 0 && height <= (facts.prunedTo ?? 0)

/** What this node is and how it is. */
const nodeHandlers = (
  node: NodeShape,
  app: AppFacts
): Pick<Handlers, "health" | "info" | "stats" | "validate" | "finality" | "hash"> => {
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
          mode: modeOf(facts),
          node_id: namesJson(facts).node_id,
          node_url: namesJson(facts).node_url,
          chain_id: rules.spec.ledger.chainId,
          config_valid: true,
          config_errors: [],
          timestamp: now()
        }
      }),
    info: ({ query }) =>
      Effect.map(snapshotOf(node, (query["limit"] as number | undefined) ?? snapshotSize), (snapshot) => ({
        reply: {
          service: serviceJson(facts),
          capabilities: capabilitiesOf(facts, app),
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
          meta: snapshot.meta,
          dev_accounts: devAccounts(),
          snapshot
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
        const page = { rows: rows.length, next_cursor: last === 0 ? null : String(last - 1) }
        return { reply: { ...(yield* snapshotWith(node, rows, limitOf(input))), page } }
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
      isPruned(node, Number(params["height"]))
        ? Effect.succeed(
            problem(410, "block-pruned", `Blocks 1 to ${facts.prunedTo} are pruned here. Ask another node.`)
          )
        : Effect.map(node.blockAt(Number(params["height"])), (view) =>
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
): Pick<Handlers, "pending" | "transaction" | "submit" | "accounts" | "account"> => {
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
export const makeHandlers = (node: NodeShape, app: AppFacts): Handlers => ({
  ...nodeHandlers(node, app),
  ...healthHandlers(node),
  ...legacyHandlers(node),
  ...chainHandlers(node),
  ...moneyHandlers(node),
  ...coinHandlers(node),
  ...stateHandlers(node),
  ...authorityHandlers(node),
  ...networkHandlers(node, app),
  ...peerHandlers(node),
  ...rotaHandlers(node),
  ...storageHandlers(node),
  ...proofHandlers(node)
})
