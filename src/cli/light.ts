/** `cairn light`: follows a chain by its headers, and proves transactions, balances and coins against them. */
import { Effect } from "effect"
import { addressBytes } from "../crypto/address.ts"
import { outpointBytes } from "../ledger/coin.ts"
import { attempt } from "./attempt.ts"
import { type Failure, failure } from "./failure.ts"
import { coinsOf } from "./light-coins.ts"
import {
  goOn,
  headerFacts,
  headerLines,
  isSynced,
  type Light,
  type LightOptions,
  nobodyLeft,
  tellHeaders,
  tipAge,
  unproven,
  withLight
} from "./light-session.ts"
import { clearLine, print, rows } from "./output.ts"
import { describeProof, subjectIn } from "./proof.ts"

/** `cairn light sync`: checks headers up to the heaviest tip that a peer shows. */
export const lightSync = (options: LightOptions) =>
  withLight(options, { redial: false }, (light) =>
    Effect.map(
      goOn(light, () => isSynced(light)),
      () =>
        print(headerFacts(light), [
          `The headers of "${light.rules.spec.ledger.chainId}" hold up to height ${light.client.chain.tip.height}.`,
          ...headerLines(light)
        ])
    )
  )

/** `cairn light follow`, and `cairn light` alone: one line for each new tip, until it is told to stop. */
export const lightFollow = (options: LightOptions) =>
  withLight(options, { redial: true }, (light) => {
    let shown = ""
    let stopped = false
    tellHeaders(light)
    const stop = (): void => void (stopped = true)
    process.once("SIGINT", stop)
    process.once("SIGTERM", stop)
    const tell = (): boolean => {
      const { tip } = light.client.chain
      if (tip.id !== shown && isSynced(light)) {
        shown = tip.id
        clearLine()
        print(headerFacts(light), [
          `height ${tip.height}  ${tip.id}  ${tipAge(light)} old, ${light.facts.undone} undone so far`
        ])
      }
      const isLied = light.driver.peers.every(({ state }) => state === "dropped")
      return stopped || isLied
    }
    return Effect.flatMap(light.driver.run(tell), () => (stopped ? Effect.void : Effect.fail(nobodyLeft(light))))
  })

type Kind = "transaction" | "account" | "coin"

const wanted: { readonly [K in Kind]: { readonly length: number; readonly what: string } } = {
  transaction: { length: 32, what: "tx takes a transaction id." },
  account: { length: addressBytes, what: "balance takes an address." },
  coin: { length: outpointBytes, what: "coin takes the name of a coin: ID:INDEX." }
}

const subjectOf = ({ rules: { spec } }: Light, text: string, kind: Kind): Uint8Array => {
  const bytes = subjectIn(text, spec.addressPrefix)
  if (bytes.length !== wanted[kind].length) throw failure("usage", "subject-invalid", wanted[kind].what)
  if (kind === "coin" && spec.ledger.model !== "utxo") throw withoutCoins(spec.name)
  return bytes
}

const withoutCoins = (name: string): Failure =>
  failure("refused", "ledger-without-coins", `The chain "${name}" has accounts and no coins.`)

/** Asks for one proof, and tells what it shows. */
const prove = (light: Light, text: string, kind: Kind): Effect.Effect<void, Failure> => {
  const { client, driver, rules, clock } = light
  const begin = (subject: Uint8Array) => (): boolean => {
    if (client.prove === undefined && isSynced(light))
      driver.perform(client.askProof(subject, clock.currentTimeMillisUnsafe()))
    return client.prove?.outcome !== undefined
  }
  return Effect.gen(function* () {
    const subject = yield* attempt(() => subjectOf(light, text, kind))
    yield* goOn(light, begin(subject))
    const outcome = client.prove!.outcome!
    if (outcome._tag === "Unproven") return yield* unproven(light, outcome, text)
    const { value, lines } = describeProof(outcome.proven, {
      prefix: rules.spec.addressPrefix,
      trust: "it is on the best branch of the checked headers"
    })
    const confirmations = client.chain.tip.height - outcome.proven.header.height + 1
    print({ ...value, confirmations, light: headerFacts(light) }, [
      ...lines,
      ...rows([["confirmed", `by ${confirmations} block${confirmations === 1 ? "" : "s"}, itself counted`]]),
      ...headerLines(light)
    ])
  })
}

/** `cairn light tx` and `cairn light coin`: one proof against the headers. */
export const lightProof = (
  options: LightOptions & { readonly subject: string; readonly kind: "transaction" | "coin" }
) => withLight(options, { redial: false }, (light) => prove(light, options.subject, options.kind))

/** `cairn light balance`: of an account one proof, of coins one for each. */
export const lightBalance = (
  options: LightOptions & { readonly address: string; readonly from: number; readonly listed: boolean }
) =>
  withLight(options, { redial: false }, (light) => {
    const { spec } = light.rules
    if (spec.ledger.model === "utxo") return coinsOf(light, options)
    return options.from > 0 || options.listed ? withoutCoins(spec.name) : prove(light, options.address, "account")
  })
