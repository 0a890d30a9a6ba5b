/** Vectors made by others, read in place: the folder CAIRN_VECTORS, or shared/vectors beside the project. Absent: tests skip and say so. */
import { existsSync, readFileSync } from "node:fs"
import { join } from "node:path"

const folder = process.env["CAIRN_VECTORS"] ?? join(import.meta.dir, "../../../shared/vectors")

/** The parsed file, or undefined after a line that says what is not tested. */
export const published = <A>(name: string): A | undefined => {
  const path = join(folder, name)
  if (existsSync(path)) return JSON.parse(readFileSync(path, "utf8")) as A
  process.stderr.write(`skipped: no published vectors ${name}; set CAIRN_VECTORS to the folder that holds them\n`)
  return undefined
}
