/** Every command that README and docs show is run as it stands there, against the built binary. */
import { afterAll, beforeAll, expect, test } from "bun:test"
import { cpSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import type { Subprocess } from "bun"
import { proofRejectCodes } from "../../src/block/proof.ts"
import { blame } from "../../src/ledger/reject.ts"
import { verdicts } from "../../src/chain/reject.ts"
import { peerWordAdvice } from "../../src/discovery/peer-word.ts"
import { advice } from "../../src/discovery/statement.ts"
import { gossipDrops } from "../../src/gossip/machine.ts"
import { lightLies } from "../../src/light/effect.ts"
import { callCodes } from "../../src/peer/http-sync.ts"
import { rawFaults } from "../../src/peer/raw-page.ts"
import { productionCodes } from "../../src/settings/production.ts"
import { backupCodes } from "../../src/store/backup-form.ts"
import { unsignedCodes } from "../../src/validator/protection.ts"
import { until } from "../network.ts"
import { binary, folder, plainEnvironment, readyLine } from "./binary.ts"

const root = join(import.meta.dir, "../..")
const home = folder()
const started: Array<Subprocess> = []
const environment = { ...plainEnvironment, HOME: home.path, PATH: `${join(home.path, "bin")}:${process.env["PATH"]}` }

beforeAll(() => {
  mkdirSync(join(home.path, "bin"))
  symlinkSync(binary, join(home.path, "bin", "cairn"))
  writeFileSync(join(home.path, "passphrase.txt"), "correct horse battery\n")
})
afterAll(() => {
  for (const child of started) child.kill("SIGKILL")
  home.remove()
})

/** The commands in the shell blocks of a page, one a line or more with a backslash at the end, without their remarks. */
const commandsOf = (page: string): ReadonlyArray<string> =>
  [...readFileSync(join(root, page), "utf8").matchAll(/```sh\n([\s\S]*?)```/g)]
    .flatMap(([, block]) => block!.replace(/\\\n\s*/g, "").split("\n"))
    .map((line) => line.replace(/\s+#.*$/, "").trim())
    .filter((line) => line !== "")

/** Commands that the continuous integration runs by themselves: they install, build, or are this very suite. */
const elsewhere = /^(npx -y bun@|bun run build)/

const run = async (command: string): Promise<void> => {
  const child = Bun.spawn(["sh", "-c", command], {
    cwd: home.path,
    env: environment,
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe"
  })
  const [out, err] = await Promise.all([new Response(child.stdout).text(), new Response(child.stderr).text()])
  expect([command, await child.exited, /^cairn (sim|verify)/.test(command) ? "" : err]).toEqual([command, 0, ""])
  expect(out.length).toBeGreaterThan(0)
  // curl ends well whatever the node answers.
  expect([command, /urn:cairn:error:[a-z-]+/.exec(out)?.[0]]).toStrictEqual([command, undefined])
}

const start = async (command: string): Promise<Subprocess> => {
  const child = Bun.spawn(["sh", "-c", `exec ${command}`], {
    cwd: home.path,
    env: environment,
    stdin: "ignore",
    stdout: "pipe",
    stderr: "inherit"
  })
  started.push(child)
  const reader = child.stdout.getReader()
  let text = ""
  await until(`${command} is ready`, async () => {
    text += new TextDecoder().decode((await reader.read()).value)
    return readyLine(text) !== undefined
  })
  return child
}

test("the commands of README and docs work as they are written", async () => {
  const commands = [...commandsOf("README.md"), ...commandsOf("docs/api.md")].filter(
    (command) => !elsewhere.test(command)
  )
  const [first, ...rest] = commands
  expect(first).toBe("dist/cairn start --dev")
  let node: Subprocess | undefined = await start("cairn start --dev")
  const others: Array<Subprocess> = []
  for (const command of rest) {
    if (!/cairn (testnet )?start/.test(command)) {
      node ??= await start("cairn start --dev")
      await run(command)
      continue
    }
    // The first node and the shown one would both want the default ports.
    if (!command.includes("--http-port")) {
      node?.kill("SIGTERM")
      await node?.exited
      for (const other of others.splice(0)) {
        other.kill("SIGTERM")
        await other.exited
      }
      node = undefined
    }
    const shown = await start(command)
    if (command.includes("--data-dir mine")) {
      shown.kill("SIGTERM")
      await shown.exited
    } else others.push(shown)
    if (/--data-dir (A|coins)|testnet/.test(command)) node = shown
  }
}, 120_000)

/** The default ports, which nodes of other pages have by now. */
const freePorts = async (): Promise<void> => {
  for (const other of started.splice(0)) {
    other.kill("SIGKILL")
    await other.exited
  }
}

/** Runs the commands of a page, lets those that stay run beside the others, and stops them; gives how many there were. */
const follow = async (page: string): Promise<number> => {
  const staying: Array<Subprocess> = []
  for (const command of commandsOf(page)) {
    if (/^cairn ((testnet )?start|discovery|signer|libp2p listen)/.test(command)) staying.push(await start(command))
    else await run(command)
  }
  for (const one of staying) one.kill("SIGTERM")
  for (const one of staying) expect(await one.exited).toBe(0)
  return staying.length
}

test("the commands of docs/validators.md work as they are written", async () => {
  await freePorts()
  expect(await follow("docs/validators.md")).toBeGreaterThan(0)
}, 90_000)

test("the commands of docs/compat.md work as they are written", async () => {
  expect(await follow("docs/compat.md")).toBeGreaterThan(0)
}, 60_000)

test("the commands of docs/peers.md work as they are written", async () => {
  await freePorts()
  expect(await follow("docs/peers.md")).toBe(2)
}, 60_000)

test("the commands of docs/libp2p.md work as they are written", async () => {
  expect(await follow("docs/libp2p.md")).toBe(1)
}, 60_000)

test("the examples in README and docs/libp2p.md run as a user of the package writes them", async () => {
  mkdirSync(join(home.path, "node_modules"))
  symlinkSync(root, join(home.path, "node_modules", "cairn"))
  symlinkSync(join(root, "node_modules/effect"), join(home.path, "node_modules", "effect"))
  const examples = ["README.md", "docs/libp2p.md"].flatMap((page) => [
    ...readFileSync(join(root, page), "utf8").matchAll(/```ts\n([\s\S]*?)```/g)
  ])
  const printed = await Promise.all(
    examples.map(async ([, code], i) => {
      const file = join(home.path, `libp2p-${i}.ts`)
      writeFileSync(file, code!)
      const child = Bun.spawn(["bun", file], { cwd: home.path, stdout: "pipe", stderr: "inherit" })
      const out = await new Response(child.stdout).text()
      return `${await child.exited} ${out}`
    })
  )
  expect(printed).toEqual([
    expect.stringMatching(/^0 [\d.]+ ms to 12D3\w+\n$/),
    expect.stringMatching(
      /^0 \/ip4\/127\.0\.0\.1\/tcp\/\d+\/p2p\/12D3\w+ answers in [\d.]+ ms\nhalf-closed, and still heard\n$/
    ),
    expect.stringMatching(/^0 io DialError .+\n$/),
    "0 heard\n"
  ])
}, 30_000)

test("every kind and name of fault, option and event of the library is in docs/libp2p.md", () => {
  const page = readFileSync(join(root, "docs/libp2p.md"), "utf8")
  const union = (file: string, name: string): ReadonlyArray<string> => {
    const [, body = ""] = readFileSync(join(root, file), "utf8").split(`export type ${name} =`)
    return [...body.slice(0, body.indexOf("\n\n")).matchAll(/\| "(\w+)"/g)].map(([, word]) => word!)
  }
  const kinds = union("src/libp2p/fault.ts", "FaultKind")
  const names = union("src/libp2p/fault.ts", "FaultName")
  expect([kinds.length, names.length > 30]).toEqual([18, true])
  const events = [...readFileSync(join(root, "src/host/api.ts"), "utf8").matchAll(/^  "?([a-z:]+)"?: CustomEvent</gm)]
  const options = ["init", "connections", "dial-queue", "reconnect"].flatMap((file) => [
    ...readFileSync(join(root, `src/host/${file}.ts`), "utf8").matchAll(/^  readonly (\w+)\?: .* undefined$/gm)
  ])
  expect([events.length > 15, options.length > 20]).toEqual([true, true])
  const words = [...kinds, ...names, ...[...events, ...options].map(([, word]) => word!)]
  expect(words.filter((word) => !page.includes(`\`${word}\``))).toEqual([])
})

test("the commands of docs/discovery.md work as they are written", async () => {
  await freePorts()
  expect(await follow("docs/discovery.md")).toBe(3)
}, 60_000)

test("the commands of docs/configuration.md work as they are written", async () => {
  expect(await follow("docs/configuration.md")).toBe(1)
}, 60_000)

test("the commands of docs/http-sync.md work as they are written", async () => {
  await freePorts()
  expect(await follow("docs/http-sync.md")).toBe(2)
}, 60_000)

test("the commands of docs/ccoin.md work as they are written, and its example begins a chain (defect 17)", async () => {
  cpSync(join(root, "docs/examples"), join(home.path, "docs/examples"), { recursive: true })
  expect(await follow("docs/ccoin.md")).toBe(3)
}, 60_000)

test("the commands of docs/lua-blockchain.md work as they are written", async () => {
  await freePorts()
  expect(await follow("docs/lua-blockchain.md")).toBe(1)
}, 60_000)

test("the commands of docs/storage.md work as they are written", async () => {
  await freePorts()
  expect(await follow("docs/storage.md")).toBe(1)
}, 60_000)

test("the commands of docs/testing.md work as they are written", async () => {
  for (const command of commandsOf("docs/testing.md")) {
    const child = Bun.spawn(["sh", "-c", command], { cwd: home.path, env: environment, stdout: "pipe", stderr: "pipe" })
    const [out, err] = await Promise.all([new Response(child.stdout).text(), new Response(child.stderr).text()])
    // Progress is told on the error output.
    expect([command, await child.exited, err.includes("error")]).toEqual([command, 0, false])
    expect(out.length).toBeGreaterThan(0)
  }
}, 120_000)

test("the command of docs/planted.md finds what is planted", async () => {
  const [command] = commandsOf("docs/planted.md")
  const child = Bun.spawn(["sh", "-c", command!], { cwd: root, stdout: "pipe", stderr: "inherit" })
  expect(JSON.parse(await new Response(child.stdout).text())).toMatchObject({ plant: "longest-chain", found: {} })
}, 120_000)

test.each(["docs/testing.md", "docs/exploring.md"])(
  "the examples in %s run",
  async (page) => {
    const blocks = [...readFileSync(join(root, page), "utf8").matchAll(/```ts\n([\s\S]*?)```/g)]
    expect(blocks.length).toBeGreaterThan(0)
    for (const [i, [, code]] of blocks.entries()) {
      const isTest = code!.includes("bun:test")
      const file = join(home.path, `example-${i}${isTest ? ".test" : ""}.ts`)
      writeFileSync(file, code!.replace(/"(?:\.\.\/)+src\//g, `"${root}/src/`))
      const child = Bun.spawn(isTest ? ["bun", "test", file] : ["bun", file], {
        cwd: root,
        stdout: "pipe",
        stderr: "pipe"
      })
      const [out, err] = await Promise.all([new Response(child.stdout).text(), new Response(child.stderr).text()])
      expect([await child.exited, err.includes("error:"), (out + err).length > 0]).toEqual([0, false, true])
    }
  },
  60_000
)

test("every code that can be given is in docs/errors.md", () => {
  const page = readFileSync(join(root, "docs/errors.md"), "utf8")
  const given = [...Object.keys(blame), ...Object.keys(verdicts), ...proofRejectCodes, ...lightLies]
  const nodes = [...Object.keys(peerWordAdvice), ...rawFaults, ...callCodes, ...gossipDrops]
  const operators = [...unsignedCodes, ...productionCodes, ...backupCodes]
  const codes = [...given, ...Object.keys(advice), ...nodes, ...operators]
  expect(codes.filter((code) => !page.includes(`\`${code}\``))).toEqual([])
})
