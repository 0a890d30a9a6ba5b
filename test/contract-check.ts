/** Asks a node for a route of the reference system as a stranger and as whoever may, and compares class, status and keys. */
import { expect } from "bun:test"
import type { Route } from "../src/http/contract.ts"
import type { Now, Row } from "./contract-rows.ts"
import { adminToken, peerSecret } from "./door.ts"

/** What each class shows. */
const proofs: Readonly<Record<Route["auth"], Record<string, string>>> = {
  health: {},
  public: {},
  admin: { authorization: `Bearer ${adminToken}` },
  peer: { "x-blockchain-peer-secret": peerSecret }
}

const request = (base: string, { ask, body }: Row, now: Now, headers: Record<string, string>): Promise<Response> => {
  const [method, path] = ask.replaceAll("TIP", now.tip).split(" ") as [string, string]
  if (method === "GET") return fetch(`${base}${path}`, { headers })
  const type = { "content-type": "application/json" }
  return fetch(`${base}${path}`, { method, headers: { ...type, ...headers }, body: JSON.stringify(body?.(now) ?? {}) })
}

const at = (value: unknown, place: string): unknown =>
  place === ""
    ? value
    : place.split(".").reduce<unknown>((inner, key) => (inner as Record<string, unknown>)[key], value)

/** `base`: URL of a node with the token and the secret of door.ts, which allows wallets, mining by GET and plain gossip. */
export const checkRow = async (base: string, row: Row, now: Now): Promise<void> => {
  const { auth, status, keys } = row
  const unknown = await request(base, row, now, {})
  const needsMore = auth === "admin" || auth === "peer"
  expect(unknown.status === 401).toBe(needsMore)
  expect(unknown.headers.get("content-type")).toBe(needsMore ? "application/problem+json" : "application/json")
  const answer = needsMore ? await request(base, row, now, proofs[auth]) : unknown
  expect([answer.status, answer.headers.get("content-type")]).toEqual([status, "application/json"])
  const reply: unknown = await answer.json()
  for (const [place, names] of Object.entries(keys)) {
    const has = Object.keys(at(reply, place) as object)
    expect([place, names.filter((name) => !has.includes(name))]).toEqual([place, []])
  }
}
