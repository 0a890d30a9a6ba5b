/** The compose files without an engine: their form, and their commands run as processes, with folders for volumes and ports for names. */
import { afterAll, describe, expect, test } from "bun:test"
import { readFileSync } from "node:fs"
import { join } from "node:path"
import type { Subprocess } from "bun"
import { call } from "../../src/http/client.ts"
import { until } from "../network.ts"
import { binary, folder } from "./binary.ts"

const root = join(import.meta.dir, "../..")
const home = folder()
const started: Array<Subprocess> = []
afterAll(() => {
  for (const child of started) child.kill("SIGKILL")
  home.remove()
})

interface Service {
  readonly build: { readonly context: string; readonly dockerfile: string }
  readonly command: ReadonlyArray<string>
  readonly ports?: ReadonlyArray<string>
  readonly depends_on?: ReadonlyArray<string>
  readonly volumes: ReadonlyArray<string>
}
interface Compose {
  readonly services: Readonly<Record<string, Service>>
  readonly volumes: Readonly<Record<string, null>>
}

const read = (file: string): Compose => Bun.YAML.parse(readFileSync(join(root, file), "utf8")) as Compose
const valueOf = ({ command }: Service, flag: string): string | undefined =>
  command.includes(flag) ? command[command.indexOf(flag) + 1] : undefined

describe.each(["compose.yaml", "compose.validators.yaml"])("%s", (file) => {
  const { services, volumes } = read(file)
  const all = Object.entries(services)

  test("builds this repository, keeps its data in its own volumes, and gives each port once", () => {
    for (const [name, { build, depends_on: on = [], volumes: mounts }] of all) {
      expect(readFileSync(join(root, build.context, build.dockerfile), "utf8")).toContain('ENTRYPOINT ["cairn"]')
      expect(on.filter((other) => services[other] === undefined || other === name)).toEqual([])
      expect(mounts.filter((mount) => !(mount.split(":")[0]! in volumes) || mount.split(":")[1] !== "/data")).toEqual(
        []
      )
    }
    const ports = all.flatMap(([, { ports: own = [] }]) => own.map((port) => port.split(":")[0]))
    expect(new Set(ports).size).toBe(ports.length)
  })

  test("names each service's own address, and seeds that are others'", () => {
    const advertised = new Map(all.map(([name, service]) => [name, valueOf(service, "--p2p-advertise")]))
    for (const [name, service] of all) {
      expect([undefined, `${name}:19100`]).toContain(advertised.get(name))
      const seeds = valueOf(service, "--p2p-seeds")?.split(",") ?? []
      expect(seeds.filter((seed) => seed === advertised.get(name) || ![...advertised.values()].includes(seed))).toEqual(
        []
      )
    }
  })
})

/** A port that was free a moment ago. */
const freePort = (): number => {
  const listener = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data: () => {} } })
  const { port } = listener
  listener.stop(true)
  return port
}

test("the commands of compose.validators.yaml make a chain that three authorities seal in turn", async () => {
  const { services } = read("compose.validators.yaml")
  const ports = new Map(Object.keys(services).map((name) => [name, freePort()]))
  const here = (text: string, volume: string): string =>
    text
      .replaceAll("/data", join(home.path, volume))
      .replaceAll("0.0.0.0", "127.0.0.1")
      .replace(/\b([a-z-]+):19100\b/g, (_, name: string) => `127.0.0.1:${ports.get(name)}`)
  const urls: Array<string> = []
  for (const [
    name,
    {
      command,
      volumes: [mount]
    }
  ] of Object.entries(services)) {
    const more = command[0] === "start" ? ["--http-port", "0", "--p2p-port", String(ports.get(name))] : []
    const line = [...command.map((word) => here(word, mount!.split(":")[0]!)), ...more]
    const child = Bun.spawn([binary, ...line], { cwd: home.path, stdin: "ignore", stdout: "pipe", stderr: "inherit" })
    started.push(child)
    void (async () => {
      let text = ""
      for await (const chunk of child.stdout) {
        text += new TextDecoder().decode(chunk)
        const ready = text
          .split("\n")
          .slice(0, -1)
          .find((line) => line.startsWith('{"ready":true'))
        const http = ready === undefined ? undefined : (JSON.parse(ready) as { readonly http?: string }).http
        if (http !== undefined && !urls.includes(http)) urls.push(http)
      }
    })()
  }
  await until("three nodes are ready", () => urls.length === 3, 30_000)
  const sealersAt = async (url: string): Promise<number> => {
    const { headers } = await call(url, "headers", { query: { from_height: 1, limit: 100 } })
    return new Set(headers.map(({ mined_by: by }) => by)).size
  }
  for (const url of urls)
    await until(`${url} has blocks of all three`, async () => (await sealersAt(url)) === 3, 30_000)
  for (const child of started) child.kill("SIGTERM")
  expect(await Promise.all(started.map(({ exited }) => exited))).toEqual([0, 0, 0, 0])
}, 90_000)
