/** The routes of a reference system beside ours: for who comes from there. Only for chains of coins, as theirs are. */
import type { Context as Services } from "effect"
import { Hono } from "hono"
import type { Keypair } from "../crypto/keys.ts"
import type { NodeShape } from "../node.ts"
import { answer } from "./answer.ts"
import { Desk } from "./compat-desk.ts"
import { addDotcoin } from "./compat-dotcoin.ts"
import { addFullNode, refuseFullNode } from "./compat-full-node.ts"
import { Wallet } from "./compat-wallet.ts"
import { makeOwnSession, type SessionOptions } from "./own-session.ts"

const systems = {
  dotcoin: { add: addDotcoin, refuse: answer },
  "full-node": { add: addFullNode, refuse: refuseFullNode }
} as const

export type CompatSystem = keyof typeof systems
export const compatSystems = Object.keys(systems) as ReadonlyArray<CompatSystem>

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
}

/** The router. It also gives the page's cookie, so it must stand before the page. */
export const makeCompat = (options: CompatOptions): Hono => {
  const { node, wallet: key, random, context: services, actsOnGet } = options
  const { add, refuse } = systems[options.system]
  const session = makeOwnSession(options.session)
  const app = new Hono()
  app.get("/", session.greet)
  add(app, new Desk({ node, wallet: new Wallet({ node, key, random }), session, services, actsOnGet, refuse }))
  return app
}
