import { ChainStore } from "../../src/store/store.ts"
const acc: Record<string, number> = {}
const n: Record<string, number> = {}
const wrap = (o: any, k: string) => {
  const f = o[k]
  o[k] = function (...a: any[]) {
    const t = performance.now()
    try {
      return f.apply(this, a)
    } finally {
      acc[k] = (acc[k] ?? 0) + performance.now() - t
      n[k] = (n[k] ?? 0) + 1
    }
  }
}
for (const k of ["decide", "saveHeaders", "saveBody", "land", "detach", "attach", "writeState", "movePending", "count"])
  wrap(ChainStore.prototype, k)
process.on("exit", () => {
  for (const k in acc) console.log(k, acc[k]!.toFixed(0), "ms", n[k])
})
