/** What buffers really cost: to hold a count of bytes against the memory of the process. */

/** Bytes of buffers that something still reaches. */
export const bufferBytes = async (): Promise<number> => {
  for (let i = 0; i < 3; i++) {
    await new Promise<void>((resolve) => setImmediate(resolve))
    Bun.gc(true)
  }
  return process.memoryUsage().arrayBuffers
}

/** The last `length` bytes of a buffer of 1 MiB, as a link hands on a piece of what it has read. */
export const pieceOfMany = (length: number): Uint8Array => {
  const read = new Uint8Array(1024 * 1024)
  return read.subarray(read.length - length)
}

/** Bytes of buffers that what `make` returns, fifty times over, keeps alive. */
export const keptBy = async (make: () => unknown): Promise<number> => {
  const before = await bufferBytes()
  const all = Array.from({ length: 50 }, make)
  const kept = (await bufferBytes()) - before
  return all.length === 50 ? kept : 0
}
