/** What this tab remembers: sessionStorage, which goes with the tab. Where a browser forbids it, nothing is remembered. */

export const recall = (key: string): string => {
  try {
    return sessionStorage.getItem(key) ?? ""
  } catch {
    return ""
  }
}

/** An empty text is forgotten. */
export const remember = (key: string, text: string): void => {
  try {
    if (text === "") sessionStorage.removeItem(key)
    else sessionStorage.setItem(key, text)
  } catch {
    // A browser that keeps nothing shows the same page.
  }
}
