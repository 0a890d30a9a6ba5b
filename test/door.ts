/** A node behind its HTTP door, with a socket: what tests ask as strangers and as operators. */
import { Context, Effect } from "effect"
import { makeRules } from "../src/chain/rules.ts"
import { toHex } from "../src/codec/bytes.ts"
import { formatAddress } from "../src/crypto/address.ts"
import { formatPeerWord, makePeerWord, type PeerWordKind } from "../src/discovery/peer-word.ts"
import { makeAnnouncement } from "../src/gossip/announcement.ts"
import { makeApp } from "../src/http/app.ts"
import { serveHttp } from "../src/http/server.ts"
import { formatTransfer } from "../src/ledger/transfer-text.ts"
import { keyOf, specOf, transfer } from "./fixtures.ts"
import { plain } from "./gossip.ts"
import { type NodeWish, startNode, type TestNode } from "./network.ts"

export const adminToken = "0123456789abcdef0123456789abcdef"
export const peerSecret = "fedcba9876543210fedcba9876543210"
export const addressOf = (i: number): string => formatAddress(keyOf(i).address, "crn")

/** A transfer as it is posted: of the first test key, if nothing else is said. */
export const signed = (nonce: number, wish: Partial<Parameters<typeof transfer>[0]> = {}) =>
  formatTransfer(transfer({ from: 0, to: 1, nonce, time: Date.now(), fee: 5, ...wish }), "crn")

/** The genesis of the chain that is served if no other is asked for. */
const genesis = makeRules(specOf()).genesis.header.hash

/** What a node signs of itself, as it is posted: of the test key of this number. */
export const wordOf = (kind: PeerWordKind, key: number) =>
  formatPeerWord(
    makePeerWord(
      {
        ...{ kind, chainId: "test", genesis, endpoint: "127.0.0.1:19102", nodeUrl: "", gossipEndpoint: "" },
        ...{ height: 0, work: 0n, error: kind === "failure" ? "no answer" : "", time: Date.now() },
        nonce: crypto.getRandomValues(new Uint8Array(16))
      },
      keyOf(key)
    )
  )

/** An announcement of the node of a test key, as it is posted: a datagram in hex. */
export const announcementOf = (key: number): string =>
  toHex(
    plain(
      makeAnnouncement(
        {
          ...{ chainId: "test", publicKey: keyOf(key).publicKey, sequence: Date.now(), time: Date.now(), hopsMax: 3 },
          ...{ height: 0, work: new Uint8Array(32), tip: genesis, endpoint: "", gossipEndpoint: "", entries: [] }
        },
        genesis,
        keyOf(key)
      )
    )
  )

export interface Served {
  readonly node: TestNode
  readonly url: string
  readonly post: (path: string, body: unknown, headers?: Readonly<Record<string, string>>) => Promise<Response>
  readonly stop: () => Promise<void>
}

/** Serves a node that asks for the token, also of this machine, and of peers for their secret. */
export const serveNode = async (wish: NodeWish = {}): Promise<Served> => {
  const node = await startNode(wish)
  const inside = node.tree.node
  const app = makeApp({
    node: { ...inside, facts: { ...inside.facts, dev: false } },
    context: Context.empty(),
    adminToken,
    peerSecret,
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
