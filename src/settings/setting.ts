/** One row of the table of settings: where it may be said, what it may be, what holds if nobody says anything. */
import type { Kind } from "./kind.ts"

/** How a flag of `cairn start` says it. */
export type FlagForm =
  /** `--http-port 8080`; of a truth value `--dev`. */
  | "value"
  /** `--no-p2p`: the opposite. */
  | "not"
  /** `--admin-token-file FILE`: what stands in a file. */
  | "file"
  /** `--discovery URL`, several times. */
  | "repeat"

/** `A`: what may be said; `V`: what there is, undefined included where nothing holds of itself. */
export interface Setting<A, V extends A | undefined = A | undefined> {
  readonly kind: Kind<A>
  /** Name in the environment; a secret's has a twin that ends in _FILE. */
  readonly variable: string
  /** Section and key of the file. */
  readonly file: string
  readonly flag?: string
  readonly flagForm?: FlagForm
  /** Never shown, and never a flag: others of the machine see command lines. */
  readonly secret?: true
  /** Chosen by the chain's spec: it can only be said for a chain that is not there yet. */
  readonly chain?: true
  readonly otherwise: V
  /** In words, what holds where `otherwise` is undefined. */
  readonly unsaid?: string
  readonly help: string
  /** Of the flag, where that says the opposite or names a file. */
  readonly flagHelp?: string
  /** Of a value that is none; undefined: `setting-malformed`. */
  readonly code?: string
  /** Default of the reference system, where it is another one. */
  readonly theirs?: string
}

type Row<A> = Omit<Setting<A>, "kind" | "variable" | "otherwise" | "unsaid">

/** A setting that always has a value. */
export const setting = <A>(kind: Kind<A>, variable: string, otherwise: A, row: Row<A>): Setting<A, A> => ({
  kind,
  variable,
  otherwise,
  ...row
})

/** A setting that may be left open; `unsaid` tells what holds then. */
export const wish = <A>(kind: Kind<A>, variable: string, unsaid: string, row: Row<A>): Setting<A, A | undefined> => ({
  kind,
  variable,
  otherwise: undefined,
  unsaid,
  ...row
})
