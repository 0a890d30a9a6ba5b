/** What is stored: backups on order. */
import { Effect } from "effect"
import type { NodeShape } from "../node/node.ts"
import type { ReplyOf } from "./contract.ts"
import type { Handlers } from "./exchange.ts"

export const storageHandlers = (node: NodeShape): Pick<Handlers, "backup"> => ({
  backup: ({ body }) => {
    const { label } = body as { readonly label?: string }
    return Effect.map(node.backup(label), ({ path, manifest }) => ({
      reply: { message: "The backup is made.", folder: path, backup: manifest as ReplyOf<"backup">["backup"] }
    }))
  }
})
