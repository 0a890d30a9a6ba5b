/**
 * Three authorities that vote on checkpoints, the third behind a signing socket: nothing is final without all three. Its signer
 * is killed and its protection file put back; what the stores say at the end is the verdict.
 */
import { afterAll, beforeAll, expect, test } from "bun:test"
import { copyFileSync, readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import type { Subprocess } from "bun"
import { decodeHeader, type Header } from "../../src/block/header.ts"
import { presets } from "../../src/chain/presets.ts"
import { offenceOf } from "../../src/consensus/checkpoint.ts"
import { formatAddress } from "../../src/crypto/address.ts"
import { accountKey, devMnemonic } from "../../src/crypto/keys.ts"
import { call } from "../../src/http/client.ts"
import { dialUnix } from "../../src/io/unix.ts"
import { signerLineBytesMax } from "../../src/limits.ts"
import { openReadonly } from "../../src/store/db.ts"
import { loadFinality } from "../../src/store/finality.ts"
import { encodeVoteAsk, formatQuestion, parseGreeting } from "../../src/validator/signing-lines.ts"
import "../fixtures.ts"
import { until } from "../network.ts"
import { binary, type Running, suite } from "./binary.ts"

const { home, begin } = suite()
const path = (...parts: ReadonlyArray<string>): string => join(home.path, ...parts)
const addresses = [0, 1, 2].map((i) => formatAddress(accountKey(devMnemonic, i).address, "crn"))
const every = 2
const socket = (): string => path("signer.sock")
const book = (): string => path(`${addresses[2]}.signed.json`)
const older = (): string => path("older.json")
const folders = ["a", "b", "c"].map((name) => path(name))
let nodes: ReadonlyArray<Running> = []
let signer: Subprocess<"ignore", "pipe", "pipe"> | undefined

const startSigner = async (): Promise<void> => {
  const place = ["--dev", "--key", "dev:2", "--socket", socket(), "--spec", path("voting.json")]
  signer = Bun.spawn([binary, "signer", ...place], { stdin: "ignore", stdout: "pipe", stderr: "pipe" })
  const { value } = await signer.stdout.getReader().read()
  expect(JSON.parse(new TextDecoder().decode(value))).toMatchObject({ ready: true, address: addresses[2] })
}
afterAll(() => void signer?.kill("SIGKILL"))

const finality = ({ http }: Running) => call(http, "finality")
const finalOf = async (node: Running): Promise<number> => (await finality(node)).final.height
const targetOf = (file: string): number => JSON.parse(readFileSync(file, "utf8")).target

const read = <A>(folder: string, f: (db: ReturnType<typeof openReadonly>) => A): A => {
  const db = openReadonly(join(folder, "chain.db"))
  try {
    return f(db)
  } finally {
    db.close()
  }
}
const headerAt = (folder: string, height: number): Header =>
  read(folder, (db) => {
    const sql = "SELECT header FROM best b JOIN headers h ON h.n = b.n WHERE b.height = ?"
    return decodeHeader(db.query<{ header: Uint8Array }, [number]>(sql).get(height)!.header)!
  })

/** What the signer says to a line of whoever can open its socket, and the genesis that it greets with. */
const askSigner = (line: string): Promise<{ readonly genesis: string; readonly answer: string }> =>
  new Promise((resolve, reject) => {
    let genesis: string | undefined
    let link: { readonly write: (line: string) => boolean; readonly end: () => void } | undefined
    dialUnix(socket(), signerLineBytesMax, {
      opened: (opened) => {
        link = opened
      },
      line: (text) => {
        if (genesis !== undefined) {
          resolve({ genesis, answer: text })
          return link!.end()
        }
        genesis = parseGreeting(text)!.genesis
        link!.write(line)
      },
      closed: reject
    })
  })

beforeAll(async () => {
  const preset = presets["dev-authorities"] as Record<string, Record<string, unknown>>
  const spec = {
    ...preset,
    ledger: { ...preset["ledger"], chainId: "voting" },
    difficulty: { rule: "fixed", blockMs: 1_000, bits: 0 },
    authority: { members: addresses, outOfTurnMs: 400, voteBlocks: 0, finality: { checkpointBlocks: every } },
    time: { futureMsMax: 500 }
  }
  writeFileSync(path("voting.json"), JSON.stringify(spec))
  await startSigner()
  const place = (i: number) => [
    "--dev",
    "--spec",
    path("voting.json"),
    "--data-dir",
    folders[i]!,
    "--role",
    "validator"
  ]
  const a = await begin(...place(0), "--authority-key", "dev:0")
  const b = await begin(...place(1), "--authority-key", "dev:1", "--p2p-seeds", a.peers)
  const c = await begin(...place(2), "--signer", `unix:${socket()}`, "--p2p-seeds", a.peers)
  nodes = [a, b, c]
}, 30_000)

test("blocks become final, for which all three must vote, while each seals in its turn", async () => {
  for (const node of nodes) await until("blocks are final", async () => (await finalOf(node)) >= 2 * every, 60_000)
  const { votes, guilty } = await finality(nodes[0]!)
  const voters = votes.filter(({ vote }) => vote !== null).map(({ authority }) => authority)
  expect(new Set(voters)).toEqual(new Set(addresses))
  expect(guilty).toEqual([])
  expect(targetOf(book())).toBeGreaterThanOrEqual(2 * every)
  copyFileSync(book(), older())
}, 90_000)

test("its signer is killed: blocks come, and none is final; it comes back with an older file, and they are", async () => {
  const before = targetOf(older())
  await until("it votes again", () => targetOf(book()) >= before + 2 * every, 30_000)
  signer!.kill("SIGKILL")
  await signer!.exited
  const voted = targetOf(book())
  const { blocks } = (await call(nodes[0]!.http, "stats")).stats
  await until(
    "blocks come",
    async () => (await call(nodes[0]!.http, "stats")).stats.blocks > blocks + 4 * every,
    30_000
  )
  // Without its vote no target above its last is justified, so what is final lies below that.
  for (const node of nodes) expect(await finalOf(node)).toBeLessThan(voted)

  copyFileSync(older(), book())
  await startSigner()
  // The file does not know it any more: it is the start slot that refuses.
  expect(targetOf(book())).toBeLessThan(voted)
  const target = headerAt(folders[0]!, voted)
  const ask = (header: Header): string =>
    formatQuestion({
      kind: "vote",
      id: 7,
      bytes: encodeVoteAsk({ source: headerAt(folders[0]!, voted - every), target: header })
    })
  expect((await askSigner(ask(target))).answer).toMatch(/^refused 7 vote-signed the target is of slot \d+: up to slot/)
  for (const node of nodes) await until("blocks are final again", async () => (await finalOf(node)) > voted, 60_000)
  expect((await askSigner(ask(target))).answer).toMatch(/^refused 7 vote-signed /)
}, 150_000)

test("what the stores say: no key has signed votes that exclude each other, and the file has the last of the third", async () => {
  const { genesis } = await askSigner(formatQuestion({ kind: "attest", id: 1, bytes: new Uint8Array(1) }))
  for (const node of nodes) expect(await node.stop()).toBe(0)
  signer!.kill("SIGTERM")
  expect(await signer!.exited).toBe(0)
  const kept = folders.map((folder) => read(folder, (db) => loadFinality(db, Uint8Array.fromHex(genesis))))
  const votes = kept.flatMap(({ votes: held, certificates }) => [...held, ...certificates.flatMap((one) => one.votes)])
  expect(votes.length).toBeGreaterThanOrEqual(3)
  for (const a of votes) for (const b of votes) expect(offenceOf(a, b)).toBeUndefined()
  expect(kept.flatMap(({ offences }) => offences)).toEqual([])
  const third = votes.filter(({ voter }) => voter === accountKey(devMnemonic, 2).address.toHex())
  expect(Math.max(...third.map(({ target }) => target.height))).toBeLessThanOrEqual(targetOf(book()))
}, 30_000)
