/**
 * The one table of settings: from it come the flags of `cairn start`, the names in the environment and in the file, the
 * reading of all three, .env.example, the tables of docs/configuration.md and the node's configuration.
 */
import { chainSettings } from "./chain-table.ts"
import { backupSettings, httpSettings, nodeSettings, sealingSettings } from "./node-table.ts"
import { admissionSettings, gossipSettings, peerSettings } from "./peer-table.ts"
import type { Setting } from "./setting.ts"

export const table = {
  ...nodeSettings,
  ...httpSettings,
  ...peerSettings,
  ...admissionSettings,
  ...gossipSettings,
  ...backupSettings,
  ...sealingSettings,
  ...chainSettings
}

export type Key = keyof typeof table

/** What holds, by key. */
export type Values = {
  readonly [K in Key]: (typeof table)[K] extends Setting<infer _, infer V> ? V : never
}

export type ChainKey = keyof typeof chainSettings

/** All rows, in the order of the documents. */
export const rows = Object.entries(table) as unknown as ReadonlyArray<readonly [Key, Setting<unknown>]>

export const chainKeys = Object.keys(chainSettings) as ReadonlyArray<ChainKey>

/** The twin of a secret's name, in the environment and in the file: what follows is the file in which it stands. */
export const fileVariable = (variable: string): string => `${variable}_FILE`
export const fileKey = (key: string): string => `${key}_file`

/** Names the file of settings itself. */
export const configVariable = "CAIRN_CONFIG"

/** Sections of the file and of the documents, with their titles. */
export const sections: Readonly<Record<string, string>> = {
  node: "The node",
  http: "Page and API",
  p2p: "Peers",
  peers: "The book of peers",
  gossip: "Announcements by UDP",
  backup: "Backups",
  mining: "Mining",
  validator: "Sealing where authorities do",
  chain: "The chain"
}

/** Section of a row. */
export const sectionOf = ({ file }: Setting<unknown>): string => file.slice(0, file.indexOf("."))
