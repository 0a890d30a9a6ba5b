/** The built binary for who comes from ccoin: its genesis file, its routes, and nodes that do not share a genesis. */
import { describe, expect, test } from "bun:test"
import { existsSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { Result } from "effect"
import { fromHex, fromUtf8 } from "../../src/codec/bytes.ts"
import { parseJsonc } from "../../src/codec/jsonc.ts"
import { until } from "../network.ts"
import { binary, run, suite } from "./binary.ts"

const { home, begin } = suite()
const examples = join(import.meta.dir, "../../docs/examples")
const [genesis, map] = [join(examples, "ccoin-genesis.json"), join(examples, "ccoin-addresses.json")]
const codeOf = (err: string): string =>
  (JSON.parse(err.trim().split("\n").at(-1)!) as { error: { code: string } }).error.code
/** The example with some of its text replaced. */
const changed = (name: string, from: string | RegExp, to: string): string => {
  const path = join(home.path, name)
  const text = readFileSync(genesis, "utf8")
  expect(text.replace(from, to)).not.toBe(text)
  writeFileSync(path, text.replace(from, to))
  return path
}

describe("cairn genesis", () => {
  test("checks: every error at once, and what a sound file makes; the hash is that of init", async () => {
    const wrong = changed("wrong.json", '"max_bound": 100', '"max_bound": 0, "max_bond": 3')
    const bad = await run("genesis", "check", wrong)
    expect([bad.code, codeOf(bad.err)]).toEqual([3, "genesis-invalid"])
    const { valid, errors } = JSON.parse(bad.out) as {
      valid: boolean
      errors: ReadonlyArray<{ path: string; hint: string }>
    }
    expect(valid).toBe(false)
    expect(errors.map(({ path }) => path)).toEqual(
      expect.arrayContaining(["block_mining.max_bond", "block_mining.max_bound", "miners[0]", "miners[1]"])
    )
    for (const { hint } of errors) expect(hint).toMatch(/\.$/)
    const good = await run("genesis", "check", genesis, "--map", map)
    const { out } = await run("genesis", "hash", genesis, "--map", map)
    const made = await run("init", "--genesis", genesis, "--map", map, "--data-dir", join(home.path, "i"))
    const hash = (JSON.parse(out) as { genesis: string }).genesis
    expect([good.code, (JSON.parse(good.out) as { genesis: string }).genesis]).toEqual([0, hash])
    expect([made.code, (JSON.parse(made.out) as { genesis: string }).genesis]).toEqual([0, hash])
    const again = await run("init", "--genesis", genesis, "--map", map, "--data-dir", join(home.path, "i"))
    expect((JSON.parse(again.out) as { created: boolean }).created).toBe(false)
    const other = changed("other.json", '"reward": 100', '"reward": 101')
    const over = await run("init", "--genesis", other, "--map", map, "--data-dir", join(home.path, "i"))
    expect([over.code, codeOf(over.err)]).toEqual([5, "chain-mismatch"])
  })

  test("says where a file is no JSON, and refuses what is too large before it is read", async () => {
    const broken = await run("genesis", "check", changed("broken.json", '"max_bound": 100', '"max_bound": 0x10'))
    expect([broken.code, broken.err]).toEqual([2, expect.stringContaining("line 9, column 19")])
    const large = join(home.path, "large.json")
    writeFileSync(large, `/*${"x".repeat(2 * 1024 * 1024)}*/{}`)
    expect((await run("genesis", "check", large)).code).not.toBe(0)
    const both = await run("init", "--genesis", genesis, "--spec", "dev", "--data-dir", join(home.path, "j"))
    expect([both.code, codeOf(both.err), existsSync(join(home.path, "j"))]).toEqual([2, "spec-missing", false])
    const spec = await run("init", "--spec", genesis, "--data-dir", join(home.path, "j"))
    expect([spec.code, spec.err]).toEqual([2, expect.stringContaining("cairn init --genesis")])
  })

  test("makes a file, never over one", async () => {
    const out = join(home.path, "new.json")
    const address = "crn1q5jjwsx35h5rfkxzmhv3e8gr5ny44hgtnc5tzzv"
    const flags = [
      "--out",
      out,
      "--chain-id",
      "ours",
      "--interval",
      "5",
      "--authorities",
      address,
      "--alloc",
      `${address}=12.5`
    ]
    expect((await run("genesis", "new", ...flags)).code).toBe(0)
    const made = readFileSync(out, "utf8")
    expect(JSON.parse(made)).toMatchObject({
      authority: { members: [address], voteBlocks: 0 },
      genesis: { alloc: [{ balance: 1_250_000_000 }] }
    })
    const twice = await run("genesis", "new", ...flags)
    expect([twice.code, codeOf(twice.err), readFileSync(out, "utf8")]).toEqual([3, "file-exists", made])
    expect((await run("genesis", "check", out)).code).toBe(0)
    const bad = await run("genesis", "new", "--out", `${out}2`, "--chain-id", "No", "--alloc", `${address}=1`)
    expect([bad.code, codeOf(bad.err), existsSync(`${out}2`)]).toEqual([2, "genesis-invalid", false])
  })
})

/** New keys in the places of the example's old addresses, and the table that says so. */
const makeKeys = async () => {
  const [passphrase, keystore, table] = ["passphrase.txt", "keys", "table.json"].map((name) =>
    join(home.path, name)
  ) as [string, string, string]
  writeFileSync(passphrase, "correct horse battery\n")
  const flags = ["--keystore", keystore, "--prefix", "ccoin", "--passphrase-file", passphrase]
  const addresses: Array<string> = []
  for (const name of ["alice", "bob", "carol"])
    addresses.push((JSON.parse((await run("keys", "new", name, ...flags)).out) as { address: string }).address)
  const old = Object.keys(Result.getOrThrow(parseJsonc(readFileSync(map, "utf8"))) as object)
  writeFileSync(table, JSON.stringify(Object.fromEntries(old.map((text, i) => [text, addresses[i]]))))
  return { passphrase, keystore, table, flags, addresses: addresses as [string, string, string] }
}

test("the example runs: a validator seals it with work, coins are spent by token, ten transfers make a block", async () => {
  const folder = join(home.path, "node")
  const { passphrase, keystore, table, flags, addresses } = await makeKeys()
  const [alice, bob, carol] = addresses
  expect((await run("init", "--genesis", genesis, "--map", table, "--data-dir", folder)).code).toBe(0)
  const tokenOf = async (name: string) => {
    const { out, code } = await run("keys", "token", name, "--data-dir", folder, ...flags)
    expect(code).toBe(0)
    return JSON.parse(out) as { address: string; token: string; file: string; replaced: boolean }
  }
  const first = await tokenOf("alice")
  const seal = ["--role", "validator", "--authority-key", join(keystore, "alice.json"), "--passphrase-file", passphrase]
  const node = await begin("--data-dir", folder, "--compat", "ccoin", "--no-p2p", ...seal)
  const second = await tokenOf("alice")
  expect([second.address, first.replaced, second.replaced, statSync(second.file).mode & 0o777]).toEqual([
    alice,
    false,
    true,
    0o600
  ])
  const kept = readFileSync(second.file, "utf8")
  expect([kept.includes(second.token), kept.includes(first.token)]).toEqual([false, false])

  const get = async <A>(path: string): Promise<A> => (await (await fetch(`${node.http}/${bob}${path}`)).json()) as A
  const spend = async (body: unknown, token?: string, account = alice) => {
    const headers: Record<string, string> = { "content-type": "application/json" }
    if (token !== undefined) headers["authorization"] = `Bearer ${token}`
    const answer = await fetch(`${node.http}/${account}/txn/`, { method: "POST", headers, body: JSON.stringify(body) })
    return { status: answer.status, json: (await answer.json()) as { code?: string; number: number; data: string } }
  }
  const wish = { sendto_address: bob, amount: 20 }
  for (const [token, account, code] of [
    [undefined, alice, "account-token-required"],
    [first.token, alice, "account-token-wrong"],
    [second.token, bob, "account-token-wrong"]
  ] as const)
    expect((await spend(wish, token, account)).json.code).toBe(code)
  // A validator listens for a round of the rota first.
  await until("the first block", async () => (await get<number>("/blk/cnt/")) === 2, 60_000)
  for (let i = 1; i <= 10; i++) {
    const { status, json } = await spend(wish, second.token)
    expect([status, json.number, json.data.length]).toEqual([200, i, 15])
  }
  await until("ten make a block", async () => (await get<number>("/blk/cnt/")) === 3, 60_000)
  const block = await get<{ body: ReadonlyArray<unknown>; id: string; data: string; coinbase: string; state: unknown }>(
    "/blk/3/"
  )
  expect(block).toMatchObject({
    id: expect.stringMatching(/^00000/),
    data: expect.stringMatching(/^[A-Za-z0-9]{15}$/),
    coinbase: alice
  })
  expect(block.body.length).toBe(10)
  expect(block.state).toEqual({
    [alice]: { address: alice, nonce: 10, balance: 10_000_000 },
    [bob]: { address: bob, nonce: 0, balance: 300 },
    [carol]: { address: carol, nonce: 7, balance: 9_999 }
  })
  const carols = ["--from", "carol", "--to", bob, "--amount", "1", "--node", node.http, ...flags]
  const [filled, own] = [await run("send", ...carols), await run("send", ...carols, "--data", "own")]
  expect([filled.err, own.err]).toEqual(["", ""])
  const [some, said] = [filled.out, own.out].map((out) => fromHex((JSON.parse(out) as { data: string }).data)!)
  expect([fromUtf8(some!), fromUtf8(said!)]).toEqual([expect.stringMatching(/^[A-Za-z0-9]{15}$/), "own"])
  rmSync(second.file)
  expect((await spend(wish, second.token)).json.code).toBe("account-token-wrong")
  expect(await node.stop()).toBe(0)
  const coins = await run("start", "--dev", "--spec", "dev-coins", "--compat", "ccoin", "--http-port", "0", "--no-p2p")
  expect([coins.code, codeOf(coins.err)]).toEqual([2, "compat-needs-accounts"])
}, 180_000)

test.each([
  ["network_id", "2", "chain-id-mismatch"],
  ["reward", "101", "genesis-mismatch"]
])(
  "nodes whose files differ in %s do not speak, and both logs say why (%s, %s)",
  async (key, value, code) => {
    const file = changed(`${key}.json`, new RegExp(`"${key}": \\d+`), `"${key}": ${value}`)
    const open = async (name: string, from: string, ...args: ReadonlyArray<string>) => {
      const folder = join(home.path, `${key}-${name}`)
      const made = await run("init", "--genesis", from, "--map", map, "--data-dir", folder)
      const child = Bun.spawn([binary, "start", "--data-dir", folder, "--http-port", "0", "--p2p-port", "0", ...args], {
        stdin: "ignore",
        stdout: "pipe",
        stderr: "pipe"
      })
      const log = { text: "" }
      for (const stream of [child.stdout, child.stderr])
        void (async () => {
          for await (const part of stream) log.text += new TextDecoder().decode(part)
        })()
      await until(`${name} is ready`, () => log.text.includes('"ready":true'))
      const ready = log.text.split("\n").find((line) => line.includes('"ready":true'))!
      return {
        child,
        log,
        genesis: (JSON.parse(made.out) as { genesis: string }).genesis,
        ready: JSON.parse(ready) as { peers: string; http: string }
      }
    }
    const one = await open("one", genesis)
    const two = await open("two", file, "--p2p-seeds", one.ready.peers)
    try {
      expect(one.genesis).not.toBe(two.genesis)
      for (const [here, there] of [
        [one, two],
        [two, one]
      ] as const)
        await until(`the log of ${here.ready.http}`, () => {
          const line = here.log.text.split("\n").find((text) => text.includes("a peer was refused"))
          return line !== undefined && [code, here.genesis, there.genesis].every((part) => line.includes(part))
        })
      const peers = (await (await fetch(`${two.ready.http}/api/peers`)).json()) as { counts: { active: number } }
      expect(peers.counts.active).toBe(0)
    } finally {
      for (const { child } of [one, two]) {
        child.kill("SIGTERM")
        await child.exited
      }
    }
  },
  60_000
)
