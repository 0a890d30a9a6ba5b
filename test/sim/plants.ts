/**
 * Mistakes that a person could make, each as a change of one place of the real source: what the swarm must find.
 * plant-preload.ts makes the change while the file is loaded, hunt.ts looks for it, docs/testing.md says what came of it.
 */
import type { ConsensusName, Fault, GossipForm } from "../../src/sim/plan.ts"

export interface Plant {
  readonly name: string
  /** The mistake, and what comes of it. */
  readonly what: string
  /** From the root of the repository. */
  readonly file: string
  /** Stands exactly once in the file. */
  readonly find: string
  readonly replace: string
  /** A run that finds it has at least one of these faults. None: it shows without any. */
  readonly needs: ReadonlyArray<Fault>
  /** On which chains it is hunted; undefined: those of work. */
  readonly consensus?: ConsensusName
  /** Do nodes announce by UDP, and operators ban? Undefined: neither. */
  readonly gossip?: GossipForm
  /** The first seed that the tests hunt with, the first one otherwise: many before it find nothing, which was seen once. */
  readonly from?: number
  /** What a run that finds it says. */
  readonly shows: RegExp
}

/** The file's text with the mistake in it. Throws if its place is not there, or there twice. */
export const plantIn = (text: string, { name, file, find, replace }: Plant): string => {
  const parts = text.split(find)
  if (parts.length !== 2) throw new Error(`the place of "${name}" stands ${parts.length - 1} times in ${file}`)
  return parts.join(replace)
}

const neverConfirmed = /is confirmed everywhere|is pending, and the account is at|are pending, and \d+ on its disk/

/** Those that take long to find come first. */
export const plants: ReadonlyArray<Plant> = [
  {
    name: "slots-kept",
    what: "A body that came or was given up keeps its place in the count of what its peer is asked for: the download stalls.",
    file: "src/peer/asks.ts",
    find: `
      else this.counts.set(ask.session, this.countOf(ask.session) - 1)`,
    replace: "",
    needs: [],
    from: 8,
    shows: /not within 30 minutes of quiet/
  },
  {
    name: "told-before-commit",
    what: "Everyone hears of a new tip before it is on disk: the pool asks the old state what is confirmed.",
    file: "actors/chain.ts",
    find: `      const outcome = yield* whenRoom(ports, state, () => commit(ports, { state, plan, reader, now }))
      if (Result.isSuccess(outcome)) {
        markReorg(plan.detach.length)
        for (const { block } of outcome.success.attached) attached.add(block.header.id)
        yield* ports.moved(moveOf(outcome.success, store.tip(), offers))
`,
    replace: `      const outcome = runPlan(plan, { rules: ports.rules, reader, verified: ports.verified })
      if (Result.isSuccess(outcome)) {
        markReorg(plan.detach.length)
        for (const { block } of outcome.success.attached) attached.add(block.header.id)
        yield* ports.moved(moveOf(outcome.success, reader.find(plan.attach.at(-1)!)!, offers))
        yield* whenRoom(ports, state, () => commit(ports, { state, plan, reader, now }))
`,
    needs: [],
    from: 20,
    shows: /are pending, and \d+ on its disk/
  },
  {
    name: "clock-ahead-is-a-lie",
    what: "A block that comes early by the clock of who judges it is priced, though its miner may be honest and its clock ahead.",
    file: "src/chain/reject.ts",
    find: `"time-too-far-ahead": { blame: "nobody"`,
    replace: `"time-too-far-ahead": { blame: "peer"`,
    needs: ["clock-skew"],
    from: 12,
    shows: /has banned \w+, which is honest/
  },
  {
    name: "two-of-one-nonce",
    what: "A transfer that takes the place of another of its nonce comes in, and the other stays.",
    file: "src/mempool/account-pool.ts",
    find: `    if (replaced !== undefined) this.remove(replaced)
`,
    replace: "",
    needs: [],
    shows: neverConfirmed
  },
  {
    name: "inbox-without-bound",
    what: "An inbox takes whatever comes.",
    file: "actors/inbox.ts",
    find: `    if (!this.full) return this.append(message)
`,
    replace: `    return this.append(message)
`,
    needs: [],
    from: 36,
    shows: /holds \d+ inbox, \d+ are allowed/
  },
  {
    name: "answer-before-commit",
    what: "The pool answers as soon as it has admitted a transfer; its row is written with the batch.",
    file: "actors/mempool.ts",
    find: `    if (refused === undefined) state.fresh.push({ transaction, from: undefined, reply })
`,
    replace: `    if (refused === undefined) {
      state.fresh.push({ transaction, from: undefined, reply })
      reply.succeed({ pending: state.pool.totals.count, account: view(state, payerOf(transaction)) })
    }
`,
    needs: ["torn-write", "disk-full", "crash"],
    from: 5,
    shows: /was acknowledged and is lost/
  },
  {
    name: "lost-wake-up",
    what: "An actor with an empty inbox makes what wakes it in an operation of its own, as `Deferred.make` reads best. A message that comes in between wakes nobody.",
    file: "actors/actor.ts",
    find: `    this.wake = Deferred.makeUnsafe<void>()
    return Deferred.await(this.wake)`,
    replace: `    return Effect.flatMap(Deferred.make<void>(), (wake) => {
      this.wake = wake
      return Deferred.await(wake)
    })`,
    needs: [],
    shows: /has waited for \w/
  },
  {
    name: "undo-leaves-entry",
    what: "What a landing changes in the state is written; what it takes away again is not deleted. A reorganisation leaves accounts behind that nobody was paid into being.",
    file: "src/store/store.ts",
    find: `      if (value === undefined) this.sql.deleteEntry.run(keyBytes(key))
      else this.sql.setEntry.run(keyBytes(key), value, units, ledger.ownerOf(value) ?? null)`,
    replace: `      if (value !== undefined) this.sql.setEntry.run(keyBytes(key), value, units, ledger.ownerOf(value) ?? null)`,
    needs: [],
    shows: /the entries hold|entries follow from the blocks|is not what the blocks say|the balances are not/
  },
  {
    name: "undo-off-by-one",
    what: "The index of transactions is undone from the second on, as if the first were a coinbase.",
    file: "src/store/store.ts",
    find: `for (const { id } of block.transactions) this.sql.deleteTransaction.run(id)`,
    replace: `for (const { id } of block.transactions.slice(1)) this.sql.deleteTransaction.run(id)`,
    needs: [],
    shows: /UNIQUE constraint failed: transactions\.id/
  },
  {
    name: "synchronous-normal",
    what: "A commit returns before it is on disk.",
    file: "src/store/db.ts",
    find: `db.run("PRAGMA synchronous = FULL")`,
    replace: `db.run("PRAGMA synchronous = NORMAL")`,
    needs: ["torn-write", "crash"],
    shows: /was acknowledged and is lost/
  },
  {
    name: "longest-chain",
    what: "The higher branch wins, not the one with more work.",
    file: "src/chain/choose.ts",
    find: `(candidate: Pick<Row, "work">, tip: Pick<Row, "work">): boolean => candidate.work > tip.work`,
    replace: `(candidate: Row, tip: Row): boolean => candidate.header.height > tip.header.height`,
    needs: [],
    shows: /has more work than the tip|one tip/
  },
  {
    name: "reorganisation-forgets",
    what: "Of a losing branch only the transfers of its last block go back to the pool.",
    file: "actors/chain.ts",
    find: `  const returned: ReadonlyArray<Transaction> = landing.detached
    .flatMap`,
    replace: `  const returned: ReadonlyArray<Transaction> = landing.detached
    .slice(0, 1)
    .flatMap`,
    needs: [],
    shows: neverConfirmed
  },
  {
    name: "ancestors-of-the-best",
    what: "A header on a side branch is held against the median time of the best branch, as soon as that has blocks as high.",
    file: "src/chain/reader.ts",
    find: `while (lowest.height > height && !isBest(reader, lowest)) {`,
    replace: `while (lowest.height > height && reader.bestAt(height) === undefined) {`,
    needs: [],
    from: 4,
    shows: /holds an honest block invalid, as time-too-early/
  },
  {
    name: "fees-of-the-plan",
    what: "A block that is attached after others pays its proposer their fees, too: right for one block, wrong in a reorganisation.",
    file: "src/chain/connect.ts",
    find: `this.rules.ledger.applyReward(state, header, fees, block.transactions[0])`,
    replace: `this.rules.ledger.applyReward(state, header, this.attached.reduce((sum, one) => sum + one.fees, fees) as Amount, undefined)`,
    needs: [],
    shows: /a block changes the supply by its reward|is confirmed everywhere/
  },
  {
    name: "spenders-forgotten",
    what: "After a reorganisation that gives payments back, the pool of coins does not know any more who spends which coin.",
    file: "src/mempool/coin-pool.ts",
    find: `    const pushed = payments.length === 0 ? [] : this.admitAll([...payments, ...waiting], view, now)
`,
    replace: `    const pushed = payments.length === 0 ? [] : this.admitAll([...payments, ...waiting], view, now)
    if (payments.length > 0) this.spenders.clear()
`,
    needs: [],
    from: 51,
    shows: new RegExp(`${neverConfirmed.source}|that the tip makes impossible`)
  },
  {
    name: "undo-forgets-reward",
    what: "The undo record of a block leaves out what its coinbase made: a reorganisation leaves rewards behind that no block pays.",
    file: "src/chain/connect.ts",
    find: `undo: encodeUndo(state.changes), fees })`,
    replace: `undo: encodeUndo(
      new Map([...state.changes].filter(([key]) => !key.startsWith(toHex(block.transactions[0]?.id ?? block.header.hash))))
    ), fees })`,
    needs: [],
    shows: /undo leads back to the state of the fork point/
  },
  {
    name: "reward-ripe-early",
    what: "A reward may be spent one block too early.",
    file: "src/ledger/utxo.ts",
    find: `place.height >= ripeAt`,
    replace: `place.height + 1 >= ripeAt`,
    needs: [],
    shows: /a block before it may be spent|has taken a block with a payment of the last block's reward/
  },
  {
    name: "input-twice",
    what: "A payment may name one coin twice, and spend twice what it holds.",
    file: "src/ledger/utxo.ts",
    find: `new Set(spends).size !== spends.length`,
    replace: `new Set(spends).size > spends.length`,
    needs: ["byzantine"],
    from: 32,
    shows: /a block changes the supply by its reward/
  },
  {
    name: "restart-forgets",
    what: "A node that starts does not read its table of pending transfers.",
    file: "actors/mempool.ts",
    find: `    fill(state)
    return state`,
    replace: `    return state`,
    needs: ["crash", "torn-write", "disk-full"],
    shows: neverConfirmed
  },
  {
    name: "book-unwritten",
    what: "A signer asks its book whether it may sign, and does not write down that it has.",
    file: "src/validator/signer.ts",
    find: `    book.save(signed)
`,
    replace: "",
    needs: [],
    consensus: "poa",
    shows: /has sealed two headers of slot/
  },
  {
    name: "seal-unchecked",
    what: "Nobody looks at an authority's signature.",
    file: "src/consensus/poa.ts",
    find: `return isSealed(header)`,
    replace: `return isSealed(header) || true`,
    needs: ["byzantine"],
    consensus: "poa",
    shows: /has taken a block with|with a key that is not its proposer's|with a false seal/
  },
  {
    name: "delay-ignored",
    what: "Whose turn it is not need not wait: it may seal at the beginning of the slot.",
    file: "src/consensus/poa.ts",
    find: `if (header.time < turn.from)`,
    replace: `if (header.time < turn.from - rota.slotMs)`,
    needs: ["byzantine"],
    consensus: "poa",
    from: 9,
    shows: /has taken a block with a time before its delay|into a slot where its proposer waits/
  },
  {
    name: "weight-claimed",
    what: "A block weighs what its header says, whoever's turn it is.",
    file: "src/consensus/poa.ts",
    find: `if (weight !== turn.weight)`,
    replace: `if (weight === 0)`,
    needs: ["byzantine"],
    consensus: "poa",
    from: 7,
    shows: /has taken a block with|of a proposer of rank/
  },
  {
    name: "seal-condemns",
    what: "A false seal condemns the header's hash, which does not cover the seal: whoever shows one first keeps the true block out.",
    file: "src/chain/reject.ts",
    find: `"signature-wrong": { blame: "peer", condemns: false }`,
    replace: `"signature-wrong": { blame: "peer", condemns: true }`,
    needs: ["byzantine"],
    consensus: "poa",
    from: 38,
    shows: /holds an honest block invalid, as signature-wrong|not within 30 minutes of quiet/
  },
  {
    name: "half-is-enough",
    what: "A link counts with more than half of the votes, where more than two thirds are needed.",
    file: "src/consensus/finality.ts",
    find: `3 * electorate.intersection(voters).size > 2 * electorate.size`,
    replace: `2 * electorate.intersection(voters).size > electorate.size`,
    needs: [],
    consensus: "poa",
    from: 4,
    shows: /final on \d+ votes of|where \w+ is final/
  },
  {
    name: "slot-shared",
    what: "A block may stand in its parent's slot.",
    file: "src/consensus/poa.ts",
    find: `slotStart(author.rota, slotOf(author.rota, parent.time) + 1)`,
    replace: `slotStart(author.rota, slotOf(author.rota, parent.time))`,
    needs: ["byzantine"],
    consensus: "poa",
    from: 31,
    shows: /has taken a block with|its parent's or an earlier one/
  },
  {
    name: "announcement-unsigned",
    what: "Nobody looks at the signature of what is announced by UDP.",
    file: "src/gossip/machine.ts",
    find: `    if (!isSigned(announced, options.genesis)) return dropped("announcement-forged")
`,
    replace: "",
    needs: [],
    gossip: "plain",
    shows: /remembers what \d+ nodes have announced/
  },
  {
    name: "announcer-answered",
    what: "Whoever announces hears announcements from then on, at the place that he names: a way to have others flooded.",
    file: "src/gossip/machine.ts",
    find: `    memory.admit(node, fresh, (other) => this.byNode.has(other))
`,
    replace: `    memory.admit(node, fresh, (other) => this.byNode.has(other))
    const [host = "", port = ""] = announced.gossipEndpoint.split(":")
    if (host !== "") this.seeds = [...this.seeds, { host, port: Number(port) }].slice(-64)
`,
    needs: [],
    gossip: "plain",
    shows: /has sent a datagram to [\d.]+, where no node is/
  },
  {
    name: "ban-talked-away",
    what: "An endpoint that is named again is as good as a new one: the ban of who was found there is lifted.",
    file: "src/peer/directory.ts",
    find: `    if (this.addresses.find(endpoint) !== undefined) return "known"
    const net = netOfEndpoint(endpoint)
`,
    replace: `    const known = this.addresses.find(endpoint)
    if (known?.nodeId !== undefined) this.unban(known.nodeId)
    if (known !== undefined) return "known"
    const net = netOfEndpoint(endpoint)
`,
    needs: ["ban"],
    gossip: "plain",
    from: 5,
    shows: /has let \w+ off \d+ ms before its ban was over|thinks otherwise of/
  },
  {
    name: "fame-earns",
    what: "Whom others name earns by it, whoever names him.",
    file: "actors/maintenance.ts",
    find: `    for (const { endpoint } of taken) state.directory.learn(endpoint, held?.remoteHost, nowOf(state))
`,
    replace: `    for (const { endpoint } of taken) {
      state.directory.learn(endpoint, held?.remoteHost, nowOf(state))
      const known = state.directory.find(state.directory.placeOf(endpoint)?.nodeId ?? "")
      if (known !== undefined) known.score += 1
    }
`,
    needs: [],
    gossip: "plain",
    shows: /thinks otherwise of \w+ after nothing but datagrams/
  }
]
