/**
 * The files of the page. In the compiled binary they are inside, bundled when it was built; run from sources they are
 * bundled at the first start. Either way this node serves them, with its own headers, and no other host is asked.
 */
import { join } from "node:path"
import bundle from "../../web/index.html"

export interface PageFile {
  readonly type: string
  readonly body: string | Uint8Array
}

interface Manifest {
  readonly index: string
  readonly files?: ReadonlyArray<{
    readonly path: string
    readonly loader: string
    readonly isEntry: boolean
    readonly headers: Readonly<Record<string, string>>
  }>
}

const types: Readonly<Record<string, string>> = {
  html: "text/html; charset=utf-8",
  js: "text/javascript; charset=utf-8",
  css: "text/css; charset=utf-8",
  json: "application/json",
  svg: "image/svg+xml"
}

const typeOf = (path: string): string => types[path.split(".").at(-1)!] ?? "application/octet-stream"

/** The page's files by the path they are served under. */
export const loadPage = async (): Promise<ReadonlyMap<string, PageFile>> => {
  const { files } = bundle as unknown as Manifest
  return files === undefined ? bundleSources() : readEmbedded(files)
}

const readEmbedded = async (files: NonNullable<Manifest["files"]>): Promise<ReadonlyMap<string, PageFile>> => {
  const page = new Map<string, PageFile>()
  for (const { path, isEntry, loader } of files) {
    const body = new Uint8Array(await Bun.file(path).arrayBuffer())
    const name = isEntry && loader === "html" ? "/" : `/${path.split("/").at(-1)}`
    page.set(name, { type: name === "/" ? types["html"]! : typeOf(path), body })
  }
  return page
}

const bundleSources = async (): Promise<ReadonlyMap<string, PageFile>> => {
  const entrypoints = [join(import.meta.dir, "../../web/index.html")]
  const built = await Bun.build({ entrypoints, minify: true, splitting: true })
  const page = new Map<string, PageFile>()
  for (const file of built.outputs) {
    const name = file.path.endsWith(".html") ? "/" : `/${file.path.split("/").at(-1)}`
    page.set(name, { type: typeOf(file.path), body: new Uint8Array(await file.arrayBuffer()) })
  }
  return page
}
