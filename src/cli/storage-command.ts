/** Backup, restore, export, import, reindex, rollback, prune: their flags and what `--help` teaches. */
import { Clock, Effect } from "effect"
import { Argument, Command, Flag } from "effect/cli"
import { Random } from "../io/random.ts"
import { backupsKeptMax } from "../limits.ts"
import { attempt } from "./attempt.ts"
import { backup, backupAt, restore } from "./backup.ts"
import { exportBlocks, importBlocks } from "./chain-file.ts"
import { failure } from "./failure.ts"
import { dataDir, optional, presetNames, undefinedIfNone, usualFolder, whole, yes } from "./flags.ts"
import { pruneBlocks, reindex, rollback } from "./repair.ts"

const height = (name: string, description: string) =>
  Flag.Int(name).pipe(Flag.withSchema(whole(Number.MAX_SAFE_INTEGER)), Flag.withDescription(description))
const optionalHeight = (name: string, description: string) => Flag.optional(height(name, description))

/** Runs plain code with the time. */
const timed = <A>(f: (now: () => number) => A | Promise<A>) =>
  Effect.flatMap(Clock.Clock, (clock) => attempt(() => f(() => clock.currentTimeMillisUnsafe())))

const backupCommand = Command.make(
  "backup",
  {
    dataDir: optional(
      "data-dir",
      `Folder to back up, its node may be running; with --node: whose admin.token is used; default: ${usualFolder}`
    ),
    node: optional(
      "node",
      "In place of a folder: URL of the node that shall make a backup of itself, where it keeps them"
    ),
    tokenFile: optional("admin-token-file", "With --node: file with the node's admin token"),
    label: optional("label", "Name of the backup: letters, digits, _ and -; default: snapshot"),
    out: optional("out", "Folder to keep backups in; default: backups in the data folder"),
    keep: Flag.Int("keep").pipe(
      Flag.withSchema(whole(backupsKeptMax)),
      Flag.withDescription("Backups of this label to keep; the oldest goes first; default: all"),
      Flag.optional
    ),
    passphraseFile: optional("passphrase-file", "Take the node's keys along, sealed by the passphrase in this file"),
    noKeys: yes("no-keys", "Leave the keys out; so it is without a passphrase, too")
  },
  ({ dataDir: given, node, tokenFile, label, out, keep, passphraseFile, noKeys }) =>
    Effect.flatMap(Effect.service(Random), (random) =>
      timed((now) => {
        const folder = undefinedIfNone(given)
        const url = undefinedIfNone(node)
        const place = undefinedIfNone(out)
        if (url !== undefined) {
          if (place !== undefined || undefinedIfNone(passphraseFile) !== undefined)
            throw failure(
              "usage",
              "out-unneeded",
              "With --node the node keeps its backups where its own configuration says."
            )
          return backupAt({
            node: url,
            label: undefinedIfNone(label),
            tokenFile: undefinedIfNone(tokenFile),
            dataDir: folder,
            now
          })
        }
        return backup({
          dataDir: folder ?? usualFolder,
          label: undefinedIfNone(label),
          out: place,
          keep: positive(undefinedIfNone(keep)),
          passphraseFile: undefinedIfNone(passphraseFile),
          noKeys,
          now,
          random
        })
      })
    )
).pipe(
  Command.withDescription(
    "Copies the chain of a folder as it stands, while its node runs or not, with a manifest of hashes"
  ),
  Command.withExamples([
    {
      command: "cairn backup --data-dir mine --passphrase-file passphrase.txt",
      description: "Chain and keys of ./mine, into mine/backups"
    },
    {
      command: "cairn backup --node http://127.0.0.1:8080 --label nightly --data-dir mine",
      description: "Lets the node do it"
    }
  ])
)

const positive = (keep: number | undefined): number | undefined => {
  if (keep === 0) throw failure("usage", "keep-invalid", "--keep must be at least 1: the new backup is one of them.")
  return keep
}

const restoreCommand = Command.make(
  "restore",
  {
    from: Argument.String("backup").pipe(Argument.withDescription("Folder of a backup, or its manifest.json")),
    dataDir,
    replace: yes("replace", "Let what the folder has make room; it is kept in a folder replaced-… within it"),
    passphraseFile: optional(
      "passphrase-file",
      "Put the keys of the backup in place, too: the passphrase that sealed them"
    )
  },
  ({ from, dataDir: folder, replace, passphraseFile }) =>
    timed((now) => restore({ from, dataDir: folder, replace, passphraseFile: undefinedIfNone(passphraseFile), now }))
).pipe(
  Command.withDescription("Makes a data folder of a backup; all of it is checked before anything changes"),
  Command.withExamples([
    {
      command: "cairn restore mine/backups/snapshot-20261121T170000Z --data-dir new",
      description: "A folder from a backup"
    }
  ])
)

const file = Argument.String("file")

const exportCommand = Command.make(
  "export",
  {
    file: file.pipe(Argument.withDescription("File to write; one that is there already is continued")),
    dataDir,
    from: optionalHeight("from", "First block of a new file; default: 1"),
    to: optionalHeight("to", "Last block; default: the tip")
  },
  ({ file: path, dataDir: folder, from, to }) =>
    timed((now) =>
      exportBlocks({ file: path, dataDir: folder, from: undefinedIfNone(from), to: undefinedIfNone(to), now })
    )
).pipe(Command.withDescription("Writes the blocks of the best branch into a file; the folder's node may be running"))

const importCommand = Command.make(
  "import",
  {
    file: file.pipe(Argument.withDescription("File that cairn export wrote")),
    dataDir,
    spec: optional("spec", `Chain spec of a folder without one: a file, or ${presetNames}; default: the preset it fits`)
  },
  ({ file: path, dataDir: folder, spec }) =>
    timed((now) => importBlocks({ file: path, dataDir: folder, spec: undefinedIfNone(spec), now }))
).pipe(
  Command.withDescription("Takes the blocks of a file, each checked as one from a peer; known ones are passed over")
)

const reindexCommand = Command.make("reindex", { dataDir }, ({ dataDir: folder }) =>
  timed((now) => reindex({ dataDir: folder, now }))
).pipe(Command.withDescription("Rebuilds state, indexes and filters from the stored blocks; the node must be stopped"))

const rollbackCommand = Command.make(
  "rollback",
  { dataDir, to: height("to", "Height of the new tip") },
  ({ dataDir: folder, to }) => timed((now) => rollback({ dataDir: folder, to, now }))
).pipe(
  Command.withDescription("Takes the tip back; what was confirmed above is pending again; the node must be stopped")
)

const pruneCommand = Command.make(
  "prune",
  { dataDir, keep: height("keep", "Blocks below the tip whose bodies are kept") },
  ({ dataDir: folder, keep }) => timed((now) => pruneBlocks({ dataDir: folder, keep, now }))
).pipe(Command.withDescription("Drops the bodies of old blocks; headers and state stay; the node must be stopped"))

export const storageCommands = [
  backupCommand,
  restoreCommand,
  exportCommand,
  importCommand,
  reindexCommand,
  rollbackCommand,
  pruneCommand
] as const
