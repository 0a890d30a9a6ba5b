/** Two ends of multistream-select at every split of what they say, and what a stranger may not say. */
import { describe, expect, test } from "bun:test"
import { concat, fromHex, toHex, utf8 } from "../codec/bytes.ts"
import { multistreamLineBytesMax, multistreamProposalsMax } from "../limits.ts"
import { Libp2pFault } from "./fault.ts"
import { frameOf } from "./frame.ts"
import {
  dialSelect,
  isProtocolId,
  listenSelect,
  multistreamProtocol,
  type SelectStep,
  selectLine
} from "./multistream.ts"
import { encodeVarint } from "./varint.ts"

const header = selectLine(multistreamProtocol)
const speaks = (...protocols: ReadonlyArray<string>) => listenSelect((protocol) => protocols.includes(protocol))

const last = (
  select: { receive: (bytes: Uint8Array) => SelectStep },
  pieces: ReadonlyArray<Uint8Array>
): SelectStep => {
  let step: SelectStep = { _tag: "More", send: undefined }
  for (const piece of pieces) {
    step = select.receive(piece)
    if (step._tag !== "More") return step
  }
  return step
}

const faultOf = (step: SelectStep): Libp2pFault => {
  if (step._tag !== "Failed") throw new Error(`it did not fail: ${step._tag}`)
  return step.fault
}

describe("the bytes", () => {
  test("a line is its length with the line feed, its text and a line feed", () => {
    expect(toHex(header)).toBe("132f6d756c746973747265616d2f312e302e300a")
    expect(header).toEqual(fromHex("132f6d756c746973747265616d2f312e302e300a")!)
    expect(selectLine("na")).toEqual(new Uint8Array([3, 0x6e, 0x61, 0x0a]))
  })

  test("the dialler says header and first proposal at once, the listener its header without waiting", () => {
    expect(dialSelect(["/noise", "/tls/1.0.0"]).start()).toEqual(concat(header, selectLine("/noise")))
    expect(speaks("/noise").start()).toEqual(header)
  })
})

describe("an agreement", () => {
  test("is reached at every split of either side's bytes, and what comes behind is handed over untouched", () => {
    const payload = new Uint8Array([0, 255, 10, 19, 47])
    const asked = concat(header, selectLine("/a"), selectLine("/b"), payload)
    const answered = concat(header, selectLine("na"), selectLine("/b"), payload)
    for (let cut = 0; cut <= asked.length; cut++) {
      const listener = speaks("/b")
      const said: Array<Uint8Array> = [listener.start()]
      const rest: Array<Uint8Array> = []
      let done = false
      for (const piece of [asked.subarray(0, cut), asked.subarray(cut)]) {
        if (done) {
          rest.push(piece)
          continue
        }
        const step = listener.receive(piece)
        if (step.send !== undefined) said.push(step.send)
        if (step._tag === "More") continue
        if (step._tag === "Failed") throw step.fault
        expect(step.protocol).toBe("/b")
        rest.push(step.rest)
        done = true
      }
      expect(concat(...said)).toEqual(answered.subarray(0, -payload.length))
      expect(concat(...rest)).toEqual(payload)
    }
    for (let cut = 0; cut <= answered.length; cut++) {
      const dialler = dialSelect(["/a", "/b"])
      dialler.start()
      const said: Array<Uint8Array> = []
      const rest: Array<Uint8Array> = []
      let protocol: string | undefined
      for (const piece of [answered.subarray(0, cut), answered.subarray(cut)]) {
        if (protocol !== undefined) {
          rest.push(piece)
          continue
        }
        const step = dialler.receive(piece)
        if (step.send !== undefined) said.push(step.send)
        if (step._tag === "Failed") throw step.fault
        if (step._tag === "More") continue
        protocol = step.protocol
        rest.push(step.rest)
      }
      expect(protocol).toBe("/b")
      expect(concat(...said)).toEqual(selectLine("/b"))
      expect(concat(...rest)).toEqual(payload)
    }
  })

  test("byte for byte works as well", () => {
    const bytes = concat(header, selectLine("/x"))
    const step = last(
      speaks("/x"),
      [...bytes].map((byte) => new Uint8Array([byte]))
    )
    expect(step._tag).toBe("Selected")
  })

  test("the lazy form: payload behind the only proposal goes to the protocol, or ends in a refusal", () => {
    const asked = concat(dialSelect(["/echo"]).start(), utf8("hello"))
    const taken = speaks("/echo").receive(asked)
    expect(taken._tag === "Selected" && taken.rest).toEqual(utf8("hello"))
    const listener = speaks("/other")
    const answer = concat(listener.start(), listener.receive(asked).send!)
    const dialler = dialSelect(["/echo"])
    dialler.start()
    const fault = faultOf(dialler.receive(answer))
    expect([fault.kind, fault.name]).toEqual(["unsupported", "UnsupportedProtocolError"])
  })

  test("a listener answers ls and unknown protocols with na and goes on", () => {
    const listener = speaks("/x")
    const step = listener.receive(concat(header, selectLine("ls"), selectLine("/y"), selectLine("/x")))
    expect(step._tag).toBe("Selected")
    expect(step.send).toEqual(concat(selectLine("na"), selectLine("na"), selectLine("/x")))
  })
})

describe("refused", () => {
  const wrong: ReadonlyArray<readonly [what: string, bytes: Uint8Array, name: string]> = [
    ["no header", selectLine("/x"), "ProtocolError"],
    ["an old header", selectLine("/multistream/0.9.0"), "ProtocolError"],
    ["an empty frame", concat(header, new Uint8Array([0])), "ProtocolError"],
    ["no line feed", concat(header, frameOf(utf8("/x"))), "ProtocolError"],
    ["a carriage return", frameOf(utf8(`${multistreamProtocol}\r\n`)), "ProtocolError"],
    ["no UTF-8", concat(header, frameOf(new Uint8Array([0xff, 0x0a]))), "ProtocolError"],
    ["a long line", concat(header, encodeVarint(multistreamLineBytesMax + 1)), "InvalidMessageError"],
    ["a huge length", concat(header, new Uint8Array(9).fill(0xff)), "InvalidMessageError"],
    ["a length in a longer form", concat(header, new Uint8Array([0x83, 0x00])), "InvalidMessageError"]
  ]
  for (const [what, bytes, name] of wrong)
    test(what, () => {
      expect(faultOf(speaks("/x").receive(bytes)).name).toBe(name as Libp2pFault["name"])
      const dialler = dialSelect(["/z"])
      dialler.start()
      expect(faultOf(dialler.receive(bytes)).name).toBe(name as Libp2pFault["name"])
    })

  test("the longest line is taken", () => {
    const longest = `/${"x".repeat(multistreamLineBytesMax - 2)}`
    expect(isProtocolId(longest)).toBe(true)
    expect(isProtocolId(`${longest}x`)).toBe(false)
    expect(speaks(longest).receive(concat(header, selectLine(longest)))._tag).toBe("Selected")
  })

  test("an answer that is neither the proposal nor na", () => {
    const dialler = dialSelect(["/a"])
    dialler.start()
    expect(faultOf(dialler.receive(concat(header, selectLine("/b")))).kind).toBe("protocol")
  })

  test("who goes on proposing", () => {
    const listener = speaks("/x")
    const proposals = (count: number) => concat(...Array.from({ length: count }, () => selectLine("/y")))
    expect(listener.receive(concat(header, proposals(multistreamProposalsMax - 1)))._tag).toBe("More")
    const fault = faultOf(listener.receive(proposals(1)))
    expect(fault.name).toBe("UnsupportedProtocolError")
  })

  test("a proposal that is the word of refusal itself", () => {
    expect(["na", "", "/a\n", "/ok"].map(isProtocolId)).toEqual([false, false, false, true])
  })
})

test("bytes of chance end in a fault or wait, and never throw", () => {
  let seed = 1
  const next = (below: number): number => {
    seed = (seed * 48_271) % 2_147_483_647
    return seed % below
  }
  for (let round = 0; round < 3_000; round++) {
    const bytes = concat(header, selectLine("/a"), selectLine("/x"), utf8("rest"))
    for (let flips = 1 + next(3); flips > 0; flips--) bytes[next(bytes.length)]! ^= 1 << next(8)
    const cut = next(bytes.length)
    const step = last(speaks("/x"), [bytes.subarray(0, cut), bytes.subarray(cut)])
    if (step._tag === "Failed") expect(step.fault).toBeInstanceOf(Libp2pFault)
  }
})
