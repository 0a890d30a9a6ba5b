/** The chain specs that ship with the program, as parsed JSON, by name. */
import cairn from "../../presets/cairn.json" with { type: "json" }
import devAuthorities from "../../presets/dev-authorities.json" with { type: "json" }
import devCoins from "../../presets/dev-coins.json" with { type: "json" }
import dev from "../../presets/dev.json" with { type: "json" }
import dotcoin from "../../presets/dotcoin.json" with { type: "json" }
import fullNode from "../../presets/full-node.json" with { type: "json" }
import luaBlockchain from "../../presets/lua-blockchain.json" with { type: "json" }

export const presets: Readonly<Record<string, unknown>> = {
  cairn,
  dev,
  "dev-authorities": devAuthorities,
  "dev-coins": devCoins,
  dotcoin,
  "full-node": fullNode,
  "lua-blockchain": luaBlockchain
}
