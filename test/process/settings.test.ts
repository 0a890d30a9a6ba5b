/** Settings as an operator meets them: exit codes, all reasons at once, the reasons over HTTP, a chain from the environment. */
import { afterAll, describe, expect, test } from "bun:test"
import { chmodSync, existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import type { Subprocess } from "bun"
import { productionCodes } from "../../src/settings/production.ts"
import { until } from "../network.ts"
import { binary, folder } from "./binary.ts"

const home = folder()
const started: Array<Subprocess> = []
afterAll(async () => {
  for (const child of started) {
    child.kill("SIGKILL")
    await child.exited
  }
  home.remove()
})

type Words = Readonly<Record<string, string>>

/** Nothing is said but what a test says. */
const environment = (wish: Words): Words => ({
  PATH: process.env["PATH"] ?? "",
  HOME: home.path,
  CAIRN_HTTP_HOST: "127.0.0.1",
  ...wish
})

const spawn = (args: ReadonlyArray<string>, wish: Words) => {
  const child = Bun.spawn([binary, ...args], {
    cwd: home.path,
    env: environment(wish),
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe"
  })
  started.push(child)
  return child
}

const run = async (args: ReadonlyArray<string>, wish: Words = {}) => {
  const child = spawn(args, wish)
  const [out, err] = await Promise.all([new Response(child.stdout).text(), new Response(child.stderr).text()])
  const code = await child.exited
  const last = err.trim().split("\n").at(-1)!
  const { error } = (last.startsWith('{"error"') ? JSON.parse(last) : {}) as {
    readonly error?: {
      readonly code: string
      readonly message: string
      readonly errors?: ReadonlyArray<{ readonly code: string; readonly name: string }>
    }
  }
  return { code, out, err, error }
}

/** Starts what prints a line of JSON once it listens. */
const begin = async (args: ReadonlyArray<string>, wish: Words) => {
  const child = spawn(["start", "--http-port", "0", "--p2p-port", "0", ...args], wish)
  const reader = child.stdout.getReader()
  let text = ""
  await until("the first line", async () => {
    const { value, done } = await reader.read()
    if (done) throw new Error(`it ended: ${text} ${await new Response(child.stderr).text()}`)
    text += new TextDecoder().decode(value)
    return text.includes("\n")
  })
  const line = JSON.parse(text.split("\n")[0]!) as Readonly<Record<string, unknown>>
  const stop = async (): Promise<number> => {
    child.kill("SIGTERM")
    return child.exited
  }
  return { line, http: String(line["http"]), stop }
}

const good = {
  BLOCKCHAIN_MODE: "production",
  BLOCKCHAIN_NODE_URL: "https://node-1.example.com",
  BLOCKCHAIN_ADMIN_TOKEN: "a".repeat(32),
  BLOCKCHAIN_PEER_SHARED_SECRET: "b".repeat(32),
  BLOCKCHAIN_REQUIRE_HTTPS_PEERS: "true",
  BLOCKCHAIN_ALLOWED_PEER_HOSTS: "node-2.example.com",
  BLOCKCHAIN_GOSSIP_ENABLED: "false"
}

/** Eleven of the twelve at once: a token is missing or short, and the other secret shows the other case. */
const bad = {
  BLOCKCHAIN_MODE: "production",
  BLOCKCHAIN_PEER_SHARED_SECRET: "short",
  BLOCKCHAIN_NODE_URL: "http://node-1.example.com",
  BLOCKCHAIN_P2P_DIAL_DISCOVERED_PEERS: "true",
  BLOCKCHAIN_BOOTSTRAP_PEERS: "http://node-2.example.com",
  BLOCKCHAIN_P2P_TLS_ENABLED: "false",
  BLOCKCHAIN_GOSSIP_ENABLED: "true",
  BLOCKCHAIN_ENABLE_SERVER_WALLETS: "true"
}
const badCodes = productionCodes.filter(
  (code) => code !== "production-admin-token-short" && code !== "production-peer-secret-missing"
)

describe("a start that is refused", () => {
  test("ends with exit code 2 and every reason, and has made nothing", async () => {
    const dataDir = join(home.path, "refused")
    const { code, out, error } = await run(["start", "--data-dir", dataDir], bad)
    expect([code, out, error?.code]).toEqual([2, "", "settings-invalid"])
    expect(error!.errors!.map((one) => one.code)).toEqual(badCodes)
    expect(existsSync(dataDir)).toBe(false)
  })

  test("tells of what is unknown or malformed in all sources at once", async () => {
    writeFileSync(join(home.path, "bad.toml"), '[http]\nport = "80"\n[p2p]\nsedes = []\n')
    const wish = { BLOCKCHAIN_DIFICULTY: "0000", BLOCKCHAIN_MAX_PEERS: "lots", CAIRN_CONFIG: "bad.toml" }
    const { code, error } = await run(["start", "--dev", "--p2p-port", "70000", "--set", "x=1"], wish)
    expect([code, error!.errors!.map((one) => `${one.code} ${one.name}`).sort()]).toEqual([
      2,
      [
        "setting-malformed --p2p-port",
        "setting-malformed BLOCKCHAIN_MAX_PEERS",
        "setting-malformed http.port in bad.toml",
        "setting-unknown --set x",
        "setting-unknown BLOCKCHAIN_DIFICULTY",
        "setting-unknown p2p.sedes in bad.toml"
      ]
    ])
    const spec = await run(["start", "--spec", "no-such", "--http-port", "x"])
    expect(spec.error!.errors!.map((one) => one.code)).toEqual(["setting-malformed", "spec-missing"])
    writeFileSync(join(home.path, "no.toml"), "[http\n")
    expect((await run(["config", "check", "--config", "no.toml"])).error!.code).toBe("settings-malformed")
    expect((await run(["config", "check", "--config", "none.toml"])).error!.code).toBe("settings-unreadable")
  })
})

describe("cairn config", () => {
  test("check says what start would say", async () => {
    expect(await run(["config", "check"], good)).toMatchObject({ code: 0 })
    expect((await run(["config", "check"], bad)).error!.errors!.map((one) => one.code)).toEqual(badCodes)
    const { out } = await run(["config", "check", "--data-dir", "x"], { BLOCKCHAIN_ALLOWED_PEER_IDS: "peer-id-node-1" })
    expect(JSON.parse(out)).toMatchObject({
      valid: true,
      chain: "lua-blockchain-mainnet",
      data_dir: "x",
      remarks: [{ name: "BLOCKCHAIN_ALLOWED_PEER_IDS" }]
    })
  })

  test("show tells what holds and who said it, and no secret", async () => {
    const file = join(home.path, "open.toml")
    writeFileSync(file, '[http]\nadmin_token = "of-the-file-of-settings"\nhosts = ["a.example"]\nport = 81\n')
    chmodSync(file, 0o644)
    writeFileSync(join(home.path, "peer.secret"), "of-a-file-of-its-own\n")
    const wish = { BLOCKCHAIN_PORT: "82", BLOCKCHAIN_PEER_SHARED_SECRET_FILE: "peer.secret", CAIRN_CONFIG: file }
    const { code, out } = await run(["config", "show", "--origin", "--p2p-port", "83"], wish)
    const shown = JSON.parse(out) as {
      readonly settings: ReadonlyArray<Readonly<Record<string, unknown>>>
      readonly remarks: unknown
    }
    const of = (setting: string) => shown.settings.find((one) => one["setting"] === setting)
    expect(code).toBe(0)
    expect(of("http.port")).toMatchObject({ value: "82", source: "environment", name: "BLOCKCHAIN_PORT" })
    expect(of("p2p.port")).toMatchObject({ value: "83", source: "flag", name: "--p2p-port" })
    expect(of("http.hosts")).toMatchObject({ value: "a.example", source: "file" })
    expect(of("http.admin_token")).toMatchObject({ value: "(set)", source: "file" })
    expect(of("http.peer_secret")).toMatchObject({
      value: "(set)",
      source: "environment",
      name: "BLOCKCHAIN_PEER_SHARED_SECRET_FILE"
    })
    expect(out).not.toContain("of-a-file-of-its-own")
    expect(out).not.toContain("of-the-file-of-settings")
    // Others can read the file that the admin token stands in.
    expect(shown.remarks).toMatchObject([{ name: `http.admin_token in ${file}` }])
    chmodSync(file, 0o600)
    expect(JSON.parse((await run(["config", "show"], wish)).out)).toMatchObject({ remarks: [], errors: [] })
  })
})

describe("--serve-unready", () => {
  test("serves the reasons, opens no chain, and ends well when told to", async () => {
    const node = await begin(["--data-dir", "unready", "--serve-unready"], bad)
    expect(node.line).toMatchObject({ ready: false, errors: badCodes })
    const ask = async (path: string, init?: RequestInit) => {
      const response = await fetch(`${node.http}${path}`, init)
      return [response.status, (await response.json()) as Readonly<Record<string, unknown>>] as const
    }
    const refused = { status: "error", message: "node configuration is invalid", errors: badCodes }
    for (const path of ["/api/ready", "/readyz", "/startupz", "/api/chain", "/metrics", "/"])
      expect([path, ...(await ask(path))]).toMatchObject([path, 503, refused])
    expect(await ask("/api/mine", { method: "POST" })).toMatchObject([503, refused])
    expect(await ask("/api/health")).toMatchObject([200, { config_valid: false, mode: "production" }])
    expect((await ask("/livez"))[0]).toBe(200)
    expect(existsSync(join(home.path, "unready"))).toBe(false)
    expect(await node.stop()).toBe(0)
  })

  test("of a node whose settings hold changes nothing", async () => {
    const node = await begin(["--data-dir", "ready", "--serve-unready"], good)
    expect(node.line).toMatchObject({ ready: true, chain: "lua-blockchain-mainnet" })
    expect((await (await fetch(`${node.http}/api/health`)).json()) as unknown).toMatchObject({ config_valid: true })
    expect(await node.stop()).toBe(0)
  })
})

test("no more transactions wait than the operator lets wait", async () => {
  const node = await begin(["--dev", "--data-dir", "full", "--seal-every", "3600"], {
    BLOCKCHAIN_MAX_PENDING_TRANSACTIONS: "1"
  })
  const [from, to] = ["dev:0", "dev:1"].map(
    (name) => (node.line["dev_accounts"] as ReadonlyArray<Words>).find((one) => one["name"] === name)!["address"]!
  )
  const send = (who: string, whom: string) =>
    run(["send", "--from", who, "--to", whom, "--amount", "1", "--node", node.http])
  expect((await send("dev:0", to!)).code).toBe(0)
  const second = await send("dev:1", from!)
  expect([second.code, second.error?.code]).toEqual([3, "pool-full"])
  expect(await node.stop()).toBe(0)
})

describe("a chain from the environment", () => {
  const dataDir = join(home.path, "env")
  const chain = {
    BLOCKCHAIN_DATA_FILE: join(dataDir, "blockchain.db"),
    BLOCKCHAIN_CHAIN_ID: "vector-chain",
    BLOCKCHAIN_DIFFICULTY: "00",
    BLOCKCHAIN_REWARD: "2.5",
    BLOCKCHAIN_NODE_IDENTITY_PRIVATE_KEY_PATH: join(home.path, "keys/identity.key"),
    BLOCKCHAIN_NODE_IDENTITY_PUBLIC_KEY_PATH: join(home.path, "keys/identity.pub"),
    BLOCKCHAIN_P2P_TLS_CERT_PATH: join(home.path, "keys/cert.pem"),
    BLOCKCHAIN_P2P_TLS_KEY_PATH: join(home.path, "keys/key.pem"),
    BLOCKCHAIN_ADMIN_TOKEN: "the-token-of-the-environment"
  }

  test("begins with it, mines by its rules, keeps its files where they are named, and goes on after a restart", async () => {
    const node = await begin([], chain)
    expect(node.line).toMatchObject({ ready: true, chain: "vector-chain", data_dir: dataDir })
    const mined = await fetch(`${node.http}/api/mine`, {
      method: "POST",
      headers: { authorization: "Bearer the-token-of-the-environment" }
    })
    expect(mined.status).toBe(201)
    const stats = JSON.stringify(await (await fetch(`${node.http}/api/chain`)).json())
    expect(stats).toContain('"mining_reward":250')
    expect(await node.stop()).toBe(0)
    const key = statSync(chain.BLOCKCHAIN_NODE_IDENTITY_PRIVATE_KEY_PATH)
    expect([key.mode & 0o777, statSync(chain.BLOCKCHAIN_P2P_TLS_KEY_PATH).mode & 0o777]).toEqual([0o600, 0o600])
    expect(existsSync(join(dataDir, "identity"))).toBe(false)
    const again = await begin([], chain)
    expect(again.line).toMatchObject({ node_id: node.line["node_id"], genesis: node.line["genesis"] })
    expect(await again.stop()).toBe(0)
  })

  test("is not talked into another, and not initialised at all where nothing is said", async () => {
    const { code, error } = await run(["start", "--http-port", "0", "--p2p-port", "0"], {
      ...chain,
      BLOCKCHAIN_REWARD: "3"
    })
    expect([code, error!.code]).toEqual([2, "chain-parameter-differs"])
    expect(error!.message).toContain('BLOCKCHAIN_REWARD says 3; the chain "vector-chain" has 2.50')
    const fixed = await run(["start", "--spec", "cairn", "--data-dir", "other"], {
      BLOCKCHAIN_CHAIN_ID: "vector-chain"
    })
    expect([fixed.code, fixed.error!.code, existsSync(join(home.path, "other"))]).toEqual([
      2,
      "chain-parameter-differs",
      false
    ])
    expect((await run(["start", "--data-dir", "other"])).error!.code).toBe("store-missing")
    const small = await run(["start", "--data-dir", "other"], { BLOCKCHAIN_REWARD: "0.001" })
    expect([small.error!.code, existsSync(join(home.path, "other"))]).toEqual(["amount-invalid", false])
  })

  test("does not take another system's key for its own, nor write over what an operator brings", async () => {
    mkdirSync(join(home.path, "pem"))
    const pem = join(home.path, "pem/private.pem")
    writeFileSync(pem, "-----BEGIN EC PRIVATE KEY-----\nAAAA\n-----END EC PRIVATE KEY-----\n")
    const dev = ["start", "--dev", "--http-port", "0", "--p2p-port", "0"]
    const foreign = await run(dev, { BLOCKCHAIN_NODE_IDENTITY_PRIVATE_KEY_PATH: pem })
    expect([foreign.code, foreign.error!.code]).toEqual([5, "identity-foreign"])
    const other = join(home.path, "pem/other.pub")
    writeFileSync(other, `${"02".repeat(33)}\n`)
    const taken = await run(dev, { BLOCKCHAIN_NODE_IDENTITY_PUBLIC_KEY_PATH: other })
    expect([taken.code, taken.error!.code]).toEqual([5, "identity-other"])
    const half = await run(dev, {
      BLOCKCHAIN_P2P_TLS_CERT_PATH: pem,
      BLOCKCHAIN_P2P_TLS_KEY_PATH: join(home.path, "pem/none.pem")
    })
    expect([half.code, half.error!.code]).toEqual([5, "certificate-incomplete"])
    expect(readFileSync(pem, "utf8")).toContain("AAAA")
    expect(existsSync(join(home.path, "pem/none.pem"))).toBe(false)
  })
})
