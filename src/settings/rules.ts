/** Rules that join several settings, and remarks on what is understood in another way than where it comes from. */
import { parsePlace } from "../config.ts"
import { isName } from "../crypto/address.ts"
import { frameBytesMax } from "../limits.ts"
import { gossipSettings } from "./peer-table.ts"
import type { Resolved, SettingError } from "./resolve.ts"
import { type Key, table, type Values } from "./table.ts"

/** The name by which a setting was said; of one that nobody said, its variable. */
const named = ({ origins }: Pick<Resolved, "origins">, key: Key): string =>
  origins[key].name === "" ? table[key].variable : origins[key].name

type Found = Pick<Resolved, "values" | "origins">
type Judge = (found: Found) => SettingError | undefined

const refuse = (found: Found, key: Key, code: string, message: string, hint: string): SettingError => ({
  code,
  key,
  name: named(found, key),
  message: `${named(found, key)} ${message}.`,
  hint
})

/** The folder of a path; "." if it names none. */
const folderOf = (file: string): string => {
  const at = file.lastIndexOf("/")
  return at < 0 ? "." : at === 0 ? "/" : file.slice(0, at)
}

/** Where the node lives, as the stronger of two settings says it; undefined: nobody said. */
export const folderSaid = ({ values, origins }: Found): string | undefined => {
  const { dataDir, dataFile } = values
  if (dataDir === undefined) return dataFile === undefined ? undefined : folderOf(dataFile)
  if (dataFile === undefined) return dataDir
  const strength = ["flag", "environment", "file"]
  const [dir, file] = [strength.indexOf(origins.dataDir.source), strength.indexOf(origins.dataFile.source)]
  return file < dir ? folderOf(dataFile) : dataDir
}

const sameFolder = (a: string, b: string): boolean => a.replace(/(?<=.)\/+$/, "") === b.replace(/(?<=.)\/+$/, "")

const judges: ReadonlyArray<Judge> = [
  (found) => {
    const { values, origins } = found
    const { dataDir, dataFile } = values
    if (dataDir === undefined || dataFile === undefined || origins.dataDir.source !== origins.dataFile.source)
      return undefined
    return sameFolder(dataDir, folderOf(dataFile))
      ? undefined
      : refuse(
          found,
          "dataFile",
          "setting-contradiction",
          `names another folder than ${named(found, "dataDir")}`,
          "Leave one out."
        )
  },
  (found) =>
    found.values.mode === "production" && found.values.dev
      ? refuse(
          found,
          "dev",
          "setting-contradiction",
          "and production exclude each other: its keys are public",
          "Leave one out."
        )
      : undefined,
  (found) => {
    const { peerTls, p2pEnabled, mode } = found.values
    // In production this is one of the twelve.
    return peerTls || !p2pEnabled || mode === "production"
      ? undefined
      : refuse(
          found,
          "peerTls",
          "p2p-plaintext",
          "is false, and cairn always encrypts what it says to peers",
          "Leave it out."
        )
  },
  (found) => {
    const { tlsCert, tlsKey } = found.values
    return (tlsCert === undefined) === (tlsKey === undefined)
      ? undefined
      : refuse(
          found,
          tlsCert === undefined ? "tlsKey" : "tlsCert",
          "setting-contradiction",
          "stands alone: a certificate and its key go together",
          `Name both, ${table.tlsCert.variable} and ${table.tlsKey.variable}, or none.`
        )
  },
  (found) => {
    const { bootstrap, requireHttps, mode } = found.values
    const open =
      mode === "production" || !requireHttps ? undefined : bootstrap.find((url) => !url.startsWith("https://"))
    return open === undefined
      ? undefined
      : refuse(
          found,
          "bootstrap",
          "https-required",
          `has ${open}, and peers are to be asked by https only`,
          "Name its https URL."
        )
  },
  (found) => transports(found),
  (found) => advertised(found, "p2pAdvertise", found.values.p2pPort),
  (found) => advertised(found, "gossipAdvertise", found.values.gossipPort),
  (found) => {
    const { prefixMin = 2, prefixMax = 6 } = found.values
    return prefixMax >= prefixMin
      ? undefined
      : refuse(
          found,
          found.values.prefixMax === undefined ? "prefixMin" : "prefixMax",
          "setting-contradiction",
          `: at least ${prefixMin} and at most ${prefixMax} zeros exclude each other`,
          "Mend one of the two."
        )
  },
  (found) => {
    const { difficulty = 4, prefixMin = 2, prefixMax = 6 } = found.values
    const said = (["difficulty", "prefixMin", "prefixMax"] as const).find((key) => found.values[key] !== undefined)
    return said === undefined || prefixMax < prefixMin || (difficulty >= prefixMin && difficulty <= prefixMax)
      ? undefined
      : refuse(
          found,
          said,
          "setting-contradiction",
          `: ${difficulty} zeros are not between ${prefixMin} and ${prefixMax}`,
          "Mend one of the three."
        )
  },
  (found) =>
    (found.values.adminSocket ?? "").length > 100
      ? refuse(
          found,
          "adminSocket",
          "setting-malformed",
          "has more than 100 characters, too many for a socket",
          "Choose a shorter path."
        )
      : undefined
]

/** A host alone needs the port on which the node hears. */
const advertised = (found: Found, key: "p2pAdvertise" | "gossipAdvertise", port: number | undefined) => {
  const said = found.values[key]
  return said === undefined || port !== 0 || /:\d{1,5}$/.test(said)
    ? undefined
    : refuse(found, key, "endpoint-invalid", "names no port, and the node hears on any free one", "Say host:port.")
}

/** A node that speaks to peers has a transport, hears by one that it speaks, and keeps sessions by such. */
const transports = (found: Found): SettingError | undefined => {
  const { native, libp2p, libp2pListen, libp2pAnnounce, p2pSeeds, p2pEnabled } = found.values
  if (!p2pEnabled) return undefined
  const contradicts = (key: Key, message: string, hint: string) =>
    refuse(found, key, "setting-contradiction", message, hint)
  if (!native && libp2p === false)
    return contradicts("libp2p", "is false, and so is cairn's own TLS", "Leave one on, or speak to no peers.")
  const speaks = libp2p ?? (libp2pListen.length > 0 || !native)
  if (!speaks && libp2pListen.length > 0)
    return contradicts("libp2pListen", "hears by libp2p, which is off", "Leave one out.")
  if (!speaks && libp2pAnnounce.length > 0)
    return contradicts("libp2pAnnounce", "tells addresses of libp2p, which is off", "Turn libp2p on.")
  const silent = p2pSeeds.find((seed) => (parsePlace(seed)?.peer === undefined ? !native : !speaks))
  if (silent === undefined) return undefined
  const [other, way] = silent.startsWith("/")
    ? ["libp2p", "Turn libp2p on."]
    : ["cairn's own TLS", "Name its multiaddr."]
  return contradicts("p2pSeeds", `has ${silent}, and this node does not speak ${other}`, way)
}

/** What contradicts itself. */
export const contradictions = (found: Found): ReadonlyArray<SettingError> =>
  judges.flatMap((judge) => judge(found) ?? [])

/** A setting that is understood, and does not do all that it did. */
export interface Remark {
  readonly name: string
  readonly message: string
}

/** As `cairn start` prints it. */
const isNodeId = (id: string): boolean => isName("node", id.toLowerCase())

/** Remarks on what is said; none on what is not. */
export const remarks = (found: Found): ReadonlyArray<Remark> => {
  const { values } = found
  const lines: Array<Remark> = []
  const say = (when: boolean, key: Key, message: string): void =>
    void (when && lines.push({ name: named(found, key), message }))
  const file = values.dataFile
  say(
    file !== undefined && !file.endsWith("/chain.db"),
    "dataFile",
    `the database is chain.db in the folder of ${file}; a database of the reference system is not read.`
  )
  say(
    values.maxMessageBytes < frameBytesMax,
    "maxMessageBytes",
    `every node of the protocol takes messages of up to ${frameBytesMax} bytes; a smaller bound would cut off honest peers and is not used.`
  )
  const strange = values.allowedIds.find((id) => !isNodeId(id))
  say(
    strange !== undefined,
    "allowedIds",
    `"${strange}" is no node id of cairn (node1…, as a ready node prints it) and lets nobody in.`
  )
  say(
    !values.peerTls && !values.p2pEnabled,
    "peerTls",
    "cairn always encrypts what it says to peers; here it says nothing to any."
  )
  say(
    values.gossipSeeds.length > 0 && values.gossip === "encrypted",
    "gossipSeeds",
    "seeds would get the plain form, which is off: they are spoken to once they are met as peers."
  )
  return lines
}

/** Does the node announce, and in which forms? */
export const announcesOf = ({ values, origins }: Found): { readonly on: boolean; readonly plaintext: boolean } => {
  const production = values.mode === "production"
  const asked = (Object.keys(gossipSettings) as ReadonlyArray<keyof typeof gossipSettings>).some(
    (key) => origins[key].source !== "default"
  )
  const form = values.gossip ?? (production ? "encrypted" : asked ? "on" : "off")
  return { on: form !== "off", plaintext: form === "on" && (values.gossipPlaintext ?? !production) }
}

/** What stands where a setting that goes by the mode is left open. */
export const dialsDiscovered = ({ dialDiscovered, mode }: Values): boolean => dialDiscovered ?? mode !== "production"
