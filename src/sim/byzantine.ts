/** Peers that lie. Each act is a whole visit to one victim: it dials, says what it has to say, and leaves. */
import { Effect } from "effect"
import type { Rules } from "../chain/rules.ts"
import type { Keypair } from "../crypto/keys.ts"
import type { Tcp } from "../io/tcp.ts"
import type { ChainStore } from "../store/store.ts"
import type { Dice } from "./dice.ts"
import type { Host } from "./world.ts"

/** Who lies, and to whom. */
export interface Liar {
  /** The liar's own machine, with its address and its door. */
  readonly host: Host
  readonly address: string
  readonly tcp: Tcp
  readonly key: Keypair
  readonly rules: Rules
  readonly dice: Dice
  /** The store is read only: an attacker who follows the chain. */
  readonly victim: { readonly host: string; readonly port: number; readonly store: ChainStore }
}

export type Act = (liar: Liar) => Effect.Effect<void, unknown>

/** Bytes that mean nothing, where a hello should be. */
const garbage: Act = ({ tcp, dice, victim }) =>
  tcp.dial({ host: victim.host, port: victim.port, timeoutMs: 5_000 }, { key: "", cert: "" }, (wire) => {
    wire.write(dice.bytes(1 + dice.int(2_000)))
    return { data: () => {}, drained: () => {}, closed: () => {} }
  })

/** Every act by its name. */
export const acts: Readonly<Record<string, Act>> = { garbage }

export const actNames: ReadonlyArray<string> = Object.keys(acts)
