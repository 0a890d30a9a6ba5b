/** The faults of the library: a closed list, cheap where strangers cause them. */
import { expect, test } from "bun:test"
import { cheapFault, isDescriptorExhaustion, Libp2pFault } from "./fault.ts"

test("a kind or name that nobody knows does not compile, and a cheap fault has no trace", () => {
  // @ts-expect-error: the kinds are a closed list
  const kind = cheapFault("odd", "ProtocolError", "x")
  // @ts-expect-error: so are the names
  const name = cheapFault("protocol", "OddError", "x")
  const limit = Error.stackTraceLimit
  for (const fault of [kind, name]) {
    expect(fault).toBeInstanceOf(Libp2pFault)
    expect(fault.stack ?? "").not.toContain("fault.test.ts")
  }
  expect(Error.stackTraceLimit).toBe(limit)
  expect(new Libp2pFault("io", "DialError", "x").stack).toContain("fault.test.ts")
})

test("a missing descriptor is known by its code, also behind what it caused", () => {
  const [none, many] = ["EMFILE", "ENFILE"].map((code) => new Libp2pFault("resource", "DialError", "x", { code }))
  const behind = new Libp2pFault("io", "ListenError", "x", {}, { cause: none })
  expect([none, many, behind].map(isDescriptorExhaustion)).toEqual([true, true, true])
  const others = [new Libp2pFault("resource", "ResourceLimitError", "x"), new Error("EMFILE"), undefined]
  expect(others.map(isDescriptorExhaustion)).toEqual([false, false, false])
})
