/** What an operator does from the page: a token for this tab, and the node's acts that need it. */
import * as api from "./api.ts"
import { recall, remember } from "./memory.ts"
import { button, element, make } from "./text.ts"

const tokenKey = "cairn-admin-token"

export interface OperatorPorts {
  /** Does the node take its own page's word, without a token? */
  readonly open: boolean
  /** The address that is in use in the wallet; empty: none. */
  readonly ownAddress: () => string
  /** Shows the page anew. */
  readonly refresh: () => void
}

export interface Operator {
  /** The buttons for a peer's row; none for an endpoint where nobody was met. */
  readonly peerButtons: (nodeId: string, state: string) => ReadonlyArray<HTMLButtonElement>
}

const input = (id: string): HTMLInputElement => element<HTMLInputElement>(id)
const panel = (): HTMLElement => element("operator")

const say = (text: string, kind: "good" | "bad", reply?: unknown): void => {
  element("operator-outcome").textContent = text
  element("operator-outcome").className = kind
  element("operator-reply").hidden = reply === undefined
  element("operator-reply").textContent = reply === undefined ? "" : JSON.stringify(reply, undefined, 2)
}

/** Marks what needs the token: it cannot be pressed without one, and says why. */
const showLock = (locked: boolean): void => {
  for (const one of document.querySelectorAll<HTMLButtonElement>("button[data-admin]")) {
    one.disabled = locked
    if (locked) one.setAttribute("aria-describedby", "operator-hint")
    else one.removeAttribute("aria-describedby")
  }
}

const hintOf = (open: boolean, token: string): string => {
  if (token !== "") return "A token is kept in this tab until it is closed or cleared, and sent with what needs it."
  if (open) return "A development node takes the word of its own page on this machine: no token is needed."
  return "Buttons that change the node need its admin token: it stands in admin.token of the data folder."
}

interface Act {
  /** Of the form or the button. */
  readonly id: string
  readonly act: () => Promise<{ readonly text: string; readonly reply?: unknown }>
}

const actsOf = ({ ownAddress }: OperatorPorts): ReadonlyArray<Act> => [
  {
    id: "validate",
    act: async () => {
      const { valid, reason } = await api.validate()
      if (!valid) throw new Error(`The chain is not valid: ${reason}`)
      return { text: "The chain is valid." }
    }
  },
  {
    id: "resolve",
    act: async () => {
      const reply = await api.act<{ readonly replaced: boolean }>("/api/consensus/resolve", {})
      return { text: reply.replaced ? "A heavier branch has taken over." : "Nobody had a heavier branch.", reply }
    }
  },
  {
    id: "mine-form",
    act: async () => {
      const miner = input("mine-to").value.trim() || ownAddress()
      const { block } = await api.mine(miner)
      return { text: `Block ${block.height} was sealed.` }
    }
  },
  {
    id: "backup-form",
    act: async () => {
      const label = input("backup-label").value.trim()
      const reply = await api.act<{ readonly message: string }>("/api/admin/backup", label === "" ? {} : { label })
      return { text: reply.message, reply }
    }
  },
  {
    id: "peer-form",
    act: async () => {
      const reply = await api.act<{ readonly message: string }>("/api/peers", { peer: input("peer-name").value.trim() })
      input("peer-name").value = ""
      return { text: reply.message }
    }
  }
]

/** The panel, ready to be used. */
export const makeOperator = (ports: OperatorPorts): Operator => {
  const relock = (): void => {
    const token = recall(tokenKey)
    api.useToken(token)
    element("operator-hint").textContent = hintOf(ports.open, token)
    element("token-clear").hidden = token === ""
    showLock(!ports.open && token === "")
  }
  const attempt = async (act: Act["act"]): Promise<void> => {
    say("…", "good")
    try {
      const { text, reply } = await act()
      say(text, "good", reply)
      ports.refresh()
    } catch (error) {
      say(error instanceof Error ? error.message : String(error), "bad")
    }
  }

  for (const { id, act } of actsOf(ports)) {
    const place = element(id)
    if (place instanceof HTMLFormElement) {
      place.onsubmit = (event) => {
        event.preventDefault()
        void attempt(act)
      }
    } else place.onclick = () => void attempt(act)
  }
  element<HTMLFormElement>("token-form").onsubmit = (event) => {
    event.preventDefault()
    remember(tokenKey, input("token").value.trim())
    input("token").value = ""
    relock()
  }
  element("token-clear").onclick = () => {
    remember(tokenKey, "")
    say("", "good")
    relock()
  }
  panel().hidden = false
  relock()

  const peerButtons: Operator["peerButtons"] = (nodeId, state) => {
    const verb = state === "banned" ? "unban" : "ban"
    if (nodeId === "") return []
    const press = async (): Promise<{ readonly text: string }> => {
      await api.act(`/api/peers/${encodeURIComponent(nodeId)}/${verb}`, {})
      return { text: `${nodeId} is ${verb}ned.` }
    }
    const made = button(verb === "ban" ? "Ban" : "Unban", () => void attempt(press))
    made.dataset["admin"] = ""
    made.disabled = !ports.open && recall(tokenKey) === ""
    made.append(make("span", "visually-hidden", ` ${nodeId}`))
    return [made]
  }
  return { peerButtons }
}
