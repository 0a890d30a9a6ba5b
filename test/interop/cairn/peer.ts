/** Our peer, by the public face of the library. The commands: test/interop/README.md. */
import {
  createLibp2p,
  generateKeyPair,
  identify,
  identifyPush,
  multiaddr,
  noise,
  peerIdFromString,
  ping,
  tcp,
  tls,
  yamux
} from "../../../src/library.ts"
import { flagsOf, runProgram } from "../program.ts"

const keys = { ed25519: "Ed25519", rsa: "RSA", ecdsa: "ECDSA", secp256k1: "secp256k1" } as const
const named = <Value>(values: Readonly<Record<string, Value>>, name: string): Value => {
  const found = values[name]
  if (found === undefined) throw new Error(`${name} is none of ${Object.keys(values).join(", ")}`)
  return found
}

const engines = { auto: "auto", "sodium-native": "sodium-native", wasm: "wasm", noble: "noble" } as const

const agent = "cairn/interop"
const flags = flagsOf(process.argv)
const engine = named<keyof typeof engines>(engines, flags.engine)
const host = await createLibp2p({
  privateKey: await generateKeyPair(named<(typeof keys)[keyof typeof keys]>(keys, flags.key)),
  addresses: { listen: [...flags.listen] },
  transports: [tcp()],
  connectionEncrypters: [named({ noise: () => noise({ engine }), tls }, flags.sec)()],
  streamMuxers: [yamux()],
  // More than the measurement of resident memory connects: nobody is closed meanwhile.
  connectionManager: { maxConnections: 1_000 },
  services: { identify: identify(), identifyPush: identifyPush(), ping: ping() },
  nodeInfo: { userAgent: agent }
})
await runProgram({
  host,
  agent,
  address: multiaddr,
  peerId: peerIdFromString,
  ping: (peer, signal) => host.services.ping.ping(peer, { signal }),
  onIdentified: (told) => host.addEventListener("peer:identify", ({ detail }) => told(detail)),
  onUnidentified: (told) =>
    host.addEventListener("peer:identify:failure", ({ detail: { connection, error } }) =>
      told(connection.remotePeer, { kind: error.kind, name: error.name, message: error.message })
    ),
  oversizeIdentify: flags.identify === "oversize"
})
await host.stop()
