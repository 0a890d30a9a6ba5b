/** A host in a process with few file descriptors: takes them all, then says what a dial and a listener come to, as a line of JSON. */
import { closeSync, openSync } from "node:fs"
import { createLibp2p, isDescriptorExhaustion, Libp2pFault, multiaddr } from "../../src/library.ts"

const listen = ["/ip4/127.0.0.1/tcp/0"]
const peer = await createLibp2p({ addresses: { listen } })
const host = await createLibp2p()
const taken: Array<number> = []
const takeAll = (): void => {
  try {
    for (;;) taken.push(openSync("/dev/null", "r"))
  } catch {
    // None is left.
  }
}
const told = (promise: Promise<unknown>): Promise<unknown> =>
  promise.then(
    () => "nothing failed",
    (error: unknown) =>
      error instanceof Libp2pFault ? [error.kind, error.name, isDescriptorExhaustion(error)] : String(error)
  )

const at = multiaddr(String(peer.getMultiaddrs()[0]))
takeAll()
const dial = await told(host.dial(at))
const start = await told(createLibp2p({ addresses: { listen } }))
for (const descriptor of taken) closeSync(descriptor)
const after = (await host.dial(at)).status
await host.stop()
await peer.stop()
const closed = await told(createLibp2p().then((other) => other.dial(at)))
process.stdout.write(`${JSON.stringify({ taken: taken.length > 0, dial, start, after, closed })}\n`)
process.exit(0)
