/** `cairn start` on the command line: its flags, and the configuration that they, the environment and a file make. */
import { resolve } from "node:path"
import { Effect, Option } from "effect"
import { Command } from "effect/cli"
import type { Recording } from "../flight/record.ts"
import { nodeConfig } from "../settings/node-config.ts"
import type { Values } from "../settings/table.ts"
import { attempt } from "./attempt.ts"
import { yes } from "./flags.ts"
import { canServe, serveGate } from "./gate.ts"
import { remark } from "./output.ts"
import { passphraseFor, type SealingWish } from "./sealing.ts"
import { failureOfSettings, settingFlags, settle, type Settled } from "./settings.ts"
import { freshFolder, start } from "./start.ts"

/** Acts of one start, and so no settings: what stays written somewhere would be done again at the next. */
const acts = {
  newSignedFile: yes(
    "new-signed-file",
    "Make a new protection file for a key that was used before: only if the old one is lost"
  ),
  resumeSealing: yes(
    "resume-sealing",
    "Seal again after another process was seen to seal with this key: once it is stopped"
  )
}

const startFlags = { ...settingFlags, ...acts }

type StartInput = Command.Command.Config.Infer<typeof startFlags>

/** Who seals; asks for the passphrase of a key if nobody has said it. */
const sealingOf = ({ values }: Settled, input: StartInput) => {
  const { role, authorityKey: key, passphrase: said, signer, signed } = values
  const passphrase = said === undefined ? passphraseFor(key, Option.none()) : Effect.succeed(said)
  const { newSignedFile: newSigned, resumeSealing: resume } = input
  return Effect.map(
    passphrase,
    (opened): SealingWish => ({ role, key, passphrase: opened, signer, signed, newSigned, resume })
  )
}

const recordingOf = ({ record, recordMaxMb }: Values): Recording | undefined =>
  record === undefined ? undefined : { folder: resolve(record), bytesMax: recordMaxMb * 1024 * 1024 }

const startWith = (settled: Settled, input: StartInput, startedAt: number) => {
  const { values, spec, folder } = settled
  return Effect.flatMap(sealingOf(settled, input), (sealing) =>
    start({
      config: nodeConfig(settled, folder ?? freshFolder()),
      sealing,
      spec,
      recording: recordingOf(values),
      compat: values.compat === undefined ? undefined : { system: values.compat, actsOnGet: values.compatGetActs },
      startedAt
    })
  )
}

/** The command. `startedAt`: when the process began. */
export const makeStartCommand = (startedAt: number) =>
  Command.make("start", startFlags, (input) =>
    Effect.gen(function* () {
      const settled = yield* attempt(() => settle(input))
      for (const { name, message } of settled.remarks) remark(name, message)
      if (settled.errors.length === 0) return yield* startWith(settled, input, startedAt)
      return yield* canServe(settled) ? serveGate(settled) : failureOfSettings(settled)
    })
  ).pipe(
    Command.withDescription(
      "Runs a node until it is told to stop (SIGTERM or Ctrl-C). What a flag says the environment or a file may say, too: cairn config env"
    ),
    Command.withExamples([
      { command: "cairn start --dev", description: "A node to play with: funded accounts, instant blocks, a page" },
      {
        command: "cairn start --data-dir mine --mine-threads 2",
        description: "A node that mines, in a folder made by cairn init"
      },
      {
        command: "cairn start --dev --data-dir B --http-port 8081 --p2p-port 19101 --p2p-seeds 127.0.0.1:19100",
        description: "A second node that follows the first"
      },
      {
        command: "cairn start --dev --discovery http://127.0.0.1:4444",
        description: "A node that finds its peers in a discovery service: cairn discovery"
      },
      {
        command: "cairn start --config /etc/cairn.toml",
        description: "Settings of a file; cairn config check looks at them first"
      },
      {
        command: "cairn start --spec dotcoin --data-dir coins --compat dotcoin",
        description: "A chain of coins with the routes of dotcoin"
      },
      {
        command: "cairn start --dev --spec dev-authorities --role validator --authority-key dev:1",
        description: "One of three authorities that take turns; docs/validators.md has the real ones"
      },
      {
        command: "cairn start --data-dir mine --record mine-flight",
        description: "Journals every input; later: cairn replay mine-flight"
      }
    ])
  )
