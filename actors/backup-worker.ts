/** The thread that makes one backup: the copy, the hashes and the passphrase cost time that no actor has. */
import { type Backup, type BackupWish, makeBackup } from "../src/store/backup.ts"

/** What came of it. */
export type BackupReport = { readonly made: Backup } | { readonly code: string; readonly message: string }

declare const self: {
  onmessage: (event: { readonly data: BackupWish }) => void
  postMessage: (report: BackupReport) => void
}

self.onmessage = ({ data }) => {
  makeBackup(data).then(
    (made) => self.postMessage({ made }),
    (error: { readonly code?: string; readonly message?: string }) =>
      self.postMessage({ code: error.code ?? "backup-failed", message: error.message ?? String(error) })
  )
}
