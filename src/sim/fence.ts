/**
 * The fence around a world. Who reads the machine's clock or chance, or sets its timers, while a world runs is found out, also if
 * whoever did it survives that. What cannot be fenced here is kept out by test/tidy.test.ts: what is imported by name from
 * node:crypto, node:process and node:timers, crypto.subtle, Temporal, SQL's random() and datetime('now').
 */

/** Something of the world outside was used while a world ran: the run would differ from machine to machine. */
export class Leak extends Error {
  override readonly name = "Leak"
}

/** What no one may use while a world runs: owner and name. */
const outside: ReadonlyArray<readonly [owner: object, name: string]> = [
  [Date, "now"],
  [performance, "now"],
  [performance, "mark"],
  [Math, "random"],
  [crypto, "getRandomValues"],
  [crypto, "randomUUID"],
  ...["hrtime", "uptime", "cpuUsage", "nextTick"].map((name) => [process, name] as const),
  ...["setTimeout", "setInterval", "setImmediate", "queueMicrotask", "fetch", "Worker"].map(
    (name) => [globalThis, name] as const
  ),
  ...["listen", "connect", "serve", "udpSocket", "sleep", "sleepSync", "spawn", "spawnSync"].map(
    (name) => [Bun, name] as const
  ),
  ...["nanoseconds", "randomUUIDv7"].map((name) => [Bun, name] as const)
]

const RealDate = Date

/** Date without arguments is the clock; with arguments it is arithmetic. */
const fencedDate = (leak: (name: string) => never): DateConstructor =>
  new Proxy(RealDate, {
    construct: (target, args: ReadonlyArray<unknown>) =>
      args.length === 0 ? leak("new Date()") : Reflect.construct(target, args),
    apply: () => leak("Date()")
  })

/** Runs `f` behind the fence. Throws Leak if anything leaked, after `f` has ended. */
export const fenced = <A>(f: () => A): A => {
  const real = outside.map(([owner, name]): unknown => Reflect.get(owner, name))
  let found: Leak | undefined
  const leak = (name: string): never => {
    throw (found ??= new Leak(`${name} was used inside a world`))
  }
  for (const [owner, name] of outside) {
    // A function, so that `new` finds it out too.
    const trap = function (): never {
      return leak(name)
    }
    Reflect.set(owner, name, Object.assign(trap, { bigint: trap }))
  }
  globalThis.Date = fencedDate(leak)
  try {
    return f()
  } finally {
    globalThis.Date = RealDate
    outside.forEach(([owner, name], i) => Reflect.set(owner, name, real[i]))
    if (found !== undefined) throw found
  }
}
