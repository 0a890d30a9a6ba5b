/** The compose files without an engine: their form, and their commands run as processes, with folders for volumes and ports for names. */
import { afterAll, describe, expect, test } from "bun:test"
import { mkdirSync, readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import type { Subprocess } from "bun"
import { call } from "../../src/http/client.ts"
import { until } from "../network.ts"
import { binary, folder, run as runCommand } from "./binary.ts"
import { type Compose, readCompose, root, type Service, valueOf } from "./compose.ts"

const home = folder()
const started: Array<Subprocess> = []
afterAll(() => {
  for (const child of started) child.kill("SIGKILL")
  home.remove()
})

/** What an operator of production says. */
const said = {
  BLOCKCHAIN_CHAIN_ID: "house",
  BLOCKCHAIN_ALLOWED_PEER_IDS: "node1a,node1b,node1c",
  TRUSTED_PROXIES: "172.16.0.0/12",
  URL_ONE: "https://one.example",
  URL_TWO: "https://two.example",
  URL_THREE: "https://three.example",
  P2P_ONE: "one:19100",
  P2P_TWO: "two:19100",
  P2P_THREE: "three:19100"
}
const together = [["compose.yaml"], ["compose.validators.yaml"], ["compose.yaml", "compose.production.yaml"]]

describe.each(together)("%s %s", (...files) => {
  const { services, volumes, secrets } = readCompose(
    files.filter((file) => typeof file === "string"),
    said
  )
  const all = Object.entries(services)

  test("builds this repository, keeps its data in its own volumes, and gives each port once", () => {
    for (const [name, { build, depends_on: on = [], volumes: mounts }] of all) {
      expect(readFileSync(join(root, build.context, build.dockerfile), "utf8")).toContain('ENTRYPOINT ["cairn"]')
      expect(on.filter((other) => services[other] === undefined || other === name)).toEqual([])
      const ours = mounts.filter((mount) => mount.split(":")[0]! in volumes && mount.split(":")[1] === "/data")
      expect(ours).toEqual([...mounts])
    }
    const ports = all.flatMap(([, { ports: own = [] }]) => own.map((port) => port.replace(/:\d+(\/udp)?$/, "$1")))
    expect(new Set(ports).size).toBe(ports.length)
    expect(ports.filter((port) => port.endsWith(":8080") && !port.startsWith("127.0.0.1:"))).toEqual([])
  })

  test("names each service's own address, and seeds that are others'", () => {
    const advertised = new Map(all.map(([name, service]) => [name, valueOf(service, "--p2p-advertise")]))
    for (const [name, service] of all) {
      expect([undefined, `${name}:19100`]).toContain(advertised.get(name))
      const words = valueOf(service, "--p2p-seeds") ?? service.environment?.["BLOCKCHAIN_P2P_SEEDS"]
      const seeds = words?.split(",") ?? []
      expect(seeds.filter((seed) => seed === advertised.get(name) || ![...advertised.values()].includes(seed))).toEqual(
        []
      )
    }
  })

  test("gives no service more than it needs", () => {
    for (const [, service] of all) {
      expect(service).toMatchObject({
        user: "1000:1000",
        read_only: true,
        cap_drop: ["ALL"],
        security_opt: ["no-new-privileges:true"],
        pids_limit: 256,
        stop_grace_period: "10s"
      })
      expect(service.tmpfs.every((mount) => /^\/tmp:.*size=\d+m.*noexec/.test(mount))).toBe(true)
      expect(["always", "unless-stopped"]).toContain(service.restart)
      expect(service.healthcheck.disable ?? service.healthcheck.test?.slice(0, 3)).toEqual(
        service.command[0] === "signer" ? true : ["CMD", "cairn", "status"]
      )
      expect(service.ports?.some((port) => port.startsWith("127.0.0.1:")) ?? true).toBe(true)
      expect((service.secrets ?? []).filter((name) => secrets?.[name] === undefined)).toEqual([])
    }
  })
})

describe("compose.production.yaml", () => {
  const files = ["compose.yaml", "compose.production.yaml"]

  test.each(Object.keys(said))("is refused without %s", (name) => {
    expect(() => readCompose(files, { ...said, [name]: "" })).toThrow(`required variable ${name} is missing`)
  })

  test("has no secret in it, no development, and bounds for every node", () => {
    const text = files.map((file) => readFileSync(join(root, file), "utf8")).join("")
    expect(text).not.toMatch(/\$\{\w+:?-/)
    for (const [name, service] of Object.entries(readCompose(files, said).services)) {
      const { environment = {}, command, secrets = [], mem_limit: memory, cpus, restart } = service
      expect([name, command.includes("--dev"), restart, memory, cpus]).toEqual([name, false, "always", "1g", 2])
      expect(environment).toMatchObject({
        BLOCKCHAIN_MODE: "production",
        BLOCKCHAIN_NODE_URL: `https://${name}.example`,
        BLOCKCHAIN_P2P_TLS_ENABLED: "true",
        BLOCKCHAIN_ALLOW_PLAINTEXT_GOSSIP: "false",
        BLOCKCHAIN_GOSSIP_ENABLED: "encrypted",
        BLOCKCHAIN_REQUIRE_HTTPS_PEERS: "true",
        BLOCKCHAIN_ENABLE_SERVER_WALLETS: "false"
      })
      const secret = Object.entries(environment).filter(([key]) => /TOKEN|SECRET|PASS/.test(key))
      expect(
        secret.map(([key, value]) => [key.endsWith("_FILE"), secrets.includes(value.replace("/run/secrets/", ""))])
      ).toEqual([
        [true, true],
        [true, true]
      ])
    }
  })
})

/** A port below those that the system gives away by itself, so that no listener with port 0 takes it before its owner does. */
const freePort = (): number => {
  const wish = 20_000 + Math.floor(Math.random() * 10_000)
  try {
    const listener = Bun.listen({ hostname: "127.0.0.1", port: wish, socket: { data: () => {} } })
    listener.stop(true)
    return wish
  } catch {
    return freePort()
  }
}

/** Runs the services as processes, with a folder for each volume below `place`; gives the addresses of nodes as they get ready. */
const run = ({ services }: Compose, place: string) => {
  const ports = new Map(Object.keys(services).map((name) => [name, freePort()]))
  const urls: Array<string> = []
  const here = (text: string, volume: string): string =>
    text
      .replaceAll("/run/secrets", join(home.path, place, "secrets"))
      .replaceAll("/data", join(home.path, place, volume))
      .replaceAll("0.0.0.0", "127.0.0.1")
      .replace(/\b([a-z-]+):19100\b/g, (_, name: string) => `127.0.0.1:${ports.get(name)}`)
  const children = Object.entries(services).map(([name, service]: [string, Service]) => {
    const { command, environment = {}, volumes } = service
    const volume = volumes[0]!.split(":")[0]!
    const more = command[0] === "start" ? ["--http-port", "0", "--p2p-port", String(ports.get(name))] : []
    const line = [...command.map((word) => here(word, volume)), ...more]
    const said = Object.entries(environment).map(([key, value]) => [key, here(value, volume)] as const)
    // Containers have a network each; these processes share one.
    const own = said.length > 0 ? { BLOCKCHAIN_GOSSIP_PORT: String(freePort()) } : {}
    const child = Bun.spawn([binary, ...line], {
      cwd: home.path,
      env: { PATH: process.env["PATH"]!, HOME: home.path, ...Object.fromEntries(said), ...own },
      stdin: "ignore",
      stdout: "pipe",
      stderr: "inherit"
    })
    started.push(child)
    void (async () => {
      let text = ""
      for await (const chunk of child.stdout) {
        text += new TextDecoder().decode(chunk)
        const ready = text
          .split("\n")
          .slice(0, -1)
          .find((one) => one.startsWith('{"ready":true'))
        const http = ready === undefined ? undefined : (JSON.parse(ready) as { readonly http?: string }).http
        if (http !== undefined && !urls.includes(http)) urls.push(http)
      }
    })()
    return child
  })
  const stop = async (): Promise<ReadonlyArray<number>> => {
    for (const child of children) child.kill("SIGTERM")
    return await Promise.all(children.map(({ exited }) => exited))
  }
  return { urls, stop, exited: () => Promise.all(children.map(({ exited }) => exited)) }
}

/** dev:1, of the public mnemonic. */
const payee = "crn1qhd5kppc0rh37u6cdxj554pz0wezxvhp45sa769"

test("the commands of compose.yaml make three nodes of one chain: who follows has what the first sealed", async () => {
  const { urls, stop } = run(readCompose(["compose.yaml"]), "three")
  await until("three nodes are ready", () => urls.length === 3, 30_000)
  const peersAt = async (url: string): Promise<number> => (await call(url, "peers")).active_peers.length
  for (const url of urls) await until(`${url} has two peers`, async () => (await peersAt(url)) === 2, 30_000)
  const sealed = await Bun.$`${binary} send --node ${urls[0]!} --from dev:0 --to ${payee} --amount 1`.quiet()
  expect(sealed.exitCode).toBe(0)
  const tipAt = async (url: string): Promise<string> => (await call(url, "stats")).stats.last_block_hash
  await until(
    "all have one tip above genesis",
    async () => {
      const tips = await Promise.all(urls.map(tipAt))
      return new Set(tips).size === 1 && (await call(urls[0]!, "stats")).stats.blocks === 2
    },
    30_000
  )
  expect(await stop()).toEqual([0, 0, 0])
}, 90_000)

test("the commands of compose.validators.yaml make a chain that three authorities seal in turn", async () => {
  const { urls, stop } = run(readCompose(["compose.validators.yaml"]), "validators")
  await until("three nodes are ready", () => urls.length === 3, 30_000)
  const sealersAt = async (url: string): Promise<number> => {
    const { headers } = await call(url, "headers", { query: { from_height: 1, limit: 100 } })
    return new Set(headers.map(({ mined_by: by }) => by)).size
  }
  for (const url of urls)
    await until(`${url} has blocks of all three`, async () => (await sealersAt(url)) === 3, 30_000)
  expect(await stop()).toEqual([0, 0, 0, 0])
}, 90_000)

const files = ["compose.yaml", "compose.production.yaml"]

/** What the walk of docs/deployment.md prepares: a folder and an id for each node, and two secrets. */
const prepare = async (place: string): Promise<Record<string, string>> => {
  const secrets = join(home.path, place, "secrets")
  mkdirSync(secrets, { recursive: true })
  for (const name of ["admin_token", "peer_secret"])
    writeFileSync(join(secrets, name), `${name}-${"5".repeat(32)}\n`, { mode: 0o400 })
  const ids: Array<string> = []
  for (const name of ["one", "two", "three"]) {
    const made = await runCommand(
      "init",
      "--spec",
      "lua-blockchain",
      "--data-dir",
      join(home.path, place, name, "production")
    )
    ids.push((JSON.parse(made.out) as { readonly node_id: string }).node_id)
  }
  return { ...said, BLOCKCHAIN_CHAIN_ID: "lua-blockchain-mainnet", BLOCKCHAIN_ALLOWED_PEER_IDS: ids.join(",") }
}

test(
  "the production overlay makes three nodes that let nobody else in, and mine for the token alone",
  async () => {
    const { urls, stop } = run(readCompose(files, await prepare("production")), "production")
    await until("three nodes are ready", () => urls.length === 3, 30_000)
    for (const url of urls) {
      await until(`${url} has two peers`, async () => (await call(url, "peers")).active_peers.length === 2, 30_000)
      expect((await call(url, "info")).service.mode).toBe("production")
    }
    const mine = (headers: Record<string, string>): Promise<Response> =>
      fetch(`${urls[0]}/api/mine`, {
        method: "POST",
        headers: { "content-type": "application/json", ...headers },
        body: "{}"
      })
    expect((await mine({})).status).toBe(401)
    expect((await mine({ authorization: `Bearer admin_token-${"5".repeat(32)}` })).status).toBe(201)
    const heights = (): Promise<ReadonlyArray<number>> =>
      Promise.all(urls.map(async (url) => (await call(url, "stats")).stats.blocks))
    await until("all have the block", async () => (await heights()).every((blocks) => blocks === 2), 30_000)
    expect(await stop()).toEqual([0, 0, 0])
  },
  90_000
)

test(
  "the production overlay starts nothing with a secret that is too short",
  async () => {
    const variables = await prepare("refused")
    writeFileSync(join(home.path, "refused/secrets/peer_secret"), "short\n", { mode: 0o600 })
    const { urls, exited } = run(readCompose(files, variables), "refused")
    expect([await exited(), urls]).toEqual([[2, 2, 2], []])
  },
  30_000
)
