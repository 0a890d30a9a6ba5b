/** Kinds of values that a setting may have: how text becomes one, strictly, and how one is written back. */
import { Result } from "effect"
import { isChainId } from "../ledger/chain-id.ts"
import { parseCidr, parseIp } from "../codec/ip.ts"
import { parseEndpoint, parsePlace } from "../config.ts"
import { Libp2pFault } from "../libp2p/fault.ts"
import { parseMultiaddr } from "../libp2p/multiaddr.ts"
import { parseService } from "../discovery/client.ts"
import { settingCharsMax } from "../limits.ts"

export interface Kind<A> {
  /** Ends the sentence "… must be". */
  readonly must: string
  /** What stands for the value in `--help`. */
  readonly symbol: string
  /** What a TOML file has for it. */
  readonly form: "text" | "number" | "flag" | "list" | "flag or text" | "number or text"
  /** Undefined: it is no such value. The text has at most `settingCharsMax` characters. */
  readonly parse: (text: string) => A | undefined
  /** The text that `parse` reads as this value. */
  readonly format: (value: A) => string
  /** What may be said, where it is one of a few words. */
  readonly words?: ReadonlyArray<string>
}

const line = /^[^\p{Cc}\p{Cs}]*$/u

const kind = <A>(
  form: Kind<A>["form"],
  symbol: string,
  must: string,
  parse: (text: string) => A | undefined,
  format: (value: A) => string = String
): Kind<A> => ({ form, symbol, must, parse: (said) => parse(said.trim()), format })

const textThat = (symbol: string, must: string, is: (value: string) => boolean): Kind<string> =>
  kind("text", symbol, must, (value) => (value !== "" && line.test(value) && is(value) ? value : undefined))

/** One line that is not empty. */
export const text = (charactersMax: number): Kind<string> =>
  textThat("TEXT", `one line of 1 to ${charactersMax} characters`, ({ length }) => length <= charactersMax)

export const path: Kind<string> = textThat("PATH", "the path of a file or folder", () => true)

/** As text, and blanks at its ends count: it is what somebody has typed. */
export const passphrase: Kind<string> = {
  ...text(1024),
  parse: (said) => (said !== "" && said.length <= 1024 && line.test(said) ? said : undefined)
}

/** Of characters that a header can carry. */
export const secret: Kind<string> = textThat(
  "SECRET",
  "1 to 1024 visible ASCII characters without blanks",
  (value) => value.length <= 1024 && /^[!-~]+$/.test(value)
)

/** Ending as the reference system asks. */
export const databaseFile: Kind<string> = textThat(
  "PATH",
  "the path of a file that ends in .db, .sqlite or .sqlite3",
  (value) => /[^/]\.(db|sqlite|sqlite3)$/i.test(value)
)

const truths = ["1", "true", "yes", "on"]
const untruths = ["0", "false", "no", "off"]
const truthOf = (said: string): boolean | undefined => {
  const word = said.toLowerCase()
  return truths.includes(word) ? true : untruths.includes(word) ? false : undefined
}

export const yesOrNo: Kind<boolean> = kind("flag", "BOOLEAN", "true (or 1, yes, on) or false (or 0, no, off)", truthOf)

/** Announcements: all of them, none, or only those that nobody else can read. */
export const announcing: Kind<"on" | "off" | "encrypted"> = kind(
  "flag or text",
  "BOOLEAN",
  "true, false, or encrypted",
  (said) => {
    if (said.toLowerCase() === "encrypted") return "encrypted"
    const truth = truthOf(said)
    return truth === undefined ? undefined : truth ? "on" : "off"
  },
  (value) => (value === "encrypted" ? value : String(value === "on"))
)

/** One of a few words. */
export const oneOf = <const W extends string>(...words: ReadonlyArray<W>): Kind<W> => ({
  ...kind("text", words.join("|"), words.join(" or "), (said) => words.find((word) => word === said)),
  words
})

const wholeOf = (said: string): number | undefined => {
  const value = /^-?\d{1,16}$/.test(said) ? Number(said) : undefined
  return Number.isSafeInteger(value) ? value : undefined
}

/** A whole number, both ends included. */
export const whole = (least: number, most: number): Kind<number> =>
  kind("number", "NUMBER", `a whole number from ${least} to ${most}`, (said) => {
    const value = wholeOf(said)
    return value !== undefined && value >= least && value <= most ? value : undefined
  })

export const port: Kind<number> = { ...whole(0, 65_535), symbol: "PORT" }

/** Requests in a minute. Less than 1 is 0: as many as anybody likes. */
export const rate: Kind<number> = kind(
  "number",
  "NUMBER",
  "a whole number of at most 1000000; 0 or less: no limit",
  (said) => {
    const value = wholeOf(said)
    return value === undefined || value > 1_000_000 ? undefined : Math.max(0, value)
  }
)

const secondsOf = (ms: number): string => String(ms / 1000)

/** Seconds as an operator writes them, held as milliseconds. */
export const seconds = (leastMs: number, mostMs: number): Kind<number> =>
  kind(
    "number",
    "SECONDS",
    `seconds from ${secondsOf(leastMs)} to ${secondsOf(mostMs)}, with at most three decimals`,
    (said) => {
      const match = /^(\d{1,10})(?:\.(\d{1,3}))?$/.exec(said)
      if (match === null) return undefined
      const ms = Number(match[1]) * 1000 + Number((match[2] ?? "").padEnd(3, "0"))
      return ms >= leastMs && ms <= mostMs ? ms : undefined
    },
    secondsOf
  )

/** Leading zeros of a hash, held as their number. */
export const zeros: Kind<number> = kind(
  "text",
  "ZEROS",
  "1 to 60 zeros, such as 0000",
  (said) => (/^0{1,60}$/.test(said) ? said.length : undefined),
  (count) => "0".repeat(count)
)

/** Coins as a decimal text; how many decimals a chain has is asked later. */
export const coins: Kind<string> = {
  ...textThat("COINS", "coins as a decimal number, such as 0.01", (said) => /^\d{1,16}(\.\d{1,12})?$/.test(said)),
  form: "number or text"
}

export const chainId: Kind<string> = textThat("NAME", "1 to 32 of a-z, 0-9 and hyphen", isChainId)

const isHostName = (said: string): boolean =>
  said.length <= 253 && /^[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?)*\.?$/i.test(said)
const isHost = (said: string): boolean => parseIp(said) !== undefined || isHostName(said)

export const host: Kind<string> = textThat("HOST", "a host name or an IP address", isHost)

/** host:port, with brackets around IPv6. */
export const endpoint: Kind<string> = textThat("HOST:PORT", "host:port", (said) => parseEndpoint(said) !== undefined)

/** host:port, or the multiaddr of a node. */
export const nodePlace: Kind<string> = textThat(
  "ADDRESS",
  "host:port, or a multiaddr such as /ip4/10.0.0.7/tcp/4001/p2p/16Uiu2…",
  (said) => parsePlace(said) !== undefined
)

/** Where a libp2p host hears, or others dial it: an IP address or a name, and a TCP port. */
export const listenAddress: Kind<string> = textThat(
  "MULTIADDR",
  "a multiaddr such as /ip4/0.0.0.0/tcp/4001",
  (said) => /^\/(ip4|ip6|dns|dns4|dns6)\/[^/]+\/tcp\/\d+$/.test(said) && !(parseMultiaddr(said) instanceof Libp2pFault)
)

/** Where others should dial: the port may be left out. */
export const hostOrEndpoint: Kind<string> = textThat(
  "HOST:PORT",
  "host:port, or a host name or IP address alone",
  (said) => isHost(said) || parseEndpoint(said) !== undefined
)

/** A host name with or without a port, as in a Host header; in lower case. */
export const hostHeader: Kind<string> = kind(
  "text",
  "HOST",
  "a host name or IP address, with or without a port",
  (said) => {
    const value = said.toLowerCase()
    return hostOrEndpoint.parse(value) ?? (/^\[[0-9a-f:.]+\]$/.test(value) ? value : undefined)
  }
)

/** Characters of a URL. */
const urlCharsMax = 200

const webUrl = (said: string): URL | undefined => {
  if (said.length > urlCharsMax || !/^https?:\/\/[^\s?#@]+$/i.test(said) || !URL.canParse(said)) return undefined
  return new URL(said)
}

/** http or https, without query, fragment or password, and without the slash at the end. */
export const url: Kind<string> = kind("text", "URL", "a URL such as https://node-1.example.com", (said) =>
  webUrl(said)?.href.replace(/\/+$/, "")
)

/** Scheme, host and port of a page. */
export const origin: Kind<string> = kind("text", "URL", "an origin such as https://wallet.example.com", (said) => {
  const parsed = webUrl(said)
  return parsed !== undefined && parsed.pathname === "/" ? parsed.origin : undefined
})

export const service: Kind<string> = kind("text", "URL", "http://host:port", parseService)

/** An address, or a network of them. */
export const network: Kind<string> = textThat(
  "NETWORK",
  "an IP address or a network such as 10.0.0.0/8",
  (said) => parseIp(said) !== undefined || parseCidr(said) !== undefined
)

/** Some of them, separated by commas. Nothing between two commas is nothing. */
export const list = (of: Kind<string>, most: number): Kind<ReadonlyArray<string>> =>
  kind(
    "list",
    `${of.symbol},…`,
    `a list, separated by commas, of at most ${most}; each ${of.must}`,
    (said) => {
      const values = itemsOf(said).map(of.parse)
      return values.length > most || values.includes(undefined) ? undefined : (values as ReadonlyArray<string>)
    },
    (values) => values.join(",")
  )

/** What stands between the commas. */
export const itemsOf = (said: string): ReadonlyArray<string> =>
  said
    .split(",")
    .map((item) => item.trim())
    .filter((item) => item !== "")

/** The value, or what it must be. */
export const read = <A>(of: Kind<A>, said: string): Result.Result<A, string> => {
  if (said.length > settingCharsMax) return Result.fail(`has more than ${settingCharsMax} characters`)
  const value = of.parse(said)
  return value === undefined ? Result.fail(`must be ${of.must}`) : Result.succeed(value)
}
