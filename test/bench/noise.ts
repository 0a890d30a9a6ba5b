/** Noise without sockets: what a handshake costs a side, and how much a second of CPU carries over a session. */
import { loadAeadNamed } from "../../src/crypto/chacha-engine.ts"
import type { Handshake, HandshakeStep, Identity, Role, SecureSession } from "../../src/libp2p/contract.ts"
import { keyFromSeed } from "../../src/libp2p/key.ts"
import { makeNoise, type NoiseKeys, noiseKeys } from "../../src/libp2p/noise.ts"
import { peerIdOfKey } from "../../src/libp2p/peer-id.ts"
import { Libp2pFault } from "../../src/libp2p/fault.ts"
import { cpuRate, printTable } from "./table.ts"

const random = (length: number): Uint8Array => crypto.getRandomValues(new Uint8Array(length))
const identityOf = (): Identity => {
  const privateKey = keyFromSeed(random(32))
  if (privateKey instanceof Libp2pFault) throw privateKey
  return { privateKey, peerId: peerIdOfKey(privateKey.publicKey) }
}
const engines = (["noble", "wasm", "sodium-native"] as const).flatMap((name) => loadAeadNamed(name) ?? [])
const muxers = ["/yamux/1.0.0"]

const machine = (role: Role, keys: NoiseKeys): Handshake =>
  makeNoise({ role, identity: keys.identity, expected: undefined, muxers, random }, keys)
const sendOf = (step: HandshakeStep): Uint8Array => {
  if (step._tag === "Failed" || step.send === undefined) throw new Error("the handshake goes on")
  return step.send
}
const sessionOf = (step: HandshakeStep): SecureSession => {
  if (step._tag !== "Secured") throw new Error("the handshake is done")
  return step.session
}
const shake = (one: NoiseKeys, two: NoiseKeys): readonly [SecureSession, SecureSession] => {
  const dialer = machine("dialer", one)
  const listener = machine("listener", two)
  const secured = dialer.receive(sendOf(listener.receive(dialer.start()!)))
  return [sessionOf(secured), sessionOf(listener.receive(sendOf(secured)))]
}

const mebibyte = 1024 * 1024
const sizes = [64, 1_024, 65_536, mebibyte]

const handshakes: Array<{ name: string; value: number; unit: string; baseline: string }> = []
const transfers: typeof handshakes = []
for (const engine of engines) {
  const [one, two] = [noiseKeys(identityOf(), random, engine), noiseKeys(identityOf(), random, engine)]
  const value = 1_000 / cpuRate(() => shake(one, two), 100) / 2
  handshakes.push({ name: engine.name, value, unit: "ms of CPU a side", baseline: "noble" })
  for (const size of sizes) {
    const [sender, receiver] = shake(one, two)
    const parts = [new Uint8Array(size)]
    let heard = 0
    const calls = Math.ceil((engine.name === "noble" ? 2 : 24) * Math.min(mebibyte / size, 2_000))
    const carry = (): void => {
      receiver.open(sender.seal(parts, size)!, (plain) => {
        heard += plain.length
      })
    }
    const rate = (cpuRate(carry, calls) * size) / mebibyte
    if (heard === 0) throw new Error("nothing came through")
    transfers.push({ name: `${engine.name} ${size} B`, value: rate, unit: "MiB/CPU-s", baseline: `noble ${size} B` })
  }
}

printTable("Noise XX, one handshake of two Ed25519 identities", handshakes)
printTable("Noise, sealed and opened again, both on one core", transfers)
