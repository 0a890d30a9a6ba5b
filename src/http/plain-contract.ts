/** What is served beside the routes of contract.ts and is no JSON of theirs: the page, the event stream, figures, documents. */
import type { Route } from "./contract.ts"

export interface PlainRoute {
  readonly path: string
  readonly auth: Route["auth"]
  readonly summary: string
  /** Content type of the answer. */
  readonly type: string
}

/** Each is asked for by GET and answers 200. */
export const plainRoutes = {
  page: { path: "/", auth: "public", summary: "The page.", type: "text/html" },
  events: {
    path: "/api/events",
    auth: "public",
    summary: "Tips, transactions, peers and states as they come; with Last-Event-ID from there on.",
    type: "text/event-stream"
  },
  metrics: { path: "/metrics", auth: "public", summary: "Figures in the form of Prometheus.", type: "text/plain" },
  openapi: { path: "/openapi.json", auth: "public", summary: "This document.", type: "application/json" },
  docs: { path: "/docs", auth: "public", summary: "The same as a page.", type: "text/html" }
} as const satisfies Readonly<Record<string, PlainRoute>>
