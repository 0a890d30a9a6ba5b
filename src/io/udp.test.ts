/** The UDP door over real sockets on loopback: what comes, what does not leave, what is too long. */
import { expect, test } from "bun:test"
import { Effect } from "effect"
import { datagramBytesMax } from "../limits.ts"
import { bunUdp, type UdpAddress, type UdpSocket } from "./udp.ts"

interface Ear {
  readonly socket: UdpSocket
  readonly heard: Array<readonly [Uint8Array, UdpAddress]>
  readonly next: () => Promise<readonly [Uint8Array, UdpAddress]>
}

const open = async (host: string): Promise<Ear> => {
  const heard: Array<readonly [Uint8Array, UdpAddress]> = []
  let wake = (): void => {}
  const socket = await Effect.runPromise(
    bunUdp.open({ host, port: 0 }, (bytes, from) => {
      heard.push([bytes, from])
      wake()
    })
  )
  const next = async () => {
    if (heard.length === 0) await new Promise<void>((resolve) => (wake = resolve))
    return heard.shift()!
  }
  return { socket, heard, next }
}

const hasIpv6 = async (): Promise<boolean> => {
  try {
    ;(await open("::1")).socket.close()
    return true
  } catch {
    return false
  }
}
const ipv6 = await hasIpv6()

const ways: ReadonlyArray<readonly [listens: string, dials: string, needsIpv6: boolean]> = [
  ["127.0.0.1", "127.0.0.1", false],
  ["0.0.0.0", "127.0.0.1", false],
  ["::1", "::1", true],
  ["::", "127.0.0.1", true],
  ["::", "::1", true]
]
for (const [listens, dials, needsIpv6] of ways)
  test.skipIf(needsIpv6 && !ipv6)(
    `who listens on ${listens} hears ${dials}, with the address that an answer would go to`,
    async () => {
      const [a, b] = [await open(listens), await open(dials)]
      const sent = Uint8Array.from({ length: datagramBytesMax }, (_, i) => i)
      expect(b.socket.send({ host: dials, port: a.socket.port }, sent)).toBe(true)
      const [bytes, from] = await a.next()
      expect([bytes, from]).toEqual([sent, { host: dials, port: b.socket.port }])
      expect(a.socket.send(from, new Uint8Array([7]))).toBe(true)
      expect((await b.next())[0]).toEqual(new Uint8Array([7]))
      for (const { socket } of [a, b]) socket.close()
    }
  )

test("of one that is too long no more is held than shows it", async () => {
  const [a, b] = [await open("127.0.0.1"), await open("127.0.0.1")]
  b.socket.send({ host: "127.0.0.1", port: a.socket.port }, new Uint8Array(60_000))
  expect((await a.next())[0].length).toBe(datagramBytesMax + 1)
  for (const { socket } of [a, b]) socket.close()
})

test("what cannot leave is a value: a name, another family, a length that is none, a socket that is closed", async () => {
  const { socket } = await open("127.0.0.1")
  const send = (host: string, length = 1): boolean => socket.send({ host, port: 9 }, new Uint8Array(length))
  expect([send("node.example"), send("2001:db8::1"), send("127.0.0.1", 70_000)]).toEqual([false, false, false])
  socket.close()
  expect(send("127.0.0.1")).toBe(false)
})

test("that nobody hears one peer ends nothing, and keeps nothing from another", async () => {
  const [a, b, gone] = [await open("127.0.0.1"), await open("127.0.0.1"), await open("127.0.0.1")]
  gone.socket.close()
  for (let i = 0; i < 20; i++) {
    a.socket.send({ host: "127.0.0.1", port: gone.socket.port }, new Uint8Array([0]))
    expect(a.socket.send({ host: "127.0.0.1", port: b.socket.port }, new Uint8Array([i]))).toBe(true)
    expect((await b.next())[0]).toEqual(new Uint8Array([i]))
  }
  for (const { socket } of [a, b]) socket.close()
})

test("a port that is taken is a fault, and a name has an address or none", async () => {
  const { socket } = await open("127.0.0.1")
  const again = await Effect.runPromise(Effect.flip(bunUdp.open({ host: "127.0.0.1", port: socket.port }, () => {})))
  expect([again._tag, again.message.includes(`127.0.0.1:${socket.port}`)]).toEqual(["UdpFault", true])
  socket.close()
  expect(await Effect.runPromise(bunUdp.resolve("localhost"))).toMatch(/^(127\.0\.0\.1|::1)$/)
  expect(await Effect.runPromise(bunUdp.resolve("no-such-name.invalid"))).toBeUndefined()
})
