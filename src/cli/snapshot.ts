/** `cairn snapshot make` and `cairn snapshot load`: a chain's state carried in one file, so that a node need not replay it all. */
import { existsSync, mkdirSync, rmSync } from "node:fs"
import { join } from "node:path"
import { presets } from "../chain/presets.ts"
import { makeRules, type Rules } from "../chain/rules.ts"
import { equal, toHex } from "../codec/bytes.ts"
import { loadEngine } from "../crypto/native.ts"
import { useEngine } from "../crypto/signature.ts"
import { exists } from "../io/files.ts"
import { FileReader, FileWriter, install } from "../io/stream.ts"
import { closeDatabase, openDatabase, openExisting } from "../store/db.ts"
import { lockFolder } from "../store/lock.ts"
import { type Head, SnapshotFault } from "../store/snapshot-file.ts"
import { type Loaded, loadSnapshot, openSnapshot } from "../store/snapshot-load.ts"
import { makeSnapshot, type Progress } from "../store/snapshot-make.ts"
import { databasePath, isInitialised, loadSpec, saveSpec, specOf } from "./data-folder.ts"
import { failure } from "./failure.ts"
import { clearLine, formatDuration, makeProgress, print, rows } from "./output.ts"

/** Says how far each part is, and how long that part will take. */
const makeParts = (verb: string, now: () => number): Progress => {
  const say = makeProgress(now, 5_000)
  let current = ""
  let began = now()
  return (part, done, of) => {
    if (part !== current) [current, began] = [part, now()]
    const left = ((now() - began) / Math.max(1, done)) * (of - done)
    const share = ((100 * done) / Math.max(1, of)).toFixed(1)
    say(`${verb} ${part}: ${done} of ${of} (${share} %), ${formatDuration(left)} left`, {
      part,
      done,
      of,
      eta_ms: Math.round(left)
    })
  }
}

/** Writes a snapshot of a folder, whose node may be running. */
export const makeSnapshotFile = (options: {
  readonly dataDir: string
  readonly out: string
  readonly height: number | undefined
  readonly now: () => number
}): void => {
  const rules = makeRules(specOf(options.dataDir))
  if (!existsSync(databasePath(options.dataDir)))
    throw failure("dataFolder", "store-missing", `There is no chain.db in ${options.dataDir}.`, "Start the node once.")
  if (exists(options.out))
    throw failure("refused", "file-exists", `There is a file ${options.out} already.`, "Choose another name with --out.")
  const began = options.now()
  const db = openExisting(databasePath(options.dataDir))
  const out = new FileWriter(options.out)
  let done = false
  try {
    const made = makeSnapshot(db, rules, { out, height: options.height, progress: makeParts("writing", options.now) })
    out.commit()
    done = true
    clearLine()
    const ms = options.now() - began
    const value = {
      file: options.out,
      chain: rules.spec.ledger.chainId,
      genesis: rules.genesis.header.id,
      height: made.height,
      tip: made.tip,
      state_height: made.stateHeight,
      state_root: made.stateRoot,
      entries: made.entries,
      bytes: made.bytes,
      check: made.check,
      ms
    }
    print(value, [
      `The snapshot of height ${made.height} is written: ${made.bytes} bytes in ${formatDuration(ms)}.`,
      ...rows([
        ["file", options.out],
        ["tip", made.tip],
        ["state", `height ${made.stateHeight}, root ${made.stateRoot}, ${made.entries} entries`],
        ["check", made.check]
      ])
    ])
  } finally {
    if (!done) out.abandon()
    db.close()
  }
}

/** The rules of the folder's chain, of the named spec, or of the preset that has the file's genesis. */
const rulesFor = (head: Head, options: { readonly dataDir: string; readonly spec: string | undefined }): Rules => {
  if (isInitialised(options.dataDir)) return makeRules(specOf(options.dataDir))
  if (options.spec !== undefined) return makeRules(loadSpec(options.spec))
  for (const name of Object.keys(presets)) {
    const rules = makeRules(loadSpec(name))
    if (equal(rules.genesis.header.hash, head.genesis)) return rules
  }
  throw new SnapshotFault(
    "snapshot-chain-mismatch",
    `The snapshot is of chain "${head.chainId}" with genesis ${toHex(head.genesis)}, which no preset has.`
  )
}

/** Puts the finished database into the folder, as its node would have left it. */
const settle = (staged: string, dataDir: string, rules: Rules): void => {
  const lock = lockFolder(dataDir)
  try {
    refuseUsed(dataDir)
    // First: a folder with a spec alone is one that was initialised; a chain without a spec is nobody's.
    if (!isInitialised(dataDir)) saveSpec(dataDir, rules.spec)
    install(staged, databasePath(dataDir))
  } finally {
    lock.release()
  }
}

const refuseUsed = (dataDir: string): void => {
  if (!existsSync(databasePath(dataDir))) return
  throw failure(
    "dataFolder",
    "store-exists",
    `${dataDir} holds a chain already.`,
    "Choose another folder; a chain is never written over."
  )
}

/** Makes the database beside its place. Whatever goes wrong, what was there before is as it was. */
const stage = (
  from: { readonly file: FileReader; readonly dataDir: string; readonly spec: string | undefined },
  now: () => number
): { readonly loaded: Loaded; readonly rules: Rules } => {
  const { dataDir } = from
  const opened = openSnapshot(from.file)
  const rules = rulesFor(opened.head, from)
  const made = !existsSync(dataDir)
  const staging = join(dataDir, `.loading-${process.pid}`)
  let done = false
  try {
    rmSync(staging, { recursive: true, force: true })
    mkdirSync(staging, { recursive: true })
    const db = openDatabase(databasePath(staging))
    let loaded: Loaded
    try {
      // Nobody counts on it before it is whole: flushed once, at its end.
      db.run("PRAGMA synchronous = OFF")
      loaded = loadSnapshot(db, rules, { ...opened, now: now(), progress: makeParts("loading", now) })
    } finally {
      closeDatabase(db)
    }
    settle(databasePath(staging), dataDir, rules)
    done = true
    return { loaded, rules }
  } finally {
    clearLine()
    rmSync(made && !done ? dataDir : staging, { recursive: true, force: true })
  }
}

/** Makes a data folder of a snapshot. */
export const loadSnapshotFile = (options: {
  readonly file: string
  readonly dataDir: string
  readonly spec: string | undefined
  readonly now: () => number
}): void => {
  refuseUsed(options.dataDir)
  useEngine(loadEngine("auto")!)
  const began = options.now()
  const file = new FileReader(options.file)
  try {
    const { loaded, rules } = stage({ ...options, file }, options.now)
    const { head, check } = loaded
    const ms = options.now() - began
    const value = {
      data_dir: options.dataDir,
      chain: head.chainId,
      genesis: toHex(head.genesis),
      height: head.height,
      tip: toHex(head.tip),
      state_height: head.stateHeight,
      state_root: toHex(head.stateRoot),
      entries: head.entries,
      check,
      past_proven: head.stateHeight === 0,
      ms
    }
    print(value, [
      `The chain "${rules.spec.ledger.chainId}" stands at height ${head.height}: loaded in ${formatDuration(ms)}.`,
      ...rows([
        ["tip", value.tip],
        ["state", `height ${head.stateHeight}, root ${value.state_root}, ${head.entries} entries`],
        ["check", check],
        ["past", value.past_proven ? "nothing below it" : `blocks 1 to ${head.stateHeight} are not proven yet`]
      ]),
      ...(value.past_proven ? [] : [`  The past: cairn verify --past --data-dir ${options.dataDir} --from OTHER_DIR`]),
      `  Next: cairn start --data-dir ${options.dataDir}`
    ])
  } finally {
    file.close()
  }
}
