/** Plain code as a command's effect: a thrown Failure is its failure, anything else is our bug. */
import { Effect } from "effect"
import { ApiError } from "../http/client.ts"
import { FileFault } from "../io/files.ts"
import { BackupFault } from "../store/backup-form.ts"
import { BlocksFault } from "../store/blocks-file.ts"
import { StoreFault } from "../store/db.ts"
import { PassphraseWrong } from "../store/restore.ts"
import { SignedFault } from "../store/signed-book.ts"
import { SnapshotFault } from "../store/snapshot-file.ts"
import { Failure, failure } from "./failure.ts"

/** A damaged chain is another exit than a folder that cannot be used. */
export const failureOfStore = ({ code, message, hint }: StoreFault): Failure =>
  failure(code === "store-corrupt" || code === "past-invalid" ? "corrupt" : "dataFolder", code, message, hint)

const wrongPassphrase = "Nothing was changed. Restore without --passphrase-file to leave the keys where they are."

/** What each kind of error means for the command's end; others are bugs and stay so. */
const failureOf = (error: unknown): Failure => {
  if (error instanceof Failure) return error
  if (error instanceof StoreFault) return failureOfStore(error)
  if (error instanceof SignedFault) return failure("key", error.code, error.message, error.hint)
  if (error instanceof SnapshotFault) return failure("refused", error.code, error.message, error.hint)
  if (error instanceof BackupFault)
    return failure(error.code === "backup-failed" ? "failed" : "refused", error.code, error.message, error.hint)
  if (error instanceof BlocksFault) return failure("refused", error.code, error.message, error.hint)
  if (error instanceof PassphraseWrong)
    return failure("key", "passphrase-wrong", "The passphrase does not open the keys of the backup.", wrongPassphrase)
  if (error instanceof FileFault) return failure("failed", error.code, error.message)
  if (error instanceof ApiError) {
    return error.status === 0
      ? failure("unreachable", "unreachable", error.message, "Is the node running? Name it with --node URL.")
      : failure("refused", error.code, error.message)
  }
  throw error
}

/** Runs plain code, synchronous or not. */
export const attempt = <A>(f: () => A | Promise<A>): Effect.Effect<A, Failure> =>
  Effect.tryPromise({ try: async () => f(), catch: failureOf })
