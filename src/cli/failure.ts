/** How a command ends badly: a stable code, what was wrong, what to do, and the exit code. Documented in docs/errors.md. */
import { Data } from "effect"

/** Exit codes of the program. 0 is success. */
export const exits = {
  /** Our own bug or an unexpected failure of the machine. */
  failed: 1,
  /** The command line was not understood. */
  usage: 2,
  /** The node or the rules refused the input; nothing changed. */
  refused: 3,
  /** No node answered. */
  unreachable: 4,
  /** The data folder is missing, taken, not to be used, of another chain or of a newer version. */
  dataFolder: 5,
  /** The stored chain is damaged, or breaks its own rules. */
  corrupt: 6,
  /** A key file, passphrase or mnemonic is wrong. */
  key: 7
} as const

export class Failure extends Data.TaggedError("Failure")<{
  readonly exit: keyof typeof exits
  readonly code: string
  readonly message: string
  readonly hint: string | undefined
  /** All that was wrong, where it was several things. */
  readonly errors?: ReadonlyArray<FailureDetail>
}> {}

/** One of several things that were wrong. */
export interface FailureDetail {
  readonly code: string
  readonly name: string
  readonly message: string
  readonly said?: string
  readonly hint?: string
}

/** Makes a failure. */
export const failure = (exit: keyof typeof exits, code: string, message: string, hint?: string): Failure =>
  new Failure({ exit, code, message, hint })

/** One failure of several errors. Of one alone it is that one. */
export const failureOfAll = (
  exit: keyof typeof exits,
  code: string,
  message: string,
  errors: ReadonlyArray<FailureDetail>
): Failure => {
  const [first] = errors
  const inWords = ({ message: text, said }: FailureDetail): string => (said === undefined ? text : `${text} ${said}`)
  const lines = errors.map((error) => `${inWords(error)}${error.hint === undefined ? "" : ` ${error.hint}`}`)
  return errors.length === 1 && first !== undefined
    ? new Failure({ exit, code: first.code, message: inWords(first), hint: first.hint, errors })
    : new Failure({ exit, code, message: `${message}\n  ${lines.join("\n  ")}`, hint: undefined, errors })
}
