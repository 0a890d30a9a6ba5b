/** Older routes (legacy-contract.ts), and mining on order, by POST and where the operator allows it by GET. */
import { Effect } from "effect"
import { toHex } from "../codec/bytes.ts"
import { formatAddress } from "../crypto/address.ts"
import { type Keypair, keypairOf } from "../crypto/keys.ts"
import { isSecret } from "../crypto/signature.ts"
import type { Answer, BlockRefused, NodeShape } from "../node/node.ts"
import type { Handlers, Output } from "./exchange.ts"
import { addressIn } from "./input.ts"
import { blockJson } from "./json.ts"
import { problem } from "./problem.ts"
import { snapshotOf, snapshotSize } from "./snapshot.ts"

const walletsOff = problem(
  403,
  "server-wallets-disabled",
  "This node makes no keys for others: make yours with cairn keys new, or on the page, where nobody else sees it."
)
const mineOnGetOff = problem(
  404,
  "mine-on-get-disabled",
  "A GET does not mine here: use POST /api/mine. The operator may allow it for older clients."
)
/** Neither a cache nor a history may keep it. */
const unkept = { "cache-control": "no-store" }

/** A key by this machine's randomness, in the form that HTTP gives it. Nothing of it is kept or logged. */
const makeKey = (): Keypair => {
  for (;;) {
    const secret = crypto.getRandomValues(new Uint8Array(32))
    if (isSecret(secret)) return keypairOf(secret)
  }
}

/** Seals a block, to the node's own key if nobody is named. */
const mineFor = (node: NodeShape, miner: string | undefined): Answer<Output<"mine">, BlockRefused> => {
  const proposer = miner === undefined ? undefined : addressIn(node, miner)
  if (proposer !== undefined && "code" in proposer) return Effect.succeed(proposer)
  return Effect.gen(function* () {
    const view = yield* node.mine(proposer)
    const snapshot = yield* snapshotOf(node, snapshotSize)
    return { reply: { message: "A block was sealed.", block: blockJson(node.facts, view), snapshot } }
  })
}

export const legacyHandlers = (
  node: NodeShape
): Pick<Handlers, "mine" | "mineByGet" | "wallets" | "remoteChain" | "hashHint"> => {
  const { rules, config } = node.facts
  return {
    mine: ({ body }) => mineFor(node, (body as { readonly miner?: string }).miner),
    mineByGet: ({ query }) =>
      config.http.mineOnGet === true
        ? Effect.map(mineFor(node, query["miner"] as string | undefined), (output) =>
            "reply" in output ? { ...output, headers: unkept } : output
          )
        : Effect.succeed(mineOnGetOff),
    wallets: () => {
      if (config.http.serverWallets !== true) return Effect.succeed(walletsOff)
      const { secret, publicKey, address } = makeKey()
      const wallet = {
        private_key: toHex(secret),
        public_key: toHex(publicKey),
        address: formatAddress(address, rules.spec.addressPrefix)
      }
      secret.fill(0)
      return Effect.succeed({
        reply: { message: "A key was made; this node keeps nothing of it.", wallet },
        headers: unkept
      })
    },
    remoteChain: () =>
      Effect.map(node.peers(), (peers) => ({
        reply: {
          peers: peers.map(({ endpoint }) => endpoint),
          message:
            "Nodes ask one another for headers, then for bodies, over sessions of their own. GET /api/chain has this node's chain."
        }
      })),
    hashHint: () => Effect.succeed({ reply: { message: "Use /hashing/sha256/{text} or /api/hash/sha256/{text}." } })
  }
}
