/**
 * JSON as people write it: RFC 8259, and comments (`//` to the end of the line, or between slash-star and star-slash) wherever
 * white space may stand. Faults name line and column. A name that stands twice in one object is a fault: else one of two would
 * be lost without a word.
 */
import { Result } from "effect"

export interface JsoncFault {
  /** Both count from 1; columns in UTF-16 units. */
  readonly line: number
  readonly column: number
  readonly message: string
}

/** Levels of lists and objects within each other. More: a fault, where a call stack would break. */
const depthMax = 64

class Misread extends Error {
  readonly at: number

  constructor(at: number, message: string) {
    super(message)
    this.at = at
  }
}

const numberForm = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y
const wordForm = /[A-Za-z_$][\w$]*/y
const words: Readonly<Record<string, boolean | null>> = { true: true, false: false, null: null }

class Reader {
  private readonly text: string
  private at = 0

  constructor(text: string) {
    this.text = text
  }

  document(): unknown {
    this.space()
    const value = this.value(0)
    this.space()
    if (this.at < this.text.length) throw new Misread(this.at, `the value ends before ${this.seen()}`)
    return value
  }

  /** What stands here, for a message. */
  private seen(): string {
    return this.at < this.text.length
      ? JSON.stringify(String.fromCodePoint(this.text.codePointAt(this.at)!))
      : "the end"
  }

  private space(): void {
    for (;;) {
      const char = this.text[this.at]
      if (char === " " || char === "\t" || char === "\n" || char === "\r") this.at++
      else if (char === "/" && this.text[this.at + 1] === "/") this.skipLine()
      else if (char === "/" && this.text[this.at + 1] === "*") this.skipBlock()
      else return
    }
  }

  private skipLine(): void {
    const end = this.text.indexOf("\n", this.at)
    this.at = end < 0 ? this.text.length : end
  }

  private skipBlock(): void {
    const end = this.text.indexOf("*/", this.at + 2)
    if (end < 0) throw new Misread(this.at, "a comment is opened here and never closed")
    this.at = end + 2
  }

  private match(form: RegExp): string | undefined {
    form.lastIndex = this.at
    const found = form.exec(this.text)?.[0]
    if (found !== undefined) this.at += found.length
    return found
  }

  private value(depth: number): unknown {
    if (depth > depthMax) throw new Misread(this.at, `more than ${depthMax} levels within each other`)
    const char = this.text[this.at]
    if (char === "{") return this.object(depth)
    if (char === "[") return this.list(depth)
    if (char === '"') return this.string()
    const start = this.at
    const number = this.match(numberForm)
    if (number !== undefined) return Number(number)
    const word = this.match(wordForm)
    if (word !== undefined && Object.hasOwn(words, word)) return words[word]
    this.at = start
    throw new Misread(start, `a value is expected, not ${word === undefined ? this.seen() : `"${word.slice(0, 40)}"`}`)
  }

  private string(): string {
    const start = this.at
    for (this.at++; ; this.at++) {
      const char = this.text[this.at]
      if (char === undefined || char === "\n")
        throw new Misread(start, "a text is opened here and not closed on its line")
      if (char === "\\") this.at++
      else if (char === '"') break
    }
    this.at++
    try {
      return JSON.parse(this.text.slice(start, this.at)) as string
    } catch {
      throw new Misread(start, "the text has an escape or a control character that JSON does not know")
    }
  }

  /** What stands between brackets, with commas between. */
  private members(close: string, one: () => void): void {
    this.at++
    this.space()
    if (this.text[this.at] === close) return void this.at++
    for (;;) {
      one()
      this.space()
      const char = this.text[this.at]
      if (char !== "," && char !== close)
        throw new Misread(this.at, `"," or "${close}" is expected, not ${this.seen()}`)
      this.at++
      if (char === close) return
      this.space()
      if (this.text[this.at] === close) throw new Misread(this.at, `a comma stands before "${close}": take it away`)
    }
  }

  private list(depth: number): ReadonlyArray<unknown> {
    const values: Array<unknown> = []
    this.members("]", () => void values.push(this.value(depth + 1)))
    return values
  }

  private object(depth: number): unknown {
    const entries = new Map<string, unknown>()
    this.members("}", () => {
      if (this.text[this.at] !== '"') throw new Misread(this.at, `a name in quotes is expected, not ${this.seen()}`)
      const start = this.at
      const name = this.string()
      if (entries.has(name)) throw new Misread(start, `the name ${JSON.stringify(name)} stands twice in one object`)
      this.space()
      if (this.text[this.at] !== ":") throw new Misread(this.at, `":" is expected, not ${this.seen()}`)
      this.at++
      this.space()
      entries.set(name, this.value(depth + 1))
    })
    return Object.fromEntries(entries)
  }
}

/** The value of a text, or where it is wrong. Never throws. Bound the text before. */
export const parseJsonc = (text: string): Result.Result<unknown, JsoncFault> => {
  try {
    return Result.succeed(new Reader(text).document())
  } catch (error) {
    if (!(error instanceof Misread)) throw error
    const before = text.slice(0, error.at).split("\n")
    return Result.fail({ line: before.length, column: before.at(-1)!.length + 1, message: error.message })
  }
}
