/** What passes between the app and its handlers. */
import type { Answer } from "../node/node.ts"
import type { ReplyOf, RouteName } from "./contract.ts"
import type { Problem, Refused } from "./problem.ts"

/** What a handler is given: decoded query and body, path parameters. */
export interface Input {
  readonly params: Readonly<Record<string, string>>
  readonly query: Readonly<Record<string, unknown>>
  readonly body: unknown
  /** The client's address, as far as somebody can tell. */
  readonly remote: string | undefined
}

/** What a handler gives: a reply, maybe with headers, or a problem. */
export type Output<N extends RouteName> =
  | {
      readonly reply: ReplyOf<N>
      readonly headers?: Readonly<Record<string, string>>
      /** If not that of the contract. */
      readonly status?: number
    }
  | Problem

/** Is it a problem and not a reply? */
export const isProblem = (value: object): value is Problem => "code" in value && "detail" in value

export type Handlers = {
  readonly [N in RouteName]: (input: Input) => Answer<Output<N>, Refused>
}
