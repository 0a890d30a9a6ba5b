/**
 * How the program is housed, without an engine and without systemd running: the Containerfile's steps against this repository, the
 * scripts against a stand-in engine that writes down what it was told, the unit against systemd's own judge, and a root that is read-only.
 */
import { afterAll, describe, expect, test } from "bun:test"
import { chmodSync, cpSync, existsSync, mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { binary, folder, run } from "./binary.ts"
import { root } from "./compose.ts"

const home = folder()
afterAll(home.remove)

const sh = async (line: string, environment: Readonly<Record<string, string>> = {}) => {
  const child = Bun.spawn(["sh", "-c", line], {
    cwd: home.path,
    env: { ...process.env, ...environment },
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe"
  })
  const [out, err] = await Promise.all([new Response(child.stdout).text(), new Response(child.stderr).text()])
  return { code: await child.exited, out, err }
}

describe("Containerfile", () => {
  const text = readFileSync(join(root, "Containerfile"), "utf8").replace(/\\\n/g, " ")
  const steps = text.split("\n").filter((line) => line !== "" && !line.startsWith("#"))
  const of = (word: string): ReadonlyArray<string> =>
    steps.filter((step) => step.startsWith(`${word} `)).map((step) => step.slice(word.length + 1))

  test("pins its bases by a tag that says which release", () => {
    const bases = of("FROM").map((from) => from.split(" ")[0]!)
    expect(bases).toHaveLength(3)
    for (const base of bases) expect(base).toMatch(/^(build|docker\.io\/library\/[a-z]+:\d+\.\d+[\w.-]*)$/)
  })

  test("copies what is there, and all that the program is made of", () => {
    const copied = of("COPY")
      .filter((copy) => !copy.startsWith("--from"))
      .flatMap((copy) => copy.split(" ").slice(0, -1))
    expect(copied.filter((path) => !existsSync(join(root, path)))).toEqual([])
    // Built out of a folder that has these and nothing else, as the stage does.
    const stage = join(home.path, "stage")
    mkdirSync(stage)
    for (const path of copied.filter((one) => one !== "."))
      cpSync(join(root, path), join(stage, path), { recursive: true })
    symlinkSync(join(root, "node_modules"), join(stage, "node_modules"))
    const tools = join(home.path, "no-git")
    mkdirSync(tools)
    symlinkSync(process.execPath, join(tools, "bun"))
    const environment = { PATH: tools, HOME: home.path, CAIRN_COMMIT: "beadfeedcafe" }
    const built = Bun.spawnSync([process.execPath, "src/cli/build.ts", "cairn"], { cwd: stage, env: environment })
    expect([built.exitCode, built.stderr.toString()]).toEqual([0, ""])
    const made = readFileSync(join(stage, "cairn"))
    expect([made.includes("beadfeedcafe"), made.length > 50_000_000]).toEqual([true, true])
    rmSync(stage, { recursive: true })
  }, 60_000)

  test("runs as a numbered user that is not root, is asked for its health by the binary, and stops by SIGTERM", () => {
    expect(of("USER").at(-1)).toBe("1000:1000")
    expect(of("HEALTHCHECK")[0]).toContain('CMD ["cairn", "status"')
    expect(of("STOPSIGNAL")).toEqual(["SIGTERM"])
    expect(of("VOLUME")).toEqual(["/data"])
    expect(text.match(/HOME=\/data BUN_TMPDIR=\/data/)).not.toBeNull()
    expect(text).not.toMatch(/ADD |curl|:latest/)
  })
})

/** Whether this machine lets a test have mounts of its own. */
const mounts = (await sh("unshare -m mount -o bind,remount,ro / ")).code === 0
if (!mounts) process.stderr.write("skipped: a root that is read-only; this user may not have mounts of its own\n")

test.if(mounts)(
  "the node works where only its data folder can be written, and nothing in /tmp can be run",
  async () => {
    const [data, program] = [join(home.path, "data"), join(home.path, "cairn")]
    mkdirSync(data)
    cpSync(binary, program)
    const port = "28471"
    const line = `set -e
    mount --bind ${data} /mnt
    mkdir -p /var/tmp/cairn-house; cp ${program} /var/tmp/cairn-house/cairn
    mount -t tmpfs -o noexec,nosuid,nodev,size=16m tmpfs /tmp
    mount -o bind,remount,ro /
    cd /mnt; export BUN_TMPDIR=/mnt HOME=/mnt
    if touch /var/tmp/cairn-house/x 2>/dev/null; then echo "the root can be written"; exit 9; fi
    /var/tmp/cairn-house/cairn start --dev --data-dir /mnt/node --http-port ${port} --no-p2p --signature-engine secp256k1-node > /mnt/log &
    for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
      if /var/tmp/cairn-house/cairn status --node http://127.0.0.1:${port} > /mnt/status 2>&1; then break; fi; sleep 0.2; done
    kill -TERM $!; wait $!`
    const ran = await sh(`unshare -m sh -c '${line}'`)
    rmSync("/var/tmp/cairn-house", { recursive: true, force: true })
    expect([ran.code, ran.err]).toEqual([0, ""])
    expect(JSON.parse(readFileSync(join(data, "status"), "utf8"))).toMatchObject({ ready: true })
    expect(readFileSync(join(data, "log"), "utf8")).toContain('"signature_engine":"secp256k1-node"')
  },
  30_000
)

describe("scripts", () => {
  /** A stand-in for docker: a program of that name which writes its words to a file, and does nothing else. */
  const tools = join(home.path, "tools")
  const log = join(home.path, "engine.log")
  mkdirSync(tools)
  for (const name of ["docker", "other"]) {
    writeFileSync(join(tools, name), `#!/bin/sh\nprintf '%s %s\\n' ${name} "$*" >> ${log}\n`)
    chmodSync(join(tools, name), 0o755)
  }
  const script = async (line: string, environment: Readonly<Record<string, string>> = {}) => {
    rmSync(log, { force: true })
    const ran = await sh(`${root}/scripts/${line}`, { PATH: `${tools}:${process.env["PATH"]}`, ...environment })
    return { ...ran, told: existsSync(log) ? readFileSync(log, "utf8").trim().split("\n") : [] }
  }
  const plain = "docker compose --file compose.yaml"
  const production = `${plain} --file compose.production.yaml`

  test.each([
    ["start.sh", `${plain} up --detach --build`],
    ["start.sh --production", `${production} up --detach --build`],
    ["start.sh --validators", "docker compose --file compose.validators.yaml up --detach --build"],
    ["stop.sh", `${plain} down --remove-orphans`],
    ["stop.sh --production", `${production} down --remove-orphans`],
    ["connect.sh", `${plain} exec one /bin/sh`],
    ["connect.sh three", `${plain} exec three /bin/sh`],
    ["connect.sh --production two", `${production} exec two /bin/sh`]
  ])("%s tells the engine: %s", async (line, words) => {
    const { code, err, told } = await script(line)
    expect([code, err, told]).toEqual([0, "", [words]])
  })

  test("build.sh says which commit, and passes words on; test.sh builds the stage of the tests and runs it", async () => {
    const built = await script("build.sh --no-cache")
    expect(built.told[0]).toMatch(
      /^docker build --file Containerfile --tag cairn:local --build-arg CAIRN_COMMIT=([0-9a-f]{12})? --no-cache \.$/
    )
    const tested = await script("test.sh npx -y bun@1.4.5 test src/ledger")
    expect(tested.told).toEqual([
      "docker build --file Containerfile --target test --tag cairn:test .",
      "docker run --rm cairn:test npx -y bun@1.4.5 test src/ledger"
    ])
  })

  test.each(["build", "start", "stop", "connect", "test"])(
    "%s.sh --help tells its use and touches no engine",
    async (name) => {
      const { code, out, told } = await script(`${name}.sh --help`)
      expect([code, told]).toEqual([0, []])
      expect(out).toStartWith(`Usage: scripts/${name}.sh`)
    }
  )

  test.each([
    ["start.sh --producton", 2, "there is no --producton"],
    ["start.sh three", 2, "what is three?"],
    ["stop.sh --production --validators", 2, "exclude each other"]
  ])("%s is refused, and nothing is started", async (line, code, why) => {
    const ran = await script(line)
    expect([ran.code, ran.told]).toEqual([code, []])
    expect(ran.err).toContain(why)
  })

  test("another engine can be named, and one that is not there is said", async () => {
    expect((await script("stop.sh", { CONTAINER_ENGINE: "other" })).told[0]).toStartWith("other compose")
    const gone = await script("stop.sh", { CONTAINER_ENGINE: "no-such-engine" })
    expect([gone.code, gone.err]).toEqual([
      3,
      "stop.sh: neither docker nor podman is there; CONTAINER_ENGINE names another\n"
    ])
  })

  const judge = Bun.which("shellcheck")
  if (judge === null) process.stderr.write("skipped: shellcheck of the scripts; it is not on this machine\n")
  test.if(judge !== null)("shellcheck has nothing to say of them", async () => {
    expect(await sh(`cd ${root} && shellcheck -x scripts/*.sh`)).toEqual({ code: 0, out: "", err: "" })
  })
})

const analyzer = Bun.which("systemd-analyze")
if (analyzer === null) process.stderr.write("skipped: the systemd unit; there is no systemd-analyze on this machine\n")

describe("cairn.service", () => {
  const text = readFileSync(join(root, "docs/systemd/cairn.service"), "utf8")
  /** Of ten, times ten: what systemd says of the unit's exposure must not be above. */
  const exposureMax = 15

  test("starts the node with flags that it has, secrets as credentials, and does not try again what is refused", async () => {
    const [line] = /^ExecStart=\/usr\/local\/bin\/cairn (.*)$/m.exec(text)!.slice(1)
    const help = (await run("start", "--help")).out
    for (const flag of line!.match(/--[\w-]+/g)!) expect(help).toContain(flag)
    expect(text.match(/^LoadCredential=/gm)).toHaveLength(2)
    expect(text).not.toMatch(/^Environment=.*(TOKEN|SECRET)=/m)
    expect(text).toContain("RestartPreventExitStatus=2")
  })

  test.if(analyzer !== null)(`systemd takes it and finds an exposure of at most ${exposureMax / 10}`, async () => {
    const unit = join(home.path, "cairn.service")
    writeFileSync(unit, text.replace("/usr/local/bin/cairn", binary))
    const judged = await sh(`systemd-analyze verify ${unit}`)
    expect([judged.code, judged.err]).toEqual([0, ""])
    const exposed = await sh(`systemd-analyze security --offline=true --threshold=${exposureMax} ${unit}`)
    expect([exposed.code, exposed.out]).toEqual([0, expect.stringContaining("exposure level for cairn.service")])
  })
})
