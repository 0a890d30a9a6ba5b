/** The backups that a running node makes of itself: where they are kept, and the thread that makes each. */
import { join, resolve } from "node:path"
import { Effect } from "effect"
import { type BackupWorld, type MadeBackup, scheduledLabel } from "../../actors/backup.ts"
import type { BackupReport } from "../../actors/backup-worker.ts"
import type { Rules } from "../chain/rules.ts"
import { defaults, type NodeConfig } from "../config.ts"
import type { Keypair } from "../crypto/keys.ts"
import { startBunThread } from "../io/worker.ts"
import { BackupRefused, type BackupView } from "../node/node.ts"
import { type Backup, type BackupWish, listBackups } from "../store/backup.ts"
import { layout } from "../store/layout.ts"
import { nodeIdOf } from "../transport/hello.ts"
import { version } from "./version.ts"

const viewOf = ({ path, manifest }: Backup): BackupView => ({
  path,
  label: manifest.label,
  at: Date.parse(manifest.created_at),
  height: manifest.chain.height,
  bytes: manifest.files.database.bytes
})

const made = ({ path, manifest }: Backup): MadeBackup => ({
  path,
  manifest: { ...manifest },
  view: viewOf({ path, manifest })
})

/** One backup, by a thread of its own. */
const inThread = (wish: BackupWish): Effect.Effect<MadeBackup, BackupRefused> =>
  Effect.callback<MadeBackup, BackupRefused>((resume) => {
    const refuse = (code: string, message: string): void => resume(Effect.fail(new BackupRefused({ code, message })))
    const thread = startBunThread<BackupWish, BackupReport>("actors/backup-worker.ts", {
      message: (report) => {
        thread.terminate()
        if ("made" in report) resume(Effect.succeed(made(report.made)))
        else refuse(report.code, report.message)
      },
      failed: (reason) => refuse("backup-failed", `The thread that makes it failed: ${reason}.`)
    })
    thread.post(wish)
    return Effect.sync(() => thread.terminate())
  })

/** What the backup actor of a node needs. */
export const backupWorld = (node: {
  readonly config: NodeConfig
  readonly rules: Rules
  readonly key: Keypair
  readonly httpUrl: string
  readonly random: (length: number) => Uint8Array
}): BackupWorld => {
  const { config, rules, random } = node
  const { folder, everyMs, keep, passphrase } = config.backup ?? { ...defaults.backup, passphrase: undefined }
  const place = resolve(folder ?? join(config.dataDir, layout.backups))
  const nodeId = nodeIdOf(node.key.publicKey)
  const own = () => {
    const all = listBackups(place).filter(({ manifest }) => manifest.node.node_id === nodeId)
    const lastOf = (list: ReadonlyArray<Backup>): BackupView | undefined => {
      const last = list.at(-1)
      return last === undefined ? undefined : viewOf(last)
    }
    return { newest: lastOf(all), scheduled: lastOf(all.filter(({ manifest }) => manifest.label === scheduledLabel)) }
  }
  return {
    everyMs,
    last: own,
    make: (label, now) =>
      inThread({
        dataDir: config.dataDir,
        folder: place,
        label,
        keep,
        passphrase,
        salt: random(32),
        iv: random(12),
        chainId: rules.spec.ledger.chainId,
        node: { node_id: nodeId, node_url: config.http.nodeUrl ?? node.httpUrl },
        version,
        now
      })
  }
}
