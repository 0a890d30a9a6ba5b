/** Addresses against go's and js's own lists, against js-multiaddr as it runs, and against whatever bytes there are. */
import { describe, expect, test } from "bun:test"
import { isMultiaddr as isMultiaddrOfJs, multiaddr as multiaddrOfJs } from "@multiformats/multiaddr"
import {
  bytesOfGo,
  judgedByGo,
  normalizedByJs,
  refusedByGo,
  takenByGo,
  takenByJs
} from "../../test/vectors/multiaddr.ts"
import { published } from "../../test/vectors/published.ts"
import { multiaddrBytesMax, multiaddrCharsMax, multiaddrPartsMax } from "../limits.ts"
import { addressProtocols } from "./address-protocols.ts"
import { Libp2pFault } from "./fault.ts"
import { decodeMultiaddr, isMultiaddr, multiaddr, parseMultiaddr } from "./multiaddr.ts"

interface Vectors {
  readonly multiaddr: {
    readonly valid: ReadonlyArray<string>
    readonly invalid: ReadonlyArray<string>
    readonly normalized: ReadonlyArray<{ readonly input: string; readonly output: string }>
    readonly binary_round_trip: ReadonlyArray<string>
    readonly codes: Readonly<Record<string, number>>
  }
}
const vectors = published<Vectors>("reference-vectors.json")?.multiaddr

/** What came of it, as one line: text and hex, or nothing. */
type Outcome = string | undefined
const ofOurs = (given: string): Outcome => {
  const own = given.startsWith("hex:") ? decodeMultiaddr(Uint8Array.fromHex(given.slice(4))) : parseMultiaddr(given)
  return own instanceof Libp2pFault ? undefined : `${own} ${own.bytes.toHex()}`
}
const ofJs = (given: string): Outcome => {
  try {
    const own = multiaddrOfJs(given.startsWith("hex:") ? Uint8Array.fromHex(given.slice(4)) : given)
    return `${own} ${own.bytes.toHex()}`
  } catch {
    return undefined
  }
}
const parsed = (text: string) => multiaddr(text)

describe("go-multiaddr", () => {
  test.each(takenByGo)("takes %s, and so do we; its bytes read back as the same", (text) => {
    const own = parsed(text)
    const read = decodeMultiaddr(own.bytes)
    expect([String(read), String(parseMultiaddr(String(own)))]).toEqual([String(own), String(own)])
  })

  test.each(refusedByGo)("refuses %p, and so do we", (text) => {
    const fault = parseMultiaddr(text)
    expect(fault).toBeInstanceOf(Libp2pFault)
    expect([(fault as Libp2pFault).kind, (fault as Libp2pFault).name]).toEqual(["input", "InvalidMultiaddrError"])
  })

  test.each(bytesOfGo)("has for %s the bytes that we have", (text, hex) => {
    expect([parsed(text).bytes.toHex(), String(decodeMultiaddr(Uint8Array.fromHex(hex)))]).toEqual([hex, text])
  })
})

describe("js-multiaddr", () => {
  test.each(takenByJs)("and we mean the same by %s", (text) => expect(ofOurs(text)).toBe(ofJs(text)!))

  test.each(normalizedByJs)("writes %s as %s", (given, written) => {
    expect([String(parsed(given)), ofOurs(given)]).toEqual([written, ofJs(given)])
  })

  test("knows ours as its own, and we know its", () => {
    const text = "/ip4/1.2.3.4/tcp/80"
    expect([isMultiaddrOfJs(parsed(text)), isMultiaddr(multiaddrOfJs(text)), isMultiaddr(text)]).toEqual([
      true,
      true,
      false
    ])
    expect(multiaddr(multiaddrOfJs(text) as never).equals(parsed(text))).toBe(true)
    expect(JSON.stringify({ at: parsed(text) })).toBe(`{"at":"${text}"}`)
  })
})

/** Where we and go differ, and why. Each of them stands in docs/libp2p.md. */
const unlikeGo: Readonly<Record<string, string>> = {
  "/ip4/::ffff:1.2.3.4": "an address of one family under the name of the other",
  "/ip6/1.2.3.4": "an address of one family under the name of the other",
  "/dns4/-bad.example/tcp/443": "no name that can be looked up",
  "/dns4/example..com/tcp/443": "no name that can be looked up",
  "/dns4/a b/tcp/1": "no name that can be looked up",
  "hex:3502ff41": "no UTF-8",
  "/certhash/UEiAkH5a4DPGKUuOBjYw0CgwjvcJCJMD2K_1aluKR_tpevQ==": "a base that we do not have: base64urlpad",
  "/ip4/1.2.3.4/udp/9/p2p-webrtc-star": "of js only, read and written by us",
  "/ip4/1.2.3.4/tcp/9/ws/p2p-websocket-star": "of js only, read and written by us",
  "/p2p-stardust": "of js only, read and written by us"
}

/** Where we, with go or stricter than it, and js differ. */
const unlikeJs: Readonly<Record<string, string>> = {
  "//ip4/1.2.3.4": "js drops slashes, the first time that some follow one another",
  "/ip4/1.2.3.4//tcp/80": "js drops slashes, the first time that some follow one another",
  "/": "js has an address of no parts",
  "/ip4/1.2.3.4/tcp/0080": "js takes no zeros before a port",
  "/ip6/::ffff:1.2.3.4": "js writes ::ffff:102:304",
  "/ip4/1.2.3.4/ipcidr/256": "js takes more bits than a byte holds",
  "/dns4/-bad.example/tcp/443": "js looks at no name",
  "/dns4/example..com/tcp/443": "js looks at no name",
  "/dns4/a b/tcp/1": "js looks at no name",
  "/unix/tmp/p2p.sock": "js has a path in one segment, escaped, and not the slash before it among its bytes",
  "/unix/%2Ftmp%2Fp2p.sock": "js has a path in one segment, escaped, and not the slash before it among its bytes",
  "/unix/tmp%2Fp2p.sock": "js has a path in one segment, escaped, and not the slash before it among its bytes",
  "hex:90030461622f63": "js has a path in one segment, escaped, and not the slash before it among its bytes",
  "hex:900303612f62": "js has a path in one segment, escaped, and not the slash before it among its bytes",
  "/http-path/tmp%2Fbar": "js has a slash more among the bytes of an http-path, and escapes as in a URL's path",
  "/http-path/a+b": "js has a slash more among the bytes of an http-path, and escapes as in a URL's path",
  "/http-path/a%20b": "js has a slash more among the bytes of an http-path, and escapes as in a URL's path",
  "/http-path/a!b": "js has a slash more among the bytes of an http-path, and escapes as in a URL's path",
  "hex:e1030461206221": "js has a slash more among the bytes of an http-path, and escapes as in a URL's path",
  "/memory/4": "js has any text there, go and rust eight bytes: the dialect js reads it",
  "/memory/test": "js has any text there, go and rust eight bytes: the dialect js reads it",
  "/memory/18446744073709551616": "js has any text there, go and rust eight bytes: the dialect js reads it",
  "hex:89060000000000000004": "js has any text there, go and rust eight bytes: the dialect js reads it",
  "/onion/TIMAQ4YGG2IEGCI7:80": "js keeps the text as it was given",
  "/onion/timaq4ygg2iegci7:080": "js keeps the text as it was given",
  "/garlic32/566niximlxdzpanmn4qouucvua3k7neniwss47li5r6ugoertzuq": "js has the text itself as bytes, for garlic64 too",
  "/p2p/k2k4r8oqamigqdo6o7hsbfwd45y70oyynp98usk7zmyfrzpqxh1pohl7": "js keeps the text as it was given",
  "/certhash/zQmbWTwYGcmdyK9CYfNBcfs9nhZs17a6FQ4Y8oea278xx41": "js keeps the text as it was given",
  "/certhash/UEiAkH5a4DPGKUuOBjYw0CgwjvcJCJMD2K_1aluKR_tpevQ==": "js keeps the text as it was given",
  "/p2p/QmxoHT6iViN5xAjoz1VZ553cL31U9F94ht3QvWR1FrEbZY": "js takes any multihash for a peer id, and CIDs of any codec",
  "/p2p/bafybeigvf25ytwc3akrijfecaotc74udrhcxzh2cx3we5qqnw5vgrei4bm":
    "js takes any multihash for a peer id, and CIDs of any codec",
  "hex:a50306002408011220": "js takes any multihash for a peer id, and CIDs of any codec",
  "/plaintextv2": "js does not know it",
  "hex:3502ff41": "js puts another character for what is no UTF-8",
  "hex:3503612f62": "js reads a slash in a name"
}

describe("differences", () => {
  const differing = (theirs: (row: (typeof judgedByGo)[number]) => Outcome) =>
    judgedByGo.filter((row) => ofOurs(row[0]) !== theirs(row)).map(([given]) => given)

  test("from go are those that are written down", () => {
    const strange = differing(([, text, hex]) => (text === undefined ? undefined : `${text} ${hex}`))
    expect(strange.sort()).toEqual(Object.keys(unlikeGo).sort())
  })

  test("from js are those that are written down", () => {
    expect(differing(([given]) => ofJs(given)).sort()).toEqual(Object.keys(unlikeJs).sort())
  })

  test("on /memory end where the dialect is told", () => {
    for (const text of ["/memory/4", "/memory/test", "/ip4/1.2.3.4/memory/a/tcp/1"]) {
      const own = parseMultiaddr(text, "js") as ReturnType<typeof parsed>
      expect(`${own} ${own.bytes.toHex()}`).toBe(ofJs(text)!)
      expect(String(decodeMultiaddr(own.bytes, "js"))).toBe(text)
    }
  })
})

describe.if(vectors !== undefined)("published vectors", () => {
  const { valid, invalid, normalized, binary_round_trip, codes } = vectors!

  test("the valid ones are taken, and all but one of them by go's rules", () => {
    expect(valid.filter((text) => parseMultiaddr(text) instanceof Libp2pFault)).toEqual(
      valid.filter((text) => text.startsWith("/memory/test/"))
    )
    expect(valid.filter((text) => parseMultiaddr(text, "js") instanceof Libp2pFault)).toEqual([])
    expect(valid).toHaveLength(24)
  })

  test("the invalid ones are refused", () => {
    expect(invalid.filter((text) => !(parseMultiaddr(text) instanceof Libp2pFault))).toEqual([])
    expect(invalid).toHaveLength(23)
  })

  test("text becomes the one text of its address, and bytes lead back to it", () => {
    for (const { input, output } of normalized) expect(String(parsed(input))).toBe(output)
    for (const text of binary_round_trip) expect(String(decodeMultiaddr(parsed(text).bytes))).toBe(text)
  })

  test("all protocols have their codes", () => {
    const own = new Map(addressProtocols.map(({ name, code }) => [name, code]))
    for (const [name, code] of Object.entries(codes)) expect([name, own.get(name)]).toEqual([name, code])
  })
})

test("codes and names are told apart", () => {
  expect(new Set(addressProtocols.map(({ code }) => code)).size).toBe(addressProtocols.length)
  expect(new Set(addressProtocols.map(({ name }) => name)).size).toBe(addressProtocols.length)
})

describe("limits", () => {
  const kindOf = (result: unknown): string | undefined => (result instanceof Libp2pFault ? result.message : undefined)

  test("of parts", () => {
    const most = "/ws".repeat(multiaddrPartsMax)
    expect(kindOf(parseMultiaddr(most))).toBeUndefined()
    expect(kindOf(parseMultiaddr(`${most}/ws`))).toContain("32 parts")
    expect(
      kindOf(decodeMultiaddr(new Uint8Array(multiaddrPartsMax * 2 + 2).map((_, i) => (i % 2 ? 3 : 0xdd))))
    ).toContain("32 parts")
    expect(() => parsed(most).encapsulate("/ws")).toThrow("32 parts")
  })

  test("of bytes and of characters", () => {
    const path = (length: number) => `/unix/${"a".repeat(length)}`
    const most = multiaddrBytesMax - 2 - 2 - 1
    expect(kindOf(parseMultiaddr(path(most)))).toBeUndefined()
    expect(kindOf(parseMultiaddr(path(most + 1)))).toContain("1024 bytes")
    expect(kindOf(decodeMultiaddr(new Uint8Array(multiaddrBytesMax + 1)))).toContain("1024 bytes")
    expect(kindOf(parseMultiaddr("/".repeat(multiaddrCharsMax + 1)))).toContain("4096 characters")
    expect(() => parsed("/ip4/1.2.3.4").encapsulate(path(most))).toThrow("1024 bytes")
  })

  test("of a name, and of a destination of I2P", () => {
    const name = (last: number) => `/dns/${[63, 63, 63, last].map((length) => "a".repeat(length)).join(".")}`
    expect([61, 62].map((last) => kindOf(parseMultiaddr(name(last))) === undefined)).toEqual([true, false])
    expect(kindOf(parseMultiaddr(`/dns/${"a".repeat(64)}`))).toContain("is no value of dns")
    const garlic = (letters: number) => `/garlic64/${"A".repeat(letters)}`
    expect([512, 516].map((letters) => kindOf(parseMultiaddr(garlic(letters))) === undefined)).toEqual([false, true])
  })

  test("a fault says no more than a few characters of what it refuses", () => {
    for (const text of [`/${"x".repeat(4_000)}`, `/ip4/${"1".repeat(4_000)}`, "x".repeat(4_000)])
      expect((parseMultiaddr(text) as Libp2pFault).message.length).toBeLessThan(160)
  })
})

describe("an address", () => {
  const relayed = "/ip4/1.2.3.4/tcp/80/p2p/QmcgpsyWgH8Y8ajJz1Cu72KnS5uo2Aa2LpzU7kinSupNKC/p2p-circuit"

  test("is put around another, and taken off again from its last place, as js does it", () => {
    for (const [whole, part] of [
      ["/ip4/1.2.3.4/udp/1/udp/2", "/udp/2"],
      ["/ip4/1.2.3.4/udp/1/udp/2", "/udp"],
      ["/ip4/1.2.3.4/udp/1/udp/1", "/udp/1"],
      [relayed, "/p2p-circuit"],
      [relayed, "/ip4"],
      [relayed, relayed]
    ] as const) {
      expect([whole, part, String(parsed(whole).decapsulate(part))]).toEqual([
        whole,
        part,
        String(multiaddrOfJs(whole).decapsulate(part))
      ])
    }
    expect(String(parsed("/ip4/1.2.3.4").encapsulate(parsed("/tcp/80")).encapsulate("/ws/"))).toBe(
      "/ip4/1.2.3.4/tcp/80/ws"
    )
    expect(String(parsed("/ip6/::1/tcp/1").decapsulate("/ip6/0:0::1"))).toBe("/")
  })

  test("a part is taken off whole, or not at all", () => {
    const own = parsed("/ip4/1.2.3.4/tcp/8080")
    for (const part of ["/tcp/80", "/udp", "/ip4/1.2.3", "8080", ""])
      expect(() => own.decapsulate(part)).toThrow(expect.objectContaining({ name: "InvalidParametersError" }))
    expect(String(own.decapsulateCode(6))).toBe("/ip4/1.2.3.4")
    expect(own.decapsulateCode(273).equals(own)).toBe(true)
  })

  test("nothing may be put behind a path", () => {
    expect(() => parsed("/unix/a").encapsulate("/tcp/1")).toThrow("something follows unix")
    expect(decodeMultiaddr(Uint8Array.of(...parsed("/unix/a").bytes, ...parsed("/ws").bytes))).toBeInstanceOf(
      Libp2pFault
    )
  })

  test("tells its parts, with the values as they stand in the text", () => {
    expect(parsed("/ip6zone/x/ip6/0::1/http-path/a%2fb/p2p-circuit/unix/a/b").getComponents()).toEqual([
      { code: 42, name: "ip6zone", value: "x" },
      { code: 41, name: "ip6", value: "::1" },
      { code: 481, name: "http-path", value: "a%2Fb" },
      { code: 290, name: "p2p-circuit", value: undefined },
      { code: 400, name: "unix", value: "/a/b" }
    ])
  })

  test("does not change with the bytes that it was read from, and equals what has its bytes", () => {
    const bytes = parsed(relayed).bytes.slice()
    const own = multiaddr(bytes)
    bytes.fill(0)
    expect([String(own), own.equals(parsed(relayed)), own.equals(parsed("/ws")), own.equals(undefined)]).toEqual([
      relayed,
      true,
      false,
      false
    ])
  })

  test("is made of nothing else", () => {
    for (const input of [7, null, undefined, {}, "", new Uint8Array(0)])
      expect(() => multiaddr(input as string)).toThrow(expect.objectContaining({ name: "InvalidMultiaddrError" }))
  })
})

describe("any bytes", () => {
  /** Numbers that look random and are the same each time. */
  const chance = (seed: number) => () => {
    seed = (Math.imul(seed, 1_664_525) + 1_013_904_223) >>> 0
    return seed / 2 ** 32
  }
  const seeds = [...takenByGo, ...takenByJs].map((text) => parsed(text).bytes)

  test("of addresses with some changed, cut off or put in: what is taken has one text, and that has these bytes", () => {
    const random = chance(7)
    const upTo = (max: number): number => Math.floor(random() * max)
    let taken = 0
    for (let i = 0; i < 20_000; i++) {
      const bytes = [...seeds[upTo(seeds.length)]!]
      for (let changes = 1 + upTo(3); changes > 0; changes--)
        bytes.splice(upTo(bytes.length), upTo(3), ...Array.from({ length: upTo(3) }, () => upTo(256)))
      const own = decodeMultiaddr(Uint8Array.from(bytes))
      if (own instanceof Libp2pFault) continue
      taken++
      const again = parseMultiaddr(String(own))
      expect([String(own), again instanceof Libp2pFault ? again.message : again.bytes.toHex()]).toEqual([
        String(own),
        Uint8Array.from(bytes).toHex()
      ])
    }
    expect(taken).toBeGreaterThan(1_000)
  })

  test("cut off at every byte is refused, or is whole parts of it", () => {
    for (const bytes of seeds)
      for (let length = 1; length < bytes.length; length++) {
        const own = decodeMultiaddr(bytes.subarray(0, length))
        if (!(own instanceof Libp2pFault)) expect(String(multiaddr(bytes)).startsWith(`${own}/`)).toBe(true)
      }
  })

  test("as text never throw, and what is taken is written in one way", () => {
    const random = chance(11)
    const pieces = [...takenByGo, ...takenByJs].flatMap((text) => text.split("/"))
    for (let i = 0; i < 20_000; i++) {
      const text = Array.from(
        { length: 1 + Math.floor(random() * 6) },
        () => pieces[Math.floor(random() * pieces.length)]
      )
      const own = parseMultiaddr(`/${text.join("/")}${random() < 0.1 ? String.fromCharCode(random() * 0xffff) : ""}`)
      if (!(own instanceof Libp2pFault)) expect(String(parsed(String(own)))).toBe(String(own))
    }
  })
})
