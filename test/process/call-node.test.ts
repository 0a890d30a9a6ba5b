/** By HTTPS the address is the one that was looked at, and the certificate must be that of the name: a process that trusts one more root. */
import { expect, test } from "bun:test"
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { makeCertificate } from "../../src/crypto/certificate.ts"
import { folder } from "./binary.ts"

const ask = async (port: number, root: string, ...hosts: ReadonlyArray<string>): Promise<ReadonlyArray<string>> => {
  const child = Bun.spawn([process.execPath, join(import.meta.dir, "call-node-client.ts"), String(port), ...hosts], {
    env: { ...process.env, NODE_EXTRA_CA_CERTS: root },
    stdout: "pipe"
  })
  return (await new Response(child.stdout).text()).trim().split("\n")
}

test("only the name of the certificate is believed, and without a known root none is", async () => {
  const home = folder()
  const facts = { now: Date.now(), serial: crypto.getRandomValues(new Uint8Array(16)) }
  const { key, cert } = makeCertificate("example.test", facts)
  const root = join(home.path, "root.pem")
  writeFileSync(root, cert)
  const answer = (request: Request): Response => new Response(request.headers.get("host"))
  const server = Bun.serve({ port: 0, hostname: "127.0.0.1", tls: { key, cert }, fetch: answer })
  try {
    const port = server.port!
    expect(await ask(port, root, "example.test", "other.test", "127.0.0.1")).toEqual([
      `example.test:${port}`,
      "ERR_TLS_CERT_ALTNAME_INVALID",
      "ERR_TLS_CERT_ALTNAME_INVALID"
    ])
    expect(await ask(port, "", "example.test")).not.toEqual([`example.test:${port}`])
  } finally {
    await server.stop(true)
    home.remove()
  }
}, 30_000)
