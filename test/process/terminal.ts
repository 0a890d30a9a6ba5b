/** A program at a terminal, as a person sees it: what it prints until it ends, and Ctrl-C typed when some words have come. */

/** Prints of `command` without colours, to the terminal's own end: a program's last line is there when it has said it. */
export const atTerminal = async (
  command: ReadonlyArray<string>,
  interruptAt?: string
): Promise<{ readonly text: string; readonly code: number }> => {
  const decoder = new TextDecoder()
  const ended = Promise.withResolvers<void>()
  let text = ""
  let typed = interruptAt === undefined
  const child = Bun.spawn([...command], {
    terminal: {
      cols: 200,
      data: (terminal, bytes) => {
        text += decoder.decode(bytes, { stream: true })
        if (typed || !text.includes(interruptAt!)) return
        typed = true
        terminal.write("\x03")
      },
      exit: () => ended.resolve()
    }
  })
  const code = await child.exited
  await ended.promise
  return { text: Bun.stripANSI(text), code }
}
