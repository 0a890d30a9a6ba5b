/** Where a host keeps rows across a restart: keys that are paths, values of bytes, perhaps with a time to live. Synchronous. */
import { Libp2pFault } from "../libp2p/fault.ts"

/** Characters of a key. */
export const datastoreKeyLengthMax = 512
/** Bytes of a value: a peer with all that may be known of it fits. */
export const datastoreValueBytesMax = 1_048_576
/** Rows that one query gives; with `offset` there are more. */
export const datastoreQueryRowsMax = 1_000
/** Rows of a datastore in memory. */
export const memoryDatastoreRowsMax = 100_000

export interface PutOptions {
  /** Milliseconds that the row is there: a whole number above 0. Without it: until it is deleted. */
  readonly ttl?: number | undefined
}

export interface DatastoreQuery {
  /** The keys that begin so; default: all. */
  readonly prefix?: string | undefined
  /** Rows at most; default and most: 1,000. */
  readonly limit?: number | undefined
  /** Rows to pass over first. */
  readonly offset?: number | undefined
  /** The values stay where they are: they come empty. */
  readonly keysOnly?: boolean | undefined
}

export interface DatastoreRow {
  readonly key: string
  readonly value: Uint8Array
}

/** A value to put, or without one a row to delete. */
export interface DatastoreChange extends PutOptions {
  readonly key: string
  readonly value: Uint8Array | undefined
}

/**
 * Keys are printable ASCII and begin with "/"; rows come in the order of their keys. What is given and what is handed out is never
 * the store's own memory. Throws Libp2pFault: `input` for what is no key, value, ttl or query, `state` once closed, `capacity`
 * when it is full, `io` when the disk says no.
 */
export interface Datastore {
  readonly get: (key: string) => Uint8Array | undefined
  readonly put: (key: string, value: Uint8Array, options?: PutOptions) => void
  readonly delete: (key: string) => void
  readonly query: (query?: DatastoreQuery) => ReadonlyArray<DatastoreRow>
  /** All of them, or none. */
  readonly batch: (changes: ReadonlyArray<DatastoreChange>) => void
  /** Removes what has run out; the number of rows. */
  readonly sweep: () => number
  readonly close: () => void
}

const input = (message: string): Libp2pFault => new Libp2pFault("input", "InvalidParametersError", message)
const keyForm = /^\/[\x21-\x7e]*$/
const prefixForm = /^[\x21-\x7e]*$/

/** Throws if that is no change. For datastores. */
export const checkChange = ({ key, value, ttl }: DatastoreChange): void => {
  checkKey(key)
  if (value !== undefined && value.length > datastoreValueBytesMax)
    throw input(`a value of ${value.length} bytes, ${datastoreValueBytesMax} at most`)
  if (ttl !== undefined && !(Number.isSafeInteger(ttl) && ttl > 0))
    throw input("a time to live is a whole number of milliseconds above 0")
}

/** Throws if that is no key. For datastores. */
export const checkKey = (key: string): void => {
  if (key.length > datastoreKeyLengthMax || !keyForm.test(key))
    throw input(`a key is "/" and up to ${datastoreKeyLengthMax - 1} printable ASCII characters`)
}

/** A query with its defaults; throws if that is none. For datastores. */
export const checkedQuery = (
  query: DatastoreQuery
): Required<{ [K in keyof DatastoreQuery]: NonNullable<DatastoreQuery[K]> }> => {
  const { prefix = "", limit = datastoreQueryRowsMax, offset = 0, keysOnly = false } = query
  if (prefix.length > datastoreKeyLengthMax || !prefixForm.test(prefix))
    throw input("a prefix is the beginning of a key")
  if (!Number.isSafeInteger(limit) || limit < 0 || !Number.isSafeInteger(offset) || offset < 0)
    throw input("limit and offset are whole numbers from 0")
  return { prefix, limit: Math.min(limit, datastoreQueryRowsMax), offset, keysOnly }
}

/** What a closed datastore answers. */
export const closedDatastore = (): Libp2pFault => new Libp2pFault("state", "NotStartedError", "the datastore is closed")

interface Row {
  readonly value: Uint8Array
  readonly expires: number
}

/** A datastore that is gone with the process. `now`: milliseconds since 1970. */
export const makeMemoryDatastore = (
  now: () => number,
  options: { readonly rowsMax?: number | undefined } = {}
): Datastore => {
  const { rowsMax = memoryDatastoreRowsMax } = options
  let rows: Map<string, Row> | undefined = new Map()
  const open = (): Map<string, Row> => {
    if (rows === undefined) throw closedDatastore()
    return rows
  }
  const live = (row: Row | undefined): row is Row => row !== undefined && row.expires > now()
  const sweep = (): number => {
    const gone = [...open()].filter(([, row]) => !live(row))
    for (const [key] of gone) open().delete(key)
    return gone.length
  }
  const batch = (changes: ReadonlyArray<DatastoreChange>): void => {
    changes.forEach(checkChange)
    const added = new Set(
      changes.filter(({ key, value }) => value !== undefined && !open().has(key)).map(({ key }) => key)
    )
    if (open().size + added.size > rowsMax && open().size - sweep() + added.size > rowsMax)
      throw new Libp2pFault("capacity", "ResourceLimitError", `the datastore holds ${rowsMax} rows at most`)
    for (const { key, value, ttl } of changes) {
      if (value === undefined) open().delete(key)
      else open().set(key, { value: value.slice(), expires: ttl === undefined ? Infinity : now() + ttl })
    }
  }
  return {
    get: (key) => {
      checkKey(key)
      const row = open().get(key)
      return live(row) ? row.value.slice() : undefined
    },
    put: (key, value, put) => batch([{ key, value, ttl: put?.ttl }]),
    delete: (key) => batch([{ key, value: undefined }]),
    query: (query = {}) => {
      const { prefix, limit, offset, keysOnly } = checkedQuery(query)
      return [...open()]
        .filter(([key, row]) => key.startsWith(prefix) && live(row))
        .sort(([a], [b]) => (a < b ? -1 : 1))
        .slice(offset, offset + limit)
        .map(([key, { value }]) => ({ key, value: keysOnly ? new Uint8Array(0) : value.slice() }))
    },
    batch,
    sweep,
    close: () => {
      rows = undefined
    }
  }
}
