/** The routes of a reference system beside ours: for who comes from there. Only for chains with its ledger model. */
import type { Context as Services } from "effect"
import { Hono } from "hono"
import type { Keypair } from "../crypto/keys.ts"
import type { LedgerRules } from "../ledger/ledger.ts"
import type { NodeShape } from "../node/node.ts"
import { answer } from "../http/answer.ts"
import { Desk } from "./desk.ts"
import { addCcoin, type Spenders } from "./ccoin.ts"
import { addDotcoin } from "./dotcoin.ts"
import { addFullNode, refuseFullNode } from "./full-node.ts"
import { Wallet } from "./wallet.ts"
import { makeOwnSession, type SessionOptions } from "./own-session.ts"

const systems = {
  ccoin: { model: "account", add: addCcoin, refuse: answer },
  dotcoin: { model: "utxo", add: addDotcoin, refuse: answer },
  "full-node": { model: "utxo", add: addFullNode, refuse: refuseFullNode }
} as const

export type CompatSystem = keyof typeof systems
export const compatSystems = Object.keys(systems) as ReadonlyArray<CompatSystem>

/** The ledger that the routes of a system are about. */
export const compatModel = (system: CompatSystem): LedgerRules["model"] => systems[system].model

export interface CompatOptions {
  readonly system: CompatSystem
  readonly node: NodeShape
  readonly context: Services.Context<never>
  /** Whose coins the routes that pay spend, and whose key they show. */
  readonly wallet: Keypair
  readonly session: SessionOptions
  /** Do GET routes mine and spend, as they do there? */
  readonly actsOnGet: boolean
  readonly random: (length: number) => Uint8Array
  /** Of ccoin: whose money the node may spend; absent: nobody's. */
  readonly spenders?: Spenders
}

/** The router. It also gives the page's cookie, so it must stand before the page. */
export const makeCompat = (options: CompatOptions): Hono => {
  const { node, wallet: key, random, context: services, actsOnGet, spenders = () => undefined } = options
  const { add, refuse } = systems[options.system]
  const session = makeOwnSession(options.session)
  const app = new Hono()
  app.get("/", session.greet)
  add(app, new Desk({ node, wallet: new Wallet({ node, key, random }), session, services, actsOnGet, refuse }), {
    spenders,
    random
  })
  return app
}
