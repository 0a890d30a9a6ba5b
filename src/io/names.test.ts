/** Names by the system's resolver, and by a server that the test is. */
import { expect, test } from "bun:test"
import { createSocket } from "node:dgram"
import { Libp2pFault } from "../libp2p/fault.ts"
import { resolveName } from "./names.ts"

const faultOf = async (promise: Promise<unknown>): Promise<Libp2pFault> => {
  const fault = await promise.then(
    () => undefined,
    (error: unknown) => error
  )
  if (!(fault instanceof Libp2pFault)) throw new Error(`not a fault: ${fault}`)
  return fault
}

test("localhost has addresses; who stops waiting is told so", async () => {
  expect(await resolveName({}, "localhost", "A")).toContain("127.0.0.1")
  const fault = await faultOf(resolveName({}, "localhost", "A", AbortSignal.abort()))
  expect([fault.kind, fault.name]).toEqual(["cancelled", "AbortError"])
})

test("TXT texts longer than a piece are joined, and one may stop waiting for a server that is silent", async () => {
  const server = createSocket("udp4")
  const asked = Promise.withResolvers<void>()
  const long = "dnsaddr=/ip4/".padEnd(300, "1")
  server.on("message", (query, from) => {
    if (query.includes("silent")) return asked.resolve()
    const answer = Buffer.from(query.subarray(0, query.indexOf(0, 12) + 5))
    answer.writeUInt16BE(0x8180, 2)
    answer.writeUInt16BE(2, 6)
    answer.writeUInt32BE(0, 8)
    const record = (...pieces: ReadonlyArray<string>): Buffer => {
      const text = Buffer.concat(
        pieces.map((piece) => Buffer.from(String.fromCharCode(piece.length) + piece, "latin1"))
      )
      return Buffer.concat([
        Buffer.from([0xc0, 12, 0, 16, 0, 1, 0, 0, 0, 60, text.length >> 8, text.length & 255]),
        text
      ])
    }
    server.send(
      Buffer.concat([answer, record(long.slice(0, 255), long.slice(255)), record("b")]),
      from.port,
      from.address
    )
  })
  await new Promise<void>((resolve) => server.bind(0, "127.0.0.1", resolve))
  const own = { servers: [`127.0.0.1:${server.address().port}`] }
  expect(await resolveName(own, "_dnsaddr.cairn.test", "TXT")).toEqual([long, "b"])
  const controller = new AbortController()
  const waiting = resolveName(own, "_dnsaddr.silent.test", "TXT", controller.signal)
  await asked.promise
  controller.abort()
  expect((await faultOf(waiting)).kind).toBe("cancelled")
  server.close()
})
