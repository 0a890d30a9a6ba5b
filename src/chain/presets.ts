/** The chain specs that ship with the program, as parsed JSON, by name. */
import cairn from "../../presets/cairn.json" with { type: "json" }
import dev from "../../presets/dev.json" with { type: "json" }
import luaBlockchain from "../../presets/lua-blockchain.json" with { type: "json" }

export const presets: Readonly<Record<string, unknown>> = { cairn, dev, "lua-blockchain": luaBlockchain }
