/** A headless Chromium over its debugging protocol: enough to click, type, read and take a picture. */
import { existsSync, mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { until } from "../network.ts"

const places = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"]
/** The browser of this machine, if it has one. */
export const chromium = places.find(existsSync)

const quiet = [
  "--headless",
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
  "--hide-scrollbars",
  "--remote-debugging-port=0"
]

export interface Page {
  /** The value of an expression in the page; a promise is awaited. */
  readonly evaluate: <A>(expression: string) => Promise<A>
  /** A PNG of what is to be seen at a width. */
  readonly picture: (wish: {
    readonly width: number
    readonly height: number
    readonly dark?: boolean
  }) => Promise<Uint8Array>
  readonly problems: ReadonlyArray<string>
  readonly close: () => Promise<void>
}

/** Opens a page. */
export const open = async (url: string): Promise<Page> => {
  const profile = mkdtempSync(join(tmpdir(), "cairn-browser-"))
  const child = Bun.spawn([chromium!, ...quiet, `--user-data-dir=${profile}`, "about:blank"], {
    stdout: "ignore",
    stderr: "pipe"
  })
  const reader = child.stderr.getReader()
  let text = ""
  await until("the browser listens", async () => {
    text += new TextDecoder().decode((await reader.read()).value)
    return /DevTools listening on ws:\/\/127\.0\.0\.1:\d+/.test(text)
  })
  const port = /127\.0\.0\.1:(\d+)/.exec(text)![1]!
  const targets = (await (await fetch(`http://127.0.0.1:${port}/json/list`)).json()) as ReadonlyArray<{
    type: string
    webSocketDebuggerUrl: string
  }>
  const socket = new WebSocket(targets.find(({ type }) => type === "page")!.webSocketDebuggerUrl)
  await new Promise((resolve) => (socket.onopen = resolve))
  const waiting = new Map<number, (result: Record<string, unknown>) => void>()
  const problems: Array<string> = []
  socket.onmessage = ({ data }: MessageEvent) => {
    const message = JSON.parse(String(data)) as {
      id?: number
      method?: string
      params?: Record<string, unknown>
      result?: Record<string, unknown>
    }
    if (message.id !== undefined) waiting.get(message.id)?.(message.result ?? {})
    if (message.method === "Runtime.exceptionThrown" || message.method === "Log.entryAdded")
      problems.push(JSON.stringify(message.params))
  }
  let last = 0
  const send = (method: string, params: object = {}): Promise<Record<string, unknown>> =>
    new Promise((resolve) => {
      waiting.set(++last, resolve)
      socket.send(JSON.stringify({ id: last, method, params }))
    })
  for (const domain of ["Page", "Runtime", "Log"]) await send(`${domain}.enable`)
  await send("Page.navigate", { url })
  return {
    problems,
    evaluate: async <A>(expression: string) => {
      const { result } = (await send("Runtime.evaluate", { expression, awaitPromise: true, returnByValue: true })) as {
        result?: { value: A }
      }
      if (result === undefined) throw new Error(`the document went away while it was asked for ${expression}`)
      return result.value
    },
    picture: async ({ width, height, dark = false }) => {
      await send("Emulation.setDeviceMetricsOverride", { width, height, deviceScaleFactor: 1, mobile: width < 500 })
      await send("Emulation.setEmulatedMedia", {
        features: [{ name: "prefers-color-scheme", value: dark ? "dark" : "light" }]
      })
      const { data } = (await send("Page.captureScreenshot", { captureBeyondViewport: true })) as { data: string }
      return Uint8Array.fromBase64(data)
    },
    close: async () => {
      socket.close()
      child.kill("SIGKILL")
      await child.exited
      rmSync(profile, { recursive: true, force: true })
    }
  }
}
