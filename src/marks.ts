/**
 * Rare paths, counted when they are reached. A simulation that never reaches one has not tested it: whoever writes such a
 * path marks it here. Counting changes nothing, so pure code may mark too. Counts are of this process and thread.
 */

/** Every mark with what it means. */
export const marks = {
  "reorg-1": "a reorganisation left one block",
  "reorg-above-3": "a reorganisation left more than three blocks",
  "reorg-above-10": "a reorganisation left more than ten blocks",
  "headers-refused": "a page of headers held one that breaks a rule, or does not fit here",
  "block-condemned": "a block broke its plan: it and its descendants are invalid from now on",
  "stored-resumed": "after a start, bodies stored before it moved the tip",
  "branch-aside": "bodies of another branch than the heaviest were wanted",
  "branch-below": "the heaviest header branch parts from the best below what its list holds",
  "body-false": "a body was refused, and is asked of others",
  "body-hurried": "the body that is needed next was asked of a second peer",
  "body-late": "a body did not come in time and is taken from its peer, to be asked of another",
  "body-lost": "a body was asked for so long ago that it is asked for again",
  "peer-too-slow": "a peer was dropped because it stalled twice",
  "behind-announcement": "an announced header has a parent that we lack",
  "peer-banned": "a peer was banned for its behaviour",
  "session-replaced": "of two sessions with one peer the one that both sides keep took the other's place",
  "session-refused": "a proven peer was not let in",
  "session-evicted": "an inbound session gave its place to a newcomer",
  "peer-probed": "a node was looked for at an endpoint, and left again",
  "session-crashed": "a session's actor failed: the connection ended",
  "hello-replayed": "a hello that was seen before was refused",
  "hello-late": "a peer did not prove who it is in time",
  "allowance-exceeded": "a peer said more unasked than its allowance holds",
  "request-lapsed": "a peer did not answer a question in time",
  "socket-paused": "a socket was not read for a while, because its session had enough to do",
  "serve-waited": "blocks asked for waited until the peer had read others",
  "serve-full": "a peer asked for more blocks than may wait for it",
  "gossip-behind": "a peer announced by UDP that its branch has more work than ours",
  "gossip-found": "an announcement told of somewhere to dial",
  "gossip-passed": "what another node announced was passed on",
  "gossip-forged": "an announcement was refused that its node has not signed",
  "gossip-flooded": "a datagram was not heard, because so many had come from its source",
  "anchor-dialled": "a node that was dialled before the restart was dialled first after it",
  "peer-announced": "a node that could not be reached for long announced itself, and is looked for again",
  "peer-unreachable": "an endpoint was dialled in vain so often that it rests as long as a ban lasts",
  "inbox-refused": "a full inbox refused a message whose sender hears so",
  "inbox-waited": "a sender waited for room in an inbox",
  "inbox-dropped-new": "a full inbox lost a new message",
  "inbox-dropped-old": "a full inbox lost the oldest message of a kind for a new one",
  "inbox-owed": "a full inbox took an answer that it was owed",
  "ask-late": "an answer did not come in time",
  "actor-restarted": "an actor crashed, or leaned on one that did, and was started again",
  "group-escalated": "a group gave up: its children crashed too often",
  "stop-forced": "what did not stop in time was interrupted",
  "pool-evicted": "a transaction had to leave the full pool for a better one",
  "pool-replaced": "a transaction was replaced by one of the same nonce, or of the same coin, that pays more",
  "pool-conflict": "a payment was refused that spends a coin of a pending one and pays too little to take its place",
  "package-evicted": "a payment had to leave the full pool, and with it what builds on it",
  "payment-impossible":
    "a new tip spends a coin of a pending payment, or has it no more: it leaves with all that builds on it",
  "reward-lost": "a reorganisation took back a reward, or made it unripe, that a pending payment spends",
  "pool-expired": "a transaction waited too long",
  "pool-retold": "what has been pending for a while was named to all peers again",
  "pool-reloaded": "the pool was filled again from disk",
  "transfer-restored": "a transaction of a losing branch is pending again",
  "transfer-not-restored": "a transaction of a losing branch does not fit the winning one",
  "disk-full": "a write found no room on the disk",
  "disk-recovered": "a write found room again",
  "template-refreshed": "a block template grew old while it was searched, and was made anew",
  "template-outrun": "the tip moved while a block was being made on the old one",
  "signature-refused": "a signer refused to sign a seal or a vote",
  "doppelganger-seen": "another process seals with the key of this one",
  "turn-taken": "an authority sealed in a slot whose leader stayed away",
  "double-sign-caught": "a header was the second one of an authority in a slot",
  "double-sign-told": "a peer told proof against an authority that was not known here",
  "authority-convicted": "a block convicted an authority",
  "own-double-sign": "a node has proof against its own key, and seals no more",
  "wish-dropped": "an operator's wish came true, or never can",
  "vote-early": "a vote named a checkpoint that is not known here",
  "vote-refused": "a signer refused to vote on a checkpoint",
  "votes-contradict": "an authority signed two votes that exclude each other",
  "finality-late": "nothing became final for a while, and a peer was asked for votes",
  "final-left": "a header was refused that leaves the final block behind",
  "final-twice": "two blocks are final that exclude each other",
  "lighter-won": "a branch won by what is justified on it, and not by its work",
  "seal-other": "a block came under another seal than its known header has",
  "thread-replaced": "a mining thread failed and another was started in its place",
  "thread-rests": "a mining thread could not be started, and is tried seldom"
} as const

export type Mark = keyof typeof marks

/** Marks that a simulation need not reach: why it hardly can, and the test that does. */
export const unsimulated: Readonly<Partial<Record<Mark, string>>> = {
  "hello-replayed": "needs one binding on two connections, which TLS never gives: src/transport/native.test.ts",
  "session-evicted": "needs more callers than a node has places: test/scenario/peers.test.ts",
  "peer-probed": "needs more nodes than a node has sessions with: test/scenario/peers.test.ts",
  "stored-resumed":
    "needs a crash after bodies were stored and before they landed, which are one commit by now: actors/chain.test.ts",
  "doppelganger-seen": "needs two processes with one key: src/validator/watch.test.ts",
  "own-double-sign": "needs two processes with one key: actors/ballots.test.ts",
  "wish-dropped": "needs an operator who votes, and simulated ones only ban: actors/ballots.test.ts",
  "final-twice": "needs more than a third of the authorities to lie: src/consensus/finality.test.ts",
  "body-lost": "needs a peer that is mute for longer than a session may be: src/peer/sync.test.ts"
}

const counts = Object.fromEntries(Object.keys(marks).map((mark) => [mark, 0])) as Record<Mark, number>

/** A path was taken, once more. */
export const reached = (mark: Mark): void => void counts[mark]++

/** How often each was reached since the process began. A copy: two of them show what lies between. */
export const marksReached = (): Readonly<Record<Mark, number>> => ({ ...counts })
