/** Names within a data folder that more than one part must know. cli/data-folder.ts says what each is for. */

export const layout = {
  database: "chain.db",
  spec: "spec.json",
  /** Files and folders that hold keys: what a backup takes along only under a passphrase. */
  keys: ["identity", "keystore", "spenders"],
  /** Where backups go if nothing else is said. */
  backups: "backups"
} as const

/** What SQLite keeps beside a database while it is open, or was when power went. */
export const besideDatabase = ["-wal", "-shm"] as const
