/** Another thread, by the name of its file. A door: the tests' world runs the same code in its own time. */

export interface Thread<In, Out> {
  readonly post: (message: In) => void
  readonly terminate: () => void
  /** For types only: what comes back. */
  readonly out?: Out
}

/**
 * Where a worker's file is: beside the sources, or in the compiled binary under the path it had from the project's root.
 * `import.meta.url` is no test for the difference: under --bytecode it keeps the path of the machine that built it.
 */
const placeOf = (file: string): string =>
  Bun.main.includes("$bunfs") ? `./${file}` : new URL(`../../${file}`, import.meta.url).href

export type StartThread = <In, Out>(
  file: string,
  on: {
    readonly message: (message: Out) => void
    /** Once, when the thread has failed or ended and nobody terminated it. */
    readonly failed: (reason: string) => void
  }
) => Thread<In, Out>

/** The door as Bun has it. */
export const startBunThread: StartThread = (file, on) => {
  const worker = new Worker(placeOf(file))
  let over = false
  const failed = (reason: string): void => {
    if (!over) on.failed(reason)
    over = true
  }
  worker.onmessage = (event: MessageEvent) => on.message(event.data as never)
  worker.onerror = (event: ErrorEvent) => failed(event.message)
  // A thread that exits gives no error, only its end.
  worker.addEventListener("close", () => failed("it has ended"))
  return {
    post: (message) => worker.postMessage(message),
    terminate: () => {
      over = true
      worker.terminate()
    }
  }
}
