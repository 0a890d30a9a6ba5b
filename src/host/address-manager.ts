/** Which addresses are ours, which of them we tell others, and the record of them that we sign. */
import { inCidr, type Cidr, formatIp, parseCidr, parseIp } from "../codec/ip.ts"
import { fromTcpEndpoint, ipOf, isUnspecified, toTcpEndpoint, withoutPeer } from "../libp2p/address-facts.ts"
import type { Multiaddr, PeerId, PrivateKey } from "../libp2p/contract.ts"
import { Libp2pFault } from "../libp2p/fault.ts"
import { multiaddr } from "../libp2p/multiaddr.ts"
import { sealPeerRecord } from "../libp2p/peer-record.ts"
import type { HostEvents, PeerStore, TypedEventTarget } from "./api.ts"
import type { AddressesInit, AddressManager, AddressType, NodeAddress, TransportManager } from "./components.ts"
import { confirmedAgeMax, ObservedAddresses } from "./observed.ts"
import { seqOf } from "./peer-data.ts"
import type { Cancel, World } from "./world.ts"

/** Milliseconds that the machine's own addresses are remembered. */
export const interfacesAgeMax = 60_000
/** Milliseconds between a change of our addresses and the telling of it: a start brings several, and peers are told once. */
export const addressUpdateDelayMs = 1_000
/** Addresses that we listen on, announce, or have at relays: of each at most. More: refused. */
export const ownAddressesMax = 64

export interface AddressManagerParts {
  readonly peerId: PeerId
  readonly privateKey: PrivateKey
  readonly peerStore: PeerStore
  readonly events: TypedEventTarget<HostEvents>
  readonly transportManager: TransportManager
  readonly world: Pick<World, "now" | "after" | "interfaces">
}

export interface HostAddressManager extends AddressManager {
  start(): Promise<void>
  stop(): void
}

const refused = (what: string): Libp2pFault => new Libp2pFault("input", "InvalidMultiaddrError", what)

/** Throws InvalidMultiaddrError for what is no address. */
const parsed = (texts: ReadonlyArray<string> = []): ReadonlyArray<Multiaddr> => {
  if (texts.length > ownAddressesMax) throw refused(`at most ${ownAddressesMax} addresses`)
  return texts.map((text) => multiaddr(text))
}

/** What must not be told: an address, or with `/ip4/10.0.0.0/ipcidr/8` all of a network. */
const blocker = (addresses: ReadonlyArray<Multiaddr>): ((address: Multiaddr) => boolean) => {
  const networks: Array<Cidr> = []
  const exact = new Set<string>()
  for (const address of addresses) {
    const [place, mask] = address.getComponents()
    const network = mask?.name === "ipcidr" ? parseCidr(`${place!.value}/${mask.value}`) : undefined
    if (network === undefined) exact.add(withoutPeer(address).toString())
    else networks.push(network)
  }
  return (address) => {
    const ip = ipOf(address)
    return exact.has(address.toString()) || (ip !== undefined && networks.some((network) => inCidr(ip, network)))
  }
}

interface Mapping {
  readonly internal: { readonly host: string; readonly port: number; readonly protocol: "tcp" | "udp" }
  readonly external: Multiaddr
  lastVerified: number
  provenUntil: number
}

const mappingOf = (
  internal: Mapping["internal"],
  externalIp: string,
  externalPort: number
): { readonly key: string; readonly mapping: Mapping } => {
  const external = fromTcpEndpoint(externalIp, externalPort)
  if (external instanceof Libp2pFault) throw external
  if (parseIp(internal.host) === undefined) throw refused(`${internal.host} is no IP address`)
  const address = internal.protocol === "tcp" ? external : multiaddr(external.toString().replace("/tcp/", "/udp/"))
  return { key: address.toString(), mapping: { internal, external: address, lastVerified: 0, provenUntil: 0 } }
}

/** The addresses of a host. The functions throw a Libp2pFault (input) for what is no address; nothing else. */
class Addresses implements HostAddressManager {
  private readonly parts: AddressManagerParts
  private readonly init: AddressesInit
  private readonly listen: ReadonlyArray<Multiaddr>
  private readonly announce: ReadonlyArray<Multiaddr>
  private readonly append: ReadonlyArray<Multiaddr>
  private readonly blocked: (address: Multiaddr) => boolean
  private readonly observed: ObservedAddresses
  private readonly mappings = new Map<string, Mapping>()
  private readonly relays = new Map<string, Multiaddr>()
  private interfaces: { readonly at: number; readonly ips: ReadonlyArray<string> } | undefined
  private record: { readonly of: string; readonly envelope: Uint8Array } | undefined
  private seq = 0n
  private told = ""
  private observedTold = ""
  private running = false
  private cancelUpdate: Cancel | undefined
  private cancelWatch: Cancel | undefined

  constructor(parts: AddressManagerParts, init: AddressesInit) {
    this.parts = parts
    this.init = init
    this.listen = parsed(init.listen)
    this.announce = parsed(init.announce).map((address) => this.bare(address))
    this.append = parsed(init.appendAnnounce).map((address) => this.bare(address))
    this.blocked = blocker(parsed(init.noAnnounce))
    this.observed = new ObservedAddresses(parts.world.now)
  }

  getListenAddrs(): Array<Multiaddr> {
    return [...this.listen]
  }

  getAnnounceAddrs(): Array<Multiaddr> {
    return [...this.announce]
  }

  getAppendAnnounceAddrs(): Array<Multiaddr> {
    return [...this.append]
  }

  getObservedAddrs(): Array<Multiaddr> {
    return this.observed.all().map(({ multiaddr: address }) => address)
  }

  getAddresses(): Array<Multiaddr> {
    const found = new Map<string, Multiaddr>()
    for (const { multiaddr: address, verified } of this.getAddressesWithMetadata())
      if (verified && !this.blocked(address)) found.set(address.toString(), address)
    const all = [...found.values()].slice(0, ownAddressesMax * 2)
    return this.init.announceFilter?.(all) ?? all
  }

  getAddressesWithMetadata(): Array<NodeAddress> {
    const certain = (type: AddressType, addresses: ReadonlyArray<Multiaddr>): ReadonlyArray<NodeAddress> =>
      addresses.map((address) => ({ multiaddr: address, type, verified: true, lastVerified: 0, expires: Infinity }))
    if (this.announce.length > 0) return [...certain("announce", this.announce)]
    const transport = this.transportAddrs()
    return [
      ...certain("transport", transport),
      ...certain("announce", this.append),
      ...this.observedAddrs(),
      ...this.mappedAddrs(transport),
      ...certain("relay", [...this.relays.values()])
    ]
  }

  /** `site`: the network of who says so, which counts once; undefined: it is only noted. */
  addObservedAddr(address: Multiaddr, site?: string): void {
    const bare = this.bare(address)
    if (this.mappings.has(bare.toString())) return
    this.observed.add(bare, site)
    this.observedChanged()
    this.changed()
  }

  confirmObservedAddr(address: Multiaddr): void {
    const bare = this.bare(address)
    const mapping = this.mappings.get(bare.toString())
    if (mapping === undefined) this.observed.confirm(bare)
    else {
      mapping.lastVerified = this.parts.world.now()
      mapping.provenUntil = mapping.lastVerified + confirmedAgeMax
    }
    this.observedChanged()
    this.changed()
  }

  removeObservedAddr(address: Multiaddr): void {
    const bare = this.bare(address)
    const mapping = this.mappings.get(bare.toString())
    if (mapping !== undefined) mapping.provenUntil = 0
    this.observed.remove(bare)
    this.observedChanged()
    this.changed()
  }

  addPublicAddressMapping(
    internalIp: string,
    internalPort: number,
    externalIp: string,
    externalPort: number = internalPort,
    protocol: "tcp" | "udp" = "tcp"
  ): void {
    const internal = { host: internalIp, port: internalPort, protocol }
    const { key, mapping } = mappingOf(internal, externalIp, externalPort)
    if (!this.mappings.has(key) && this.mappings.size >= ownAddressesMax)
      throw refused(`at most ${ownAddressesMax} mappings`)
    this.mappings.set(key, mapping)
    this.observed.remove(mapping.external)
    this.changed()
  }

  removePublicAddressMapping(
    internalIp: string,
    internalPort: number,
    externalIp: string,
    externalPort: number = internalPort,
    protocol: "tcp" | "udp" = "tcp"
  ): void {
    const internal = { host: internalIp, port: internalPort, protocol }
    this.mappings.delete(mappingOf(internal, externalIp, externalPort).key)
    this.changed()
  }

  addRelayAddr(address: Multiaddr): void {
    const bare = this.bare(address)
    if (!this.relays.has(bare.toString()) && this.relays.size >= ownAddressesMax)
      throw refused(`at most ${ownAddressesMax} addresses at relays`)
    this.relays.set(bare.toString(), bare)
    this.changed()
  }

  removeRelayAddr(address: Multiaddr): void {
    this.relays.delete(this.bare(address).toString())
    this.changed()
  }

  getSignedPeerRecord(): Uint8Array | undefined {
    const addresses = this.getAddresses()
    if (addresses.length === 0) return undefined
    const of = addresses.join(" ")
    if (this.record?.of !== of) {
      const now = BigInt(Math.floor(this.parts.world.now()))
      this.seq = now > this.seq ? now : this.seq + 1n
      this.record = { of, envelope: sealPeerRecord(this.parts, this.seq, addresses) }
    }
    return this.record.envelope
  }

  /** A record of an earlier run that the peer store has is never undercut, though the clock went back. */
  async start(): Promise<void> {
    if (this.running) return
    this.running = true
    const { events, peerStore, peerId } = this.parts
    const self = (await peerStore.has(peerId)) ? await peerStore.get(peerId) : undefined
    const before = seqOf(self?.peerRecordEnvelope)
    if (before !== undefined && before > this.seq) this.seq = before
    events.addEventListener("transport:listening", this.changed)
    events.addEventListener("transport:close", this.changed)
    this.watch()
    this.changed()
  }

  stop(): void {
    const { events } = this.parts
    events.removeEventListener("transport:listening", this.changed)
    events.removeEventListener("transport:close", this.changed)
    this.cancelUpdate?.()
    this.cancelWatch?.()
    this.cancelUpdate = undefined
    this.running = false
  }

  /** Networks come and go without a word. */
  private watch(): void {
    this.cancelWatch = this.parts.world.after(interfacesAgeMax, () => {
      this.changed()
      this.watch()
    })
  }

  private readonly changed = (): void => {
    if (!this.running || this.cancelUpdate !== undefined) return
    this.cancelUpdate = this.parts.world.after(addressUpdateDelayMs, () => {
      this.cancelUpdate = undefined
      this.update().catch((error: unknown) => {
        this.parts.events.safeDispatchEvent("host:error", { detail: { where: "our own addresses", error } })
      })
    })
  }

  /** What we tell goes into the peer store, whose event then tells the peers. */
  private async update(): Promise<void> {
    const addresses = this.getAddresses()
    const text = addresses.join(" ")
    if (text === this.told) return
    this.told = text
    const envelope = this.getSignedPeerRecord()
    await this.parts.peerStore.patch(this.parts.peerId, {
      addresses: addresses.map((address) => ({ multiaddr: address, isCertified: true })),
      ...(envelope === undefined ? {} : { peerRecordEnvelope: envelope })
    })
  }

  private observedChanged(): void {
    const addresses = this.getObservedAddrs()
    const text = addresses.map(String).sort().join(" ")
    if (text === this.observedTold) return
    this.observedTold = text
    this.parts.events.safeDispatchEvent("self:observed:update", { detail: addresses })
  }

  /** Without our own peer id at its end. */
  private bare(address: Multiaddr): Multiaddr {
    const last = address.getComponents().at(-1)
    return last?.name === "p2p" && last.value === this.parts.peerId.toString() ? withoutPeer(address) : address
  }

  private ownIps(): ReadonlyArray<string> {
    const now = this.parts.world.now()
    if (this.interfaces === undefined || now - this.interfaces.at >= interfacesAgeMax)
      this.interfaces = { at: now, ips: this.parts.world.interfaces() }
    return this.interfaces.ips
  }

  /** What the sockets are bound to; in place of "all addresses" those of the machine. */
  private transportAddrs(): ReadonlyArray<Multiaddr> {
    return this.parts.transportManager.getAddrs().flatMap((address) => {
      if (!isUnspecified(address)) return [address]
      const [place] = address.getComponents()
      const ips = this.ownIps().flatMap((text) => parseIp(text.split("%")[0]!) ?? [])
      return ips
        .filter((ip) => ip.length === (place!.name === "ip4" ? 4 : 16) && !(ip[0] === 0xfe && (ip[1]! & 0xc0) === 0x80))
        .map((ip) => multiaddr(address.toString().replace(`/${place!.value}/`, `/${formatIp(ip)}/`)))
    })
  }

  private observedAddrs(): ReadonlyArray<NodeAddress> {
    const agreedDoes = this.init.advertiseObserved === true
    return this.observed.all().map(({ multiaddr: address, provenUntil, agreed, lastVerified }) => ({
      multiaddr: address,
      type: "observed",
      verified: provenUntil > 0 || (agreed && agreedDoes),
      lastVerified,
      expires: provenUntil
    }))
  }

  /** Mappings whose listener is there. */
  private mappedAddrs(transport: ReadonlyArray<Multiaddr>): ReadonlyArray<NodeAddress> {
    const now = this.parts.world.now()
    const ends = new Set(
      transport.flatMap((address) => {
        const end = toTcpEndpoint(address)
        return end instanceof Libp2pFault ? [] : [`tcp ${end.host} ${end.port}`]
      })
    )
    return [...this.mappings.values()]
      .filter(({ internal }) => ends.has(`${internal.protocol} ${internal.host} ${internal.port}`))
      .map(({ external, lastVerified, provenUntil }) => ({
        multiaddr: external,
        type: "ip-mapping",
        verified: provenUntil > now,
        lastVerified,
        expires: provenUntil
      }))
  }
}

/** Throws InvalidMultiaddrError for a text of the init that is no address. */
export const makeAddressManager = (parts: AddressManagerParts, init: AddressesInit = {}): HostAddressManager =>
  new Addresses(parts, init)
