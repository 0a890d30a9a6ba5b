/** The library's log as a program writes it: what the environment asks for, on standard error, and not a byte without. */
import { expect, test } from "bun:test"
import { join } from "node:path"

const library = join(import.meta.dir, "../../src/library.ts")
const program = `
  import { createLibp2p, identify } from ${JSON.stringify(library)}
  const make = () => createLibp2p({ addresses: { listen: ["/ip4/127.0.0.1/tcp/0"] }, services: { identify: identify() } })
  try {
    const [a, b] = [await make(), await make()]
    const identified = new Promise((resolve) => a.addEventListener("peer:identify", resolve))
    await a.dial(b.getMultiaddrs()[0])
    await identified
    await a.stop()
    await b.stop()
  } catch (error) {
    console.log(error.name, error.kind)
  }
`

const { LIBP2P_LOG: _, DEBUG: __, ...quiet } = process.env
const main = join(import.meta.dir, "../../src/main.ts")
const node = [process.execPath, main, "start", "--dev", "--libp2p", "--http-port", "0", "--p2p-port", "0"]

const run = async (
  env: Record<string, string>
): Promise<{ readonly out: string; readonly lines: ReadonlyArray<string> }> => {
  const child = Bun.spawn([process.execPath, "-e", program], {
    env: { ...quiet, ...env },
    stdout: "pipe",
    stderr: "pipe",
    timeout: 20_000
  })
  const [out, text] = await Promise.all([new Response(child.stdout).text(), new Response(child.stderr).text()])
  await child.exited
  return { out, lines: text.split("\n").filter((line) => line !== "") }
}

test("nothing by itself; JSON lines of the subsystems that are asked for; a word that is no level is a fault", async () => {
  const [silent, some, all, wrong] = await Promise.all([
    run({}),
    run({ LIBP2P_LOG: "identify=debug" }),
    run({ DEBUG: "libp2p:*" }),
    run({ LIBP2P_LOG: "loud" })
  ])
  expect(silent).toEqual({ out: "", lines: [] })
  const parsed = some.lines.map((line) => JSON.parse(line))
  expect(new Set(parsed.map(({ subsystem, level }) => `${subsystem} ${level}`))).toEqual(new Set(["identify debug"]))
  expect(parsed[0].message).toContain("cairn/")
  expect(parsed[0].timestamp).toMatch(/^\d{4}-\d\d-\d\dT.*Z$/)
  const subsystems = new Set(all.lines.map((line) => JSON.parse(line).subsystem))
  for (const name of ["host", "dial", "upgrade", "connection", "identify"]) expect([...subsystems]).toContain(name)
  expect(wrong).toEqual({ out: "InvalidParametersError input\n", lines: [] })
}, 30_000)

test("a node has the same lines in its own log, and refuses a word that is no level", async () => {
  const options = { stdout: "pipe", stderr: "pipe", timeout: 20_000 } as const
  const wrong = Bun.spawn(node, { ...options, env: { ...quiet, LIBP2P_LOG: "loud" } })
  expect(JSON.parse(await new Response(wrong.stderr).text()).error.code).toBe("libp2p-log-invalid")
  expect(await wrong.exited).toBe(2)
  const right = Bun.spawn(node, { ...options, env: { ...quiet, LIBP2P_LOG: "host=info" } })
  let text = ""
  for await (const piece of right.stdout.pipeThrough(new TextDecoderStream())) {
    text += piece
    if (/"libp2p host: 16Uiu2\w+ started/.test(text)) right.kill("SIGTERM")
  }
  await right.exited
  const lines = text.split("\n").filter((line) => line.includes("libp2p host: "))
  expect(lines.map((line) => JSON.parse(line).level)).toEqual(["INFO", "INFO"])
  expect(lines[1]).toContain(" stopped")
}, 30_000)
