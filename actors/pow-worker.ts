/** The thread that searches: takes a job, tries range after range until told of a newer one, reports each range. */
import { search } from "../src/miner/search.ts"
import type { SearchJob, SearchReport } from "./protocol.ts"

/** About 20 ms: how late a newer job may be heard. */
const rangeSize = 200_000

declare const self: {
  onmessage: (event: { readonly data: SearchJob }) => void
  postMessage: (report: SearchReport) => void
}

let current: SearchJob | undefined
let next = 0

const work = (): void => {
  const job = current
  if (job === undefined) return
  const found = search({ ...job, from: next, count: rangeSize })
  next += rangeSize * job.stride
  if (found.nonce !== undefined) current = undefined
  self.postMessage({ job: job.job, hashes: found.hashes, nonce: found.nonce })
  setImmediate(work)
}

self.onmessage = ({ data }) => {
  const idle = current === undefined
  current = data.job === 0 ? undefined : data
  next = data.from * rangeSize
  if (idle && current !== undefined) work()
}
