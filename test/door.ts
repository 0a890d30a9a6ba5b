/** A node behind its HTTP door, with a socket: what tests ask as strangers and as operators. */
import { Context, Effect } from "effect"
import type { NodeConfig } from "../src/config.ts"
import { formatAddress } from "../src/crypto/address.ts"
import { makeApp } from "../src/http/app.ts"
import { serveHttp } from "../src/http/server.ts"
import { formatTransfer } from "../src/ledger/transfer-text.ts"
import { keyOf, transfer } from "./fixtures.ts"
import { startNode, type TestNode } from "./network.ts"

export const adminToken = "0123456789abcdef0123456789abcdef"
export const addressOf = (i: number): string => formatAddress(keyOf(i).address, "crn")

/** A transfer as it is posted: of the first test key, if nothing else is said. */
export const signed = (nonce: number, wish: Partial<Parameters<typeof transfer>[0]> = {}) =>
  formatTransfer(transfer({ from: 0, to: 1, nonce, time: Date.now(), fee: 5, ...wish }), "crn")

export interface Served {
  readonly node: TestNode
  readonly url: string
  readonly post: (path: string, body: unknown, headers?: Readonly<Record<string, string>>) => Promise<Response>
  readonly stop: () => Promise<void>
}

/** Serves a node that asks for the token, also of this machine. */
export const serveNode = async (
  wish: { readonly http?: Partial<NodeConfig["http"]>; readonly squeeze?: number } = {}
): Promise<Served> => {
  const node = await startNode(wish)
  const inside = node.tree.node
  const app = makeApp({
    node: { ...inside, facts: { ...inside.facts, dev: false } },
    context: Context.empty(),
    adminToken,
    page: new Map([["/", { type: "text/html; charset=utf-8", body: "<!doctype html>" }]]),
    hosts: ["localhost"]
  })
  const server = await Effect.runPromise(serveHttp({ host: "127.0.0.1", port: 0 }, () => Promise.resolve(app)))
  const { url } = server
  return {
    node,
    url,
    post: (path, body, headers = {}) =>
      fetch(`${url}${path}`, {
        method: "POST",
        headers: { "content-type": "application/json", ...headers },
        body: typeof body === "string" ? body : JSON.stringify(body)
      }),
    stop: async () => {
      await Effect.runPromise(server.stop(100))
      await node.stop()
    }
  }
}
