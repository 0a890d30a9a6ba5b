/** Texts of the page. What came from the run is shown, never obeyed. */

/** Steers how text is laid out, or is not to be seen: such a sign could make one name look like another. */
const unseen = /[\u0000-\u001f\u007f-\u009f\u00ad\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]/g

/** A text from the run, with a sign for each character that cannot be seen, and an end. */
export const shown = (text: string, max = 300): string => {
  const cut = text.length > max ? `${text.slice(0, max)}…` : text
  return cut.replace(unseen, "\u25af")
}

/** A count, its thousands apart. */
export const grouped = (count: number): string => String(count).replace(/\B(?=(\d{3})+$)/g, "\u202f")

/** `3 blocks`, `1 block`. */
export const counted = (count: number, thing: string): string => `${grouped(count)} ${thing}${count === 1 ? "" : "s"}`

const two = (n: number): string => String(n).padStart(2, "0")

/** Virtual time since the run began: `1:02:03.456`. In steps of whole seconds the fraction is left out. */
export const clockText = (ms: number, stepMs = 1): string => {
  const whole = Math.floor(ms + 1e-6)
  const seconds = Math.floor(whole / 1000)
  const [h, m, s] = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60, seconds % 60]
  const head = h > 0 ? `${h}:${two(m)}:${two(s)}` : `${m}:${two(s)}`
  return stepMs % 1000 === 0 ? head : `${head}.${String(whole % 1000).padStart(3, "0")}`
}

/** A stretch of time in the unit that suits it. */
export const spanText = (ms: number): string => {
  if (ms < 1000) return `${Math.round(ms * 1000) / 1000} ms`
  if (ms < 60_000) return `${(ms / 1000).toFixed(2)} s`
  if (ms < 3_600_000) return `${(ms / 60_000).toFixed(1)} min`
  return `${(ms / 3_600_000).toFixed(1)} h`
}

/** The start of an id: enough to tell two apart on a screen. */
export const shortId = (id: string): string => (id.length > 10 ? shown(id.slice(0, 8)) : shown(id))
