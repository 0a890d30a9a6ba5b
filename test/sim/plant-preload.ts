/**
 * Plants a bug: with PLANT=name in the environment and this file as `--preload`, the one place of the source that the plant names
 * is loaded with the mistake in it. The file itself is not touched, and nothing of this is in the product.
 */
import { join } from "node:path"
import { plugin } from "bun"
import { plantIn, plants } from "./plants.ts"

const root = join(import.meta.dir, "..", "..")
const name = process.env["PLANT"] ?? ""

const plant = plants.find((one) => one.name === name)
if (plant === undefined && name !== "")
  throw new Error(`there is no plant "${name}"; there are: ${plants.map((one) => one.name).join(", ")}`)

let loaded = plant === undefined

/** Has the file been loaded with the mistake, if one was asked for? */
export const isPlanted = (): boolean => loaded

if (plant !== undefined) {
  const path = join(root, plant.file)
  plugin({
    name: "plant",
    setup: (build) => {
      build.onLoad({ filter: new RegExp(`${path.replace(/[.\\]/g, "\\$&")}$`) }, async () => {
        const contents = plantIn(await Bun.file(path).text(), plant)
        loaded = true
        return { contents, loader: "ts" }
      })
    }
  })
}
