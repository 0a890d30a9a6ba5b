/** `cairn proof` on the command line. */
import { Argument, Command, Flag } from "effect/cli"
import { attempt } from "./attempt.ts"
import { nodeUrl, optional, prefix, undefinedIfNone } from "./flags.ts"
import { checkProof, getProof } from "./proof.ts"

const proofGetCommand = Command.make(
  "get",
  {
    subject: Argument.String("id").pipe(Argument.withDescription("Transaction id, address of an account, or a coin: ID:INDEX")),
    node: nodeUrl,
    out: Flag.String("out").pipe(Flag.withDescription("File to write"))
  },
  (input) => attempt(() => getProof(input))
).pipe(Command.withDescription("Takes a proof from a node and checks it"))

const proofVerifyCommand = Command.make(
  "verify",
  {
    file: Argument.String("file").pipe(Argument.withDescription("File that cairn proof get or the page wrote")),
    header: optional("header", "Block hash or whole header, in hex, that you trust: the proof must be against it"),
    of: optional("of", "Transaction id, coin (ID:INDEX) or address that the proof must be about"),
    prefix
  },
  ({ file, header, of, prefix: addresses }) =>
    attempt(() =>
      checkProof({ file, header: undefinedIfNone(header), of: undefinedIfNone(of), prefix: addresses })
    )
).pipe(Command.withDescription("Checks a proof without a node: what it shows, against which header; exit code 3 if it does not hold"))

/** The command. */
export const proofCommand = Command.make("proof").pipe(
  Command.withDescription("Proofs that a transaction is in a block, of what an account has, or of a coin, that hold without trust in a node"),
  Command.withSubcommands([proofGetCommand, proofVerifyCommand]),
  Command.withExamples([
    {
      command: "cairn proof get crn1q5jjwsx35h5rfkxzmhv3e8gr5ny44hgtnc5tzzv --out account.json",
      description: "What the first development account has, with the way to the tip's state root"
    },
    { command: "cairn proof verify account.json", description: "Checks it, offline" }
  ])
)
