/** `cairn export` and `cairn import`: the blocks of a best branch as a file, and into a folder again. */
import { existsSync, mkdirSync, statSync } from "node:fs"
import { decodeHeader, headerLengthAt } from "../block/header.ts"
import { presets } from "../chain/presets.ts"
import { makeRules, type Rules } from "../chain/rules.ts"
import { concat, equal } from "../codec/bytes.ts"
import { loadEngine } from "../crypto/native.ts"
import { useEngine } from "../crypto/signature.ts"
import { type BlocksHead, BlocksFault, BlocksReader, BlocksWriter, needChain } from "../store/blocks-file.ts"
import { prunedOf } from "../store/consistency.ts"
import { openDatabase, openExisting } from "../store/db.ts"
import { lockFolder } from "../store/lock.ts"
import { ChainStore } from "../store/store.ts"
import { BlockTaker } from "../store/take.ts"
import { databasePath, isInitialised, loadSpec, saveSpec, specOf } from "./data-folder.ts"
import { failure } from "./failure.ts"
import { clearLine, formatDuration, makeLateProgress, print, rows } from "./output.ts"

/** Says how far it is, and how long it will take: `done` of `of` units, whose name is for people. */
const makeCount = (verb: string, now: () => number): ((height: number, done: number, of: number) => void) => {
  const say = makeLateProgress(now, 5_000)
  const began = now()
  return (height, done, of) => {
    const left = ((now() - began) / Math.max(1, done)) * (of - done)
    const share = ((100 * done) / Math.max(1, of)).toFixed(1)
    say(`${verb}: block ${height} (${share} %), ${formatDuration(left)} left`, {
      height,
      done,
      of,
      eta_ms: Math.round(left)
    })
  }
}

export interface ExportOptions {
  readonly dataDir: string
  readonly file: string
  readonly from: number | undefined
  readonly to: number | undefined
  readonly now: () => number
}

interface Row {
  readonly header: Uint8Array
  readonly body: Uint8Array | null
}

type BlockAt = (height: number) => Row | null

/** Where a file goes on: after its last block, which must be one of the best branch. */
const resume = (
  file: string,
  head: BlocksHead,
  at: BlockAt
): { readonly out: BlocksWriter; readonly next: number | undefined } => {
  const read = new BlocksReader(file)
  try {
    needChain(read.head, head)
    let last: Uint8Array | undefined
    for (let block = read.next(); block !== undefined; block = read.next()) last = block
    const header = last === undefined ? undefined : decodeHeader(last.slice(0, headerLengthAt(last)))
    const isOurs = header !== undefined && equal(at(header.height)?.header ?? new Uint8Array(0), header.bytes)
    if (header !== undefined && !isOurs)
      throw new BlocksFault(
        "blocks-mismatch",
        `The file ends with block ${header.height}, ${header.id}, which is not on the best branch.`,
        "Write another file."
      )
    return { out: BlocksWriter.after(file, read), next: header === undefined ? undefined : header.height + 1 }
  } finally {
    read.close()
  }
}

/** Writes blocks of a folder, whose node may be running, or goes on with the file. */
export const exportBlocks = (options: ExportOptions): void => {
  const { dataDir, file, now } = options
  const rules = makeRules(specOf(dataDir))
  if (!existsSync(databasePath(dataDir)))
    throw failure("dataFolder", "store-missing", `There is no chain.db in ${dataDir}.`, "Start the node once.")
  const head = { chainId: rules.spec.ledger.chainId, genesis: rules.genesis.header.hash }
  const db = openExisting(databasePath(dataDir))
  try {
    // One read from its beginning to its end: a branch that wins meanwhile is not seen.
    db.run("BEGIN")
    const query = db.query<Row, [number]>(
      "SELECT h.header, o.body FROM best b JOIN headers h ON h.n = b.n LEFT JOIN bodies o ON o.n = b.n WHERE b.height = ?"
    )
    const at: BlockAt = (height) => query.get(height)
    const { height: tip } = db.query("SELECT MAX(height) AS height FROM best").get() as { readonly height: number }
    const going = existsSync(file) && statSync(file).size > 0 ? resume(file, head, at) : undefined
    const first = going?.next ?? Math.max(1, options.from ?? 1)
    if (going?.next !== undefined && options.from !== undefined && options.from !== going.next) {
      going.out.close()
      throw failure("usage", "from-unneeded", `${file} goes on with block ${going.next}.`, "Leave out --from.")
    }
    const to = Math.min(tip, options.to ?? tip)
    const pruned = prunedOf(db)
    if (first <= pruned)
      throw failure(
        "refused",
        "block-pruned",
        `Blocks up to ${pruned} are pruned here.`,
        "Use --from, or another node."
      )
    const out = going?.out ?? BlocksWriter.begin(file, head)
    write(out, at, { first, to, file, now })
  } finally {
    db.close()
  }
}

const write = (
  out: BlocksWriter,
  at: BlockAt,
  {
    first,
    to,
    file,
    now
  }: { readonly first: number; readonly to: number; readonly file: string; readonly now: () => number }
): void => {
  const began = now()
  const count = makeCount("writing", now)
  let height = first
  try {
    for (; height <= to; height++) {
      const row = at(height)
      if (row === null || row.body === null)
        throw failure(
          "refused",
          "past-missing",
          `The body of block ${height} is not here.`,
          "Write it where the chain is whole."
        )
      out.write(concat(row.header, row.body))
      count(height, height - first + 1, to - first + 1)
    }
    out.flush()
  } finally {
    out.close()
  }
  clearLine()
  const ms = now() - began
  const blocks = height - first
  print({ file, from: first, to: height - 1, blocks, bytes: out.bytes, ms }, [
    blocks === 0 ? "The file has every block already." : `${blocks} blocks are written in ${formatDuration(ms)}.`,
    ...rows([["file", `${file}, ${out.bytes} bytes, up to block ${height - 1}`]])
  ])
}

export interface ImportOptions {
  readonly dataDir: string
  readonly file: string
  /** Of a folder without a chain; undefined: the preset that it fits. */
  readonly spec: string | undefined
  readonly now: () => number
}

/** The rules of the folder's chain, of the named spec, or of the preset that has the file's genesis. */
const rulesFor = ({ chainId, genesis }: BlocksHead, { dataDir, spec }: ImportOptions): Rules => {
  if (isInitialised(dataDir)) return makeRules(specOf(dataDir))
  const names = spec === undefined ? Object.keys(presets) : [spec]
  for (const name of names) {
    const rules = makeRules(loadSpec(name))
    if (spec !== undefined || equal(rules.genesis.header.hash, genesis)) return rules
  }
  throw failure(
    "usage",
    "spec-missing",
    `No preset has the genesis of "${chainId}".`,
    "Name its chain spec with --spec."
  )
}

/** Takes the blocks of a file, each fully checked; those that are known are passed over. */
export const importBlocks = (options: ImportOptions): void => {
  const { dataDir, file } = options
  useEngine(loadEngine("auto")!)
  const read = new BlocksReader(file)
  try {
    const rules = rulesFor(read.head, options)
    needChain(read.head, { chainId: rules.spec.ledger.chainId, genesis: rules.genesis.header.hash })
    mkdirSync(dataDir, { recursive: true })
    const lock = lockFolder(dataDir)
    try {
      if (!isInitialised(dataDir)) saveSpec(dataDir, rules.spec)
      takeAll(read, rules, options)
    } finally {
      lock.release()
    }
  } finally {
    read.close()
  }
}

const takeAll = (from: BlocksReader, rules: Rules, { dataDir: folder, file, now }: ImportOptions): void => {
  const store = new ChainStore(openDatabase(databasePath(folder)), rules)
  const began = now()
  try {
    const count = makeCount("reading", now)
    const of = statSync(file).size
    const taker = new BlockTaker(store, rules, began)
    const { stored, known, refused } = taker.all(from.blocks(rules.ledger), ({ header }) =>
      count(header.height, from.bytes, of)
    )
    clearLine()
    if (refused !== undefined)
      throw new BlocksFault(
        "blocks-refused",
        `Block ${refused.height} is refused: ${refused.code}: ${refused.message}. ${stored} blocks before it were taken.`,
        "Do not trust where the file came from; what was taken obeys the rules."
      )
    const ms = now() - began
    const { height, id } = store.tip().header
    print({ data_dir: folder, blocks: stored, known, height, tip: id, torn_bytes: from.torn, ms }, [
      `${stored} blocks are taken in ${formatDuration(ms)}; ${known} were here already.`,
      ...rows([["tip", `height ${height}, ${id}`]]),
      ...(from.torn === 0 ? [] : [`  The last ${from.torn} bytes of the file are a record that is cut off.`])
    ])
  } finally {
    store.close()
  }
}
