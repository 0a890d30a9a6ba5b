/**
 * Every bound of the node in one table: what it bounds, why this number, and what happens at the limit.
 * Constants, never scaled from the machine. What a chain may choose for itself stands in its chain spec and is
 * itself bounded here.
 */
import { assert } from "./assert.ts"

/** Bytes of one encoded block. 4 MiB: ten thousand transfers; a larger one is refused before it is decoded. */
export const blockBytesMax = 4 * 1024 * 1024
/** Transactions of one block that any chain spec may allow. */
export const blockTransactionsMax = 20_000
/** Bytes of a block's extra data that any chain spec may allow. */
export const extraBytesMax = 1024
/** Bytes of a transfer's note (L-T9). Longer: refused. */
export const noteBytesMax = 280
/** Bytes of a transaction's data that any chain spec may allow: beside the longest note and chain id they fit a transfer. */
export const payloadBytesMax = 512
/** Characters of a chain id. It is part of every signed transfer. */
export const chainIdBytesMax = 32
/** Bytes of one encoded transfer: fixed fields, longest chain id and note. Longer: refused before decoding. */
export const transferBytesMax = 1024
/** Bytes of one encoded transaction of any form; a payment of some 200 coins of one owner. Longer: refused before decoding. */
export const transactionBytesMax = 8_000
/** Elements of one block filter: an element of a block costs it at least the 28 bytes of an output. More: refused before decoding. */
export const filterElementsMax = Math.ceil(blockBytesMax / 28)
/** Authorities of a chain at one time. Their rota is walked for each header. */
export const authoritiesMax = 256
/** Slots of one authority whose first sealed header is remembered in memory; its lowest goes first, and never another's. */
export const sealsWatchedMax = 32
/** Pieces of evidence kept against one authority. One convicts for ever; the others only show how often. More: not kept. */
export const evidencePerAuthorityMax = 4
/** Pieces of evidence kept in all: 700 kB. More than half of the authorities would have to be guilty; then the oldest goes. */
export const evidenceMax = 1_024
/** Pieces of evidence told to a peer that has just come; a block convicts one a time, and the others follow with their blocks. */
export const evidenceToldMax = 32
/** Wishes of an operator about other authorities. An authority has one vote at a time, so they are served in turn. More: refused. */
export const wishesMax = 64
/** Headers that the view of leaders counts, and slots that it shows by themselves, back or ahead: 256 headers are read in some ms. */
export const leaderBlocksMax = 256
export const leaderSlotsMax = 64
/** Milliseconds between two lines of the log about leaders that were late: a dead one would fill it. */
export const slotLogMs = 10_000
/**
 * Checkpoint votes of one authority that are held, those for the highest targets: what is late by more than so many
 * checkpoints is proven by a certificate, or never becomes justified.
 */
export const votesPerAuthorityMax = 8
/** Justified checkpoints remembered above the final one, the highest: votes come from one of the last. */
export const justifiedMax = 16
/** Links remembered that made a block final while the authorities changed, the newest: who comes later follows them all. */
export const finalLinksMax = 1_024
/** Votes in one message: any certificate goes into one. */
export const votesPerMessageMax = 2 * authoritiesMax
/** Bytes of the library's log that standard error has not taken. Beyond: lines are left out, and counted. */
export const logQueueBytesMax = 1024 * 1024
/** Streams of the chain's protocol that a peer may have open on one connection: one is a session, another may just be ending. */
export const chainStreamsMax = 4
/** Multiaddrs that a node hears on, or tells, by libp2p. More: refused. */
export const libp2pListenMax = 8
/** Peers that an operator names as seeds, and hosts or node ids on a list of allowed ones. More: refused. */
export const peerSeedsMax = 256
export const allowedPeersMax = 1_024
/** Characters of one setting's text: a list of a thousand peers. Longer: refused. */
export const settingCharsMax = 65_536
/** Bytes of a file of settings, of one with a secret, and of one that a node's key stands in. Larger: refused. */
export const settingsBytesMax = 256 * 1024
export const secretBytesMax = 4_096
/** Bytes of a chain spec file; a genesis of some ten thousand accounts. */
export const specBytesMax = 2 * 1024 * 1024

/** Milliseconds by which a header may be ahead of our clock, at most, whatever the spec says. */
export const futureMsMax = 2 * 60 * 60 * 1000
/** Ancestors whose median time a header must exceed, at most, whatever the spec says. */
export const medianBlocksMax = 101

/** Headers in one `headers` message. 2,000 x 339 bytes = 678 kB. */
export const headersPerMessageMax = 2_000
/** Hashes in one `getblocks`, `inv` or `gettx`. */
export const hashesPerMessageMax = 512
/** Hashes of a block locator: ten single steps, then doubling, reaches any height below 2^50. */
export const locatorHashesMax = 64
/**
 * A libp2p address: bytes, parts, and characters of its text, where %XX may stand for a byte. An address of a relay with two
 * certificate hashes and two peers has some 300 bytes and 12 parts, one of I2P 400. More: refused before it is read.
 */
export const multiaddrBytesMax = 1_024
export const multiaddrPartsMax = 32
export const multiaddrCharsMax = 4_096
/** Bytes of a signed envelope: one message of identify, the largest thing that carries one. Longer: refused before it is read. */
export const envelopeBytesMax = 8 * 1024
/** Addresses of a peer record that is read or written: a host with sixteen interfaces and all transports has fewer. More: refused. */
export const peerRecordAddressesMax = 256
/** Peer addresses in one `peers` message. */
export const peersPerMessageMax = 64

/** Bytes of a header in a packed page, at most: nothing of it left out but what always follows from its chain. */
export const packedHeaderBytesMax = 1 + 20 + 8 + 32 + 32 + 32 + 8 + 1 + 20 + 33 + 64
/** Bytes of one proof; the longest, of an account whose path shares all 256 bits with another, has less than 9,000. */
export const proofBytesMax = 16_384
/** Blocks from one checkpoint of filter headers to the next, as in BIP 157. */
export const checkpointBlocks = 1_000
/** Filter headers in one answer; as checkpoints they cover two million blocks. */
export const filterHeadersPerMessageMax = 2_000
/** Filters in one answer. */
export const filtersPerMessageMax = 1_000
/** Bytes of filters after which an answer takes no further one. */
export const filterAnswerBytesMax = 1024 * 1024
/** Bytes of one filter: its number of elements, and 21.5 bits for each. */
export const filterBytesMax = 5 + Math.ceil((filterElementsMax * 21.5) / 8)
/** Blocks whose filters a landing makes besides its own, where an older program or a snapshot has left some out. */
export const filtersPerLandingMax = 64

/** Bytes of one frame between peers: a block and its envelope. A longer one ends the session before it is read. */
export const frameBytesMax = blockBytesMax + 1024
/** Bytes of a hello frame, the only frame taken before the peer has proven who it is. */
export const helloBytesMax = 4096
/** Bytes queued towards one peer. A reader that lets it fill is dropped as too slow. */
export const outboundBytesMax = 16 * 1024 * 1024
/** Milliseconds from accepting a socket to a verified hello; then the socket is closed. */
export const handshakeMsMax = 10_000
/** Milliseconds that a peer may take to answer a request; then it stalls and another is asked. */
export const requestMsMax = 10_000
/** Milliseconds of silence after which we ping. */
export const pingAfterMs = 20_000
/** Milliseconds without any frame after which a session ends. */
export const peerIdleMsMax = 60_000
/** Requests in flight towards one peer, by kind. Beyond: bodies are asked of another, transactions wait, the rest is not asked. */
export const requestsPerPeerMax = { headers: 1, blocks: 64, transactions: 4, peers: 1, light: 8 } as const
/** Transactions that one peer has named and that wait to be asked for; the oldest goes first. */
export const offeredPerPeerMax = 4_096
/** Questions remembered whose time is over; the oldest goes first, and its answer is then one that nobody asked for. */
export const lapsedPerPeerMax = 64
/** Transactions and blocks that one peer is remembered to know, so that nothing is announced back; the oldest goes first. */
export const knownPerPeerMax = 4_096
/** Blocks that one peer has asked for and that wait until it has read others. More: not heard, and priced. */
export const servedPerPeerMax = 4 * hashesPerMessageMax
/** Messages of a proven peer kept until it is let in. More: not heard. */
export const earlyMessagesMax = 8
/** Units a millisecond, and saved up at most, of what a peer may say unasked (peer/allowance.ts). Beyond: not heard, and priced. */
export const allowancePerMs = 2
export const allowanceMax = 4_000
/** Milliseconds that a signed hello stays fresh; older or newer ones, and a nonce seen within it, are refused. */
export const helloFreshMs = 120_000
/** Hello nonces remembered to refuse a replay; the oldest goes first. */
export const helloNoncesMax = 10_000

/** Milliseconds for what is queued to leave, and for the peer to close, once a connection is ending; then it is cut. */
export const lingerMsMax = 5_000
/** Sockets accepted and not closed yet, proven or not. Beyond: closed before the TLS handshake. */
export const acceptedSocketsMax = 256
/** Such sockets from one IPv4 address or /64 of IPv6, loopback excepted. Each counts its own: a door of our own TLS, a world of links. */
export const acceptedPerIpMax = 8

/** Sessions in all, inbound and outbound. */
export const sessionsMax = 64
/** Sessions that we dial. */
export const outboundSessionsMax = 12
/** Sessions open at a time, proven or not. Beyond: closed at once. */
export const openSessionsMax = acceptedSocketsMax + 2 * outboundSessionsMax
/** Sessions from one IP address (L-E3), loopback excepted. */
export const sessionsPerIpMax = 4
/** Peers remembered in the directory; the worst inactive one goes first. */
export const directoryPeersMax = 1_024
/**
 * Places for endpoints that only others have named: 256 buckets of 16, 16 of the buckets for all that one network names. So who
 * fills a book with lies needs many networks to lie from. Full: who is there stays, unless nobody ever answered.
 */
export const newBuckets = 256
export const newSlots = 16
export const newBucketsPerSource = 16
/** Places of one bucket for endpoints where we found a node, and buckets that one network can get into: 8 places of all. */
export const triedSlots = 4
export const triedBucketsPerGroup = 2
/** Found endpoints whose place another has; that one is tried before it loses it. More: the newcomer stays where it was. */
export const rivalsMax = 16
/** Endpoints that an operator has added by hand. More: refused until some are removed. */
export const manualPeersMax = 256
/** Sessions that we dialled and that are dialled first after a restart, once. */
export const anchorsMax = 4
/** Milliseconds between two dials of an endpoint that rests, because its node announces it: so often at most others have us dial in vain. */
export const announcedGapMs = 30_000
/** Milliseconds for which an operator may ban a peer: ten years. */
export const banMsMax = 10 * 365 * 24 * 60 * 60 * 1000
/** Misbehaviour points at which a peer is banned. */
export const banScore = 100
/** Milliseconds of a ban (L-E6, longer: theirs is 300 s and lifted by any datagram). */
export const banMs = 60 * 60 * 1000

/** Block bodies wanted ahead of the best branch on one branch that a peer has. */
export const bodiesAheadMax = 1_024
/** Milliseconds after which the body that a branch needs next is asked of a second peer. */
export const hurryMs = 2_000
/** Block bodies in flight from one peer. */
export const bodiesInFlightPerPeerMax = 32
/** Headers known above the tip without their bodies; beyond it no more are taken until bodies have come. */
export const headersAheadMax = 1_000_000
/** Ids of the heaviest header branch kept below the tip. A branch that parts further down is walked instead. */
export const branchBelowMax = 4_096
/** Invalid block hashes remembered; the oldest goes first. */
export const invalidBlocksMax = 10_000

/** Pending transactions (L row 1.3: 5,000; ours are small and indexed). Full: the cheapest goes, or the new one is refused. */
export const pendingTransactionsMax = 50_000
/** Bytes of pending transactions. */
export const pendingBytesMax = 32 * 1024 * 1024
/** Pending transactions of one sender. */
export const pendingPerSenderMax = 64
/** Distance from the account's next nonce up to which a transfer waits (defect 15: exact for inclusion). */
export const nonceGapMax = 64
/** Pending transactions that are named again to every peer in a minute, in turn: what they refused once they may take now. */
export const retoldMax = 512
/** Milliseconds after which a pending transaction is dropped. */
export const pendingMsMax = 24 * 60 * 60 * 1000
/** A replacement must pay at least this many percent of the replaced fee. */
export const replaceFeePercent = 110
/**
 * Pending payments that one may build on, and that may build on one, itself counted; and bytes of either (coins). So much
 * must be looked at when one comes or goes, and so much goes with it. More: refused.
 */
export const ancestorsMax = 25
export const descendantsMax = 25
export const packageBytesMax = 100_000
/** Pending payments that one newcomer may replace, those that build on them included. More: refused, whatever it pays. */
export const replacedMax = 100
/** Signatures remembered as already verified; the oldest goes first. */
export const verifiedSignaturesMax = 100_000

/** Messages that wait for the chain; then senders wait, so sockets slow down. */
export const chainInboxMax = 1_024
/** Messages that the chain handles before it decides: as many blocks may share one transaction. */
export const chainBatchMax = 256
/** Messages that wait for the download's actor; then senders wait. */
export const syncInboxMax = 1_024
/** Messages that wait for the actor of finality. Beyond: lost, and asked for again while nothing becomes final. */
export const finalityInboxMax = 1_024
/** Blocks ordered by name that wait to be sealed. Beyond: Busy. */
export const mineOrdersMax = 64
/** Seals that a process remembers to have asked for, to know its own blocks by: hours of slots in turn. */
export const sealsRememberedMax = 1_024
/** Bytes of a line of the signing socket: a vote of 379 bytes in hex, and some words. Longer: the connection ends. */
export const signerLineBytesMax = 1_024
/** Connections to one signing socket; only its owner can make any. Beyond: refused. */
export const signerLinksMax = 8
/** Milliseconds in which a signer greets and answers; then it counts as away, and the connection is made anew. */
export const signerAnswerMsMax = 1_500
/** Milliseconds before a signer that is away is dialled again; twice as long after each time in vain, up to the second. */
export const signerRetryMs = 100
export const signerRetryMsMax = 5_000
/** Milliseconds that a node waits at its start for a signer that starts beside it. */
export const signerStartMsMax = 30_000

/** Milliseconds before a mining thread that failed is started again; twice as long after each start in vain. */
export const threadRetryMs = 1_000
/** Starts in a row after which a mining thread that never reports rests, and for how many milliseconds; the others go on. */
export const threadStartsMax = 3
export const threadRestMs = 60_000

/** Milliseconds before a write that found no room on the disk is tried again; twice as long each time, up to the second. */
export const diskRetryMs = 500
export const diskRetryMsMax = 15_000

/** Characters of a backup's label; what is longer is cut. */
export const backupLabelCharsMax = 48
/** Bytes of a backup's manifest, and of its sealed keys: some thousands of key files. Larger: not read, and not made. */
export const manifestBytesMax = 16 * 1024
export const backupKeysBytesMax = 8 * 1024 * 1024
/** Backups of one label that an operator may wish to keep. */
export const backupsKeptMax = 10_000
/** Milliseconds that a backup which somebody waits for may take before he hears that it goes on without him. */
export const backupMsMax = 110_000
/** Backups that wait for the one that is made. Beyond: Busy. */
export const backupsWaitingMax = 4
/** Blocks that pruning keeps at least: as far as a snapshot's own, and beyond any honest change of branch. */
export const prunedKeepMin = 288

/** Bytes of an HTTP request body. Larger: 413. */
export const httpBodyBytesMax = 256 * 1024
/** Bytes of a body that brings a block in hex, to the one route that takes one. Larger: 413. */
export const httpBlockBytesMax = 2 * blockBytesMax + 4_096
/** Nodes that one node asks by HTTP. More: refused at the start. */
export const bootstrapMax = 16
/** Characters of a node's URL. */
export const nodeUrlCharsMax = 200
/** Headers in one raw page by HTTP: 350 kB in hex; and hashes of its locator, as many as a URL has room for. */
export const rawHeadersMax = 512
export const rawLocatorMax = 32
/** Blocks asked for in one raw page. As many are given as one longest block has bytes, and the first in any case. */
export const rawBlocksMax = 64
/** Bytes of an answer with raw blocks, and of any other that one node gives another by HTTP. A longer one is not read. */
export const rawBlocksBytesMax = 2 * blockBytesMax + 64 * 1024
export const rawAnswerBytesMax = 1024 * 1024
/** Blocks fetched by HTTP that the chain has not judged. Beyond: no more are asked for until it has. */
export const rawUnjudgedMax = 128
/** Milliseconds before a node that has had too many requests of ours is asked again, and between two looks at what one lacks. */
export const httpPauseMs = 1_000
/** Times in one run that a node may leave the branch whose headers it gives. */
export const rawRestartsMax = 3
/** Milliseconds of the longest wait for a node that fails to answer, or that lies. */
export const httpBackoffMsMax = 10 * 60 * 1000
/** Polls for one while there are sessions, which bring news sooner. */
export const httpSeldomPolls = 15
/** Milliseconds that an order to look for a heavier branch may take; and looks that wait for one. More: Busy. */
export const resolveMsMax = 20_000
export const resolvesMax = 16
/** Milliseconds that a peer who has told of blocks by HTTP waits for our session to bring them. */
export const pullMsMax = 5_000
/** Transactions that wait to be posted to one node; the oldest goes first, and is told again by no one. */
export const relayedMax = 256
/** Nodes whose last signed word is remembered, so that it is not replayed; the oldest goes first, and what is older than it is refused. */
export const peerWordsMax = 4_096
/** Milliseconds between two lines of the log about nodes that say they did not reach us: they may say so 600 times a minute. */
export const peerFailureLogMs = 10_000
/** Rows of one HTTP page. */
export const httpPageMax = 256
/** Clients whose rate of HTTP requests is kept, of each class of routes: 16 bytes each. Others share the debts of those. A multiple of 8. */
export const httpClientsMax = 32_768
/** Wrong admin tokens and peer secrets that a client may show in a minute. Beyond: 429, before anything is compared. */
export const httpGuessesPerMinute = 10
/** Lines about wrong tokens that the log takes in a minute. */
export const httpGuessLinesPerMinute = 60
/** Named tokens of one node, and bytes of their file. */
export const adminTokensMax = 64
export const adminTokensBytesMax = 64 * 1024
/** Accounts of the public mnemonic that a development node looks for in its genesis: each costs a key derivation. */
export const devAccountsMax = 10
/** Accounts that one answer of ccoin's routes tells all of. More: refused. */
export const compatAccountsMax = 4_096
/** Events kept for `Last-Event-ID`; an older id gets a `resync` event. */
export const eventsKeptMax = 1_024
/** Open event streams. Beyond: 503. */
export const eventStreamsMax = 256
/** Of these, streams of one client; this machine's own are not counted. Beyond: 503. */
export const eventStreamsPerClientMax = 32

/** Pages of the state tree held in memory. */
export const statePagesMax = 16_384
/** Ledger entries held in memory. */
export const stateEntriesMax = 65_536
/** Blocks below the tip of which the state is told, at most, whatever the spec says: nobody waits long for a walk back so far. */
export const stateBlocksMax = 1_024
/** Entries that a walk back holds: some 80 MB of the smallest. More have changed since: refused as too far back. */
export const stateChangesMax = 262_144
/** Who asks for a state and waits for the walk of another. Beyond: Busy. */
export const stateReadersMax = 16
/** Entries of a state that the command line holds to check it against its root. More: refused; the interface gives it page by page. */
export const stateEntriesToldMax = 250_000
/** Headers of a light client that a restart reads: 2 GB, three years of blocks of ten seconds. Those above are asked for again. */
export const lightHeadersMax = 10_000_000
/** Headers held in memory. */
export const headerCacheMax = 4_096

/**
 * Blocks that a snapshot holds up to its tip, with which the node that loads it can leave a branch; a deeper one is not
 * followed before the past is proven. No honest network has gone back so far; more would cost each loading their replay.
 */
export const snapshotBlocksMax = 256

/** Coins that a wallet asks a node for, the largest ones first: 64 pages. The others wait until these are spent or joined. */
export const walletCoinsMax = 64 * httpPageMax
/** Coins that a selection looks at. More: refused. */
export const selectionCoinsMax = 1_000_000
/** Subsets that branch and bound tries, as many as Bitcoin Core does: some ten milliseconds. Then the best so far is taken. */
export const selectionTriesMax = 100_000
/** Random subsets that the knapsack draws, as many as Bitcoin Core does, and coins that it looks at in all of them. */
export const selectionDrawsMax = 1_000
export const selectionLooksMax = 2_000_000

/** Members of a discovery service, those gone included whose last word could still be replayed. Beyond: refused. */
export const discoveryMembersMax = 10_000
/** Such members from one address, or from one /64 of IPv6; loopback excepted. Beyond: refused. */
export const discoveryPerSourceMax = 16
/** Members in one answer, and endpoints that a node takes from one. */
export const discoveryPageMax = 64
/** Milliseconds that the time of a signed statement may differ from the service's clock. */
export const discoveryFreshMs = 120_000
/** Milliseconds that a registration may last. */
export const discoveryLifeMsMax = 15 * 60 * 1000
/** Bytes of a command to a discovery service; the longest has less than 1,000. Larger: 413. */
export const discoveryBodyBytesMax = 4_096
/** Bytes of a service's answer, twice what a full page takes. A longer one is not read. */
export const discoveryAnswerBytesMax = 32 * 1024
/** Milliseconds that a discovery service may take to answer. */
export const discoveryAskMsMax = 5_000
/** Milliseconds that saying goodbye to all services may take: a part of the time to stop in. */
export const discoveryLeaveMsMax = 400
/** Discovery services of one node. */
export const discoveryServicesMax = 4
/** Characters of an endpoint, as in a hello. */
export const endpointCharsMax = 128
/** Characters of a node's URL in a hello. */
export const urlCharsMax = 256
/** Requests that one address may send at once, and how many a second come back; addresses remembered, the oldest goes first. */
export const discoveryBurst = 60
export const discoveryPerSecond = 1
export const discoveryClientsMax = 4_096

/** Bytes of one datagram of gossip: the least MTU of IPv6 is 1,280, and 1,200 is what QUIC found to pass nearly everywhere. */
export const datagramBytesMax = 1_199
/** Endpoints of others in one announcement; the next one tells of others. More, or more than fit: left out. */
export const gossipEntriesMax = 16
/** Nodes whose last announcement is remembered; the oldest goes first, but never one that has a session here. */
export const gossipNodesMax = 4_096
/** Datagrams that one address, or one /64 of IPv6, may send at once, how many a second come back; addresses remembered. */
export const gossipBurst = 32
export const gossipPerSecond = 16
export const gossipSourcesMax = 4_096
/** Signatures checked at once and in a second: under seals, of nodes with a session here, of strangers. Beyond: not heard. */
export const gossipChecksBurst = 128
export const gossipChecksPerSecond = 64
/** Datagrams passed on for others at once and in a second. Beyond: not passed on. */
export const gossipPassedBurst = 128
export const gossipPassedPerSecond = 64
/** Bytes that came from strangers and were not passed on yet: no more of theirs leave than came, however old. */
export const gossipCreditMax = 64 * 1024
/** Announcements at once and in a second whose endpoints are told to the directory. Beyond: heard, and nobody is dialled for it. */
export const gossipToldBurst = 64
export const gossipToldPerSecond = 8
/** Milliseconds between two announcements of our own, at least; of another node half of it, for they may come closer together. */
export const gossipGapMs = 1_000
/** Datagrams that wait for their actor. Beyond: lost, as the network may lose them too. */
export const gossipInboxMax = 1_024
/** Seeds of gossip that are looked up; further ones are not regarded. */
export const gossipSeedsMax = 64
/** Milliseconds between two looks for the addresses of seeds that are names: all of them; those that were not found. */
export const gossipLookMs = 300_000
export const gossipRetryMs = 15_000

/** Bytes of one line of multistream-select with its line feed, as js-libp2p has it; no protocol id comes near. */
export const multistreamLineBytesMax = 1_024
/** Proposals that one negotiation may refuse: more is no dialler that looks for a protocol. */
export const multistreamProposalsMax = 64
/** Milliseconds from a link to a connection that carries streams: security and muxer are agreed upon, the handshake is done. */
export const upgradeMsMax = 10_000
/** Bytes that wait in a link above which a connection hands it no more, and bytes that it takes from its muxer at a time:
 * two frames of Noise, which are eight records of TLS, and nothing of a third. */
export const linkQueuedBytesMax = 256 * 1024
export const sealBytesMax = 2 * 65_519
/** Times that a connection takes from its muxer before others have their turn. */
export const sealsPerFlushMax = 4
/** Links of strangers that stand or begin, of all hosts of one world: beyond, they are closed as they come. The resource manager's
 * own limits are narrower. */
export const acceptedLinksMax = 1_024
/** Dials of links that the kernel has not answered: one that was called off still waits there, for minutes. Beyond: refused. */
export const lateDialsMax = 1_024
/** Milliseconds that the system's resolver gets for a name, and answers of it that are looked at. */
export const nameMsMax = 5_000
export const nameAnswersMax = 100

/** Milliseconds after which a node that has peers to find and has found none calls itself ready all the same. */
export const bootMsMax = 10_000
/** Milliseconds between SIGTERM and exit. */
export const stopMsMax = 8_000

assert(
  discoveryPageMax * (endpointCharsMax + 128) <= discoveryAnswerBytesMax,
  "a full page of members is within what a node reads"
)
assert(
  1 + 1 + 20 + 20 + 4 * 8 + 2 + 2 + 33 + 64 + chainIdBytesMax + noteBytesMax + payloadBytesMax <= transferBytesMax,
  "the longest transfer is within its limit"
)
assert(retoldMax <= hashesPerMessageMax, "what is named again fits one message")
assert(frameBytesMax > blockBytesMax, "a block fits a frame")
assert(2 * rawBlocksMax <= rawUnjudgedMax, "blocks are fetched while others are judged")
assert(2 * rawHeadersMax * 512 <= rawAnswerBytesMax, "a raw page of headers fits an answer")
assert(2 * blockBytesMax < Math.min(httpBlockBytesMax, rawBlocksBytesMax), "a block in hex fits a body and an answer")
assert(2 * blockTransactionsMax + 1 <= filterElementsMax, "a filter has room for proposer, senders and recipients")
assert(headersPerMessageMax * 512 <= frameBytesMax, "a page of headers fits a frame")
assert(hashesPerMessageMax * (transactionBytesMax + 3) <= frameBytesMax, "the answer to a gettx fits a frame")
assert(transactionBytesMax <= packageBytesMax, "a payment that builds on none is within the limit of packages")
assert(headersPerMessageMax * packedHeaderBytesMax <= frameBytesMax, "a packed page of headers fits a frame")
assert(
  filterAnswerBytesMax + filterBytesMax + 5 * filtersPerMessageMax <= frameBytesMax,
  "an answer of filters fits a frame"
)
assert(pendingPerSenderMax <= nonceGapMax, "a full sender queue fits its gap")
