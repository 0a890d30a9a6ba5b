/** Settings of the node itself: what it is, its page and API, its mining, its backups. */
import { defaults } from "../config.ts"
import { pendingTransactionsMax } from "../limits.ts"
import {
  databaseFile,
  host,
  hostHeader,
  list,
  network,
  oneOf,
  origin,
  passphrase,
  path,
  port,
  rate,
  seconds,
  secret,
  text,
  url,
  whole,
  yesOrNo
} from "./kind.ts"
import { setting, wish } from "./setting.ts"

const day = 86_400_000

/** What a node is and where it lives. */
export const nodeSettings = {
  mode: setting(oneOf("development", "production"), "BLOCKCHAIN_MODE", "development", {
    file: "node.mode",
    flag: "mode",
    help: "production: start only if the node is safe to be reached by anybody"
  }),
  serveUnready: setting(yesOrNo, "CAIRN_SERVE_UNREADY", false, {
    file: "node.serve_unready",
    flag: "serve-unready",
    help: "With settings that are refused: serve /api/ready and the like with the reasons, in place of ending"
  }),
  name: wish(text(64), "BLOCKCHAIN_NODE_ID", "the node's own id", {
    file: "node.name",
    flag: "node-name",
    help: "What you call the node",
    theirs: "demo-node-1"
  }),
  dataDir: wish(path, "CAIRN_DATA_DIR", "cairn-data; of a development node a fresh one", {
    file: "node.data_dir",
    flag: "data-dir",
    help: "Folder of the chain, the keys and the lock"
  }),
  dataFile: wish(databaseFile, "BLOCKCHAIN_DATA_FILE", "chain.db in the data folder", {
    file: "node.data_file",
    help: "The data folder is the folder of this file; the database in it is always called chain.db",
    theirs: "/app/data/blockchain.db"
  }),
  dev: setting(yesOrNo, "CAIRN_DEV", false, {
    file: "node.dev",
    flag: "dev",
    help: "Development node: funded public accounts, sealing on the first pending transfer"
  }),
  spec: wish(text(4096), "CAIRN_SPEC", "the folder has one; of a development node dev", {
    file: "node.spec",
    flag: "spec",
    help: "Initialise an empty folder with this spec: a file, or a preset"
  }),
  filters: setting(yesOrNo, "CAIRN_FILTERS", true, {
    file: "node.filters",
    flag: "no-filters",
    flagForm: "not",
    help: "Make and serve block filters; without them light clients that scan ask others",
    flagHelp: "Make and serve no block filters: light clients that scan ask others"
  }),
  maxPending: setting(whole(1, pendingTransactionsMax), "BLOCKCHAIN_MAX_PENDING_TRANSACTIONS", pendingTransactionsMax, {
    file: "node.max_pending_transactions",
    help: "Pending transactions that are held; then the cheapest goes, or the new one is refused",
    theirs: "5000"
  }),
  identityKey: wish(path, "BLOCKCHAIN_NODE_IDENTITY_PRIVATE_KEY_PATH", "identity/node.key in the data folder", {
    file: "node.identity_private_key_path",
    help: "File of the node's own key; made at the first start",
    theirs: "/app/data/node_identity_private.pem"
  }),
  identityPublic: wish(path, "BLOCKCHAIN_NODE_IDENTITY_PUBLIC_KEY_PATH", "nowhere: the node tells its id", {
    file: "node.identity_public_key_path",
    help: "File to write the public key of that key to",
    theirs: "/app/data/node_identity_public.pem"
  }),
  signatureEngine: setting(oneOf("auto", "libsecp256k1", "secp256k1-node", "noble"), "CAIRN_SIGNATURE_ENGINE", "auto", {
    file: "node.signature_engine",
    flag: "signature-engine",
    help: "Who checks signatures; auto takes the fastest that loads"
  }),
  record: wish(path, "CAIRN_RECORD", "nothing is recorded", {
    file: "node.record",
    flag: "record",
    help: "Journal every input into this folder, so that cairn replay can run this node again"
  }),
  recordMaxMb: setting(whole(2, 1_048_576), "CAIRN_RECORD_MAX_MB", 1024, {
    file: "node.record_max_mb",
    flag: "record-max-mb",
    help: "Megabytes of journal to keep, in two epochs; each begins with a copy of the database on top"
  })
}

/** Page and API. */
export const httpSettings = {
  httpHost: setting(host, "CAIRN_HTTP_HOST", defaults.httpHost, {
    file: "http.host",
    flag: "http-host",
    help: "Address of page and API",
    theirs: "0.0.0.0"
  }),
  httpPort: setting(port, "BLOCKCHAIN_PORT", defaults.httpPort, {
    file: "http.port",
    flag: "http-port",
    help: "Port of page and API; 0: any free one"
  }),
  nodeUrl: wish(url, "BLOCKCHAIN_NODE_URL", "nobody is told one", {
    file: "http.node_url",
    flag: "node-url",
    help: "Where others reach page and API: behind a proxy that speaks TLS, https"
  }),
  adminToken: wish(secret, "BLOCKCHAIN_ADMIN_TOKEN", "admin.token in the data folder, made at the first start", {
    file: "http.admin_token",
    flag: "admin-token-file",
    flagForm: "file",
    secret: true,
    help: "Token of admin routes; in production at least 32 characters",
    flagHelp: "File with the token of admin routes; default: admin.token in the data folder"
  }),
  peerSecret: wish(secret, "BLOCKCHAIN_PEER_SHARED_SECRET", "nobody may ask at /api/network", {
    file: "http.peer_secret",
    flag: "peer-secret-file",
    flagForm: "file",
    secret: true,
    help: "What peers show at /api/network; in production at least 32 characters",
    flagHelp: "File with what peers show at /api/network"
  }),
  adminSocket: wish(path, "CAIRN_ADMIN_SOCKET", "there is none", {
    file: "http.admin_socket",
    flag: "admin-socket",
    help: "Unix socket of mode 0600 that answers admin routes without a token"
  }),
  hosts: setting(list(hostHeader, 64), "CAIRN_HTTP_HOSTS", [], {
    file: "http.hosts",
    help: "Host names that requests may carry beside those of this machine and of the node's URL"
  }),
  corsOrigins: setting(list(origin, 64), "CAIRN_CORS_ORIGINS", [], {
    file: "http.cors_origins",
    help: "Origins of pages that may read and post here beside our own"
  }),
  trustedProxies: setting(list(network, 64), "CAIRN_TRUSTED_PROXIES", [], {
    file: "http.trusted_proxies",
    help: "Proxies whose word on the client's address is taken: addresses, or networks such as 10.0.0.0/8"
  }),
  publicRate: setting(rate, "BLOCKCHAIN_PUBLIC_RATE_LIMIT_PER_MINUTE", defaults.rates.public, {
    file: "http.public_rate_per_minute",
    help: "Requests of one client in a minute at public routes; 0: as many as it likes"
  }),
  adminRate: setting(rate, "BLOCKCHAIN_ADMIN_RATE_LIMIT_PER_MINUTE", defaults.rates.admin, {
    file: "http.admin_rate_per_minute",
    help: "The same at admin routes"
  }),
  peerRate: setting(rate, "BLOCKCHAIN_PEER_RATE_LIMIT_PER_MINUTE", defaults.rates.peer, {
    file: "http.peer_rate_per_minute",
    help: "The same at the routes of peers"
  }),
  mineOnGet: setting(yesOrNo, "CAIRN_MINE_ON_GET", false, {
    file: "http.mine_on_get",
    help: "GET /mine_block mines, as in the reference system; for admins only",
    theirs: "true"
  }),
  serverWallets: setting(yesOrNo, "BLOCKCHAIN_ENABLE_SERVER_WALLETS", false, {
    file: "http.server_wallets",
    help: "POST /api/wallets makes keys and tells them; for admins only"
  }),
  compat: wish(oneOf("ccoin", "dotcoin", "full-node"), "CAIRN_COMPAT", "only cairn's own routes", {
    file: "http.compat",
    flag: "compat",
    help: "Serve the routes of this system, too: ccoin on a chain of accounts, the others on one of coins"
  }),
  compatGetActs: setting(yesOrNo, "CAIRN_COMPAT_GET_ACTS", false, {
    file: "http.compat_get_acts",
    flag: "compat-get-acts",
    help: "With --compat: let GET routes mine and spend, as they do there"
  })
}

/** Copies of the chain. */
export const backupSettings = {
  backupDir: wish(path, "BLOCKCHAIN_BACKUP_DIR", "backups in the data folder", {
    file: "backup.dir",
    help: "Folder of backups",
    theirs: "/app/data/backups"
  }),
  backupEveryMs: wish(seconds(60_000, 366 * day), "CAIRN_BACKUP_EVERY_SECONDS", "only when asked to", {
    file: "backup.every_seconds",
    help: "Make a backup every so many seconds"
  }),
  backupKeep: setting(whole(1, 10_000), "CAIRN_BACKUP_KEEP", defaults.backup.keep, {
    file: "backup.keep",
    help: "Backups of one label that are kept; the oldest goes first"
  }),
  backupPassphrase: wish(passphrase, "CAIRN_BACKUP_PASSPHRASE", "keys are left out of backups", {
    file: "backup.passphrase",
    secret: true,
    help: "Passphrase of the copies of keys in the backups that the node makes by itself"
  })
}

/** Sealing by work, and by turns. */
export const sealingSettings = {
  mineThreads: setting(whole(0, 64), "CAIRN_MINE_THREADS", 0, {
    file: "mining.threads",
    flag: "mine-threads",
    help: "Threads that mine all the time"
  }),
  mineTo: wish(text(128), "CAIRN_MINE_TO", "the node's own key", {
    file: "mining.to",
    flag: "mine-to",
    help: "Address that gets rewards and fees"
  }),
  blockData: wish(text(4096), "CAIRN_BLOCK_DATA", "the program's name", {
    file: "mining.block_data",
    flag: "block-data",
    help: "Data of the blocks sealed here: text, or 0x and hex"
  }),
  sealEveryMs: wish(seconds(1, day), "CAIRN_SEAL_EVERY_SECONDS", "not by the clock", {
    file: "mining.seal_every_seconds",
    flag: "seal-every",
    help: "Seal at least every so many seconds"
  }),
  role: wish(oneOf("basic", "validator"), "CAIRN_ROLE", "basic; of a development node the first account seals", {
    file: "validator.role",
    flag: "role",
    help: "Where authorities seal: validator seals with a key, basic never does"
  }),
  authorityKey: wish(path, "CAIRN_AUTHORITY_KEY", "none", {
    file: "validator.key",
    flag: "authority-key",
    help: "With the role validator: the key file that seals; of a development node: dev:N"
  }),
  signer: wish(text(4096), "CAIRN_SIGNER", "none", {
    file: "validator.signer",
    flag: "signer",
    help: "With the role validator: unix:PATH of the socket of cairn signer, which has the key"
  }),
  signed: wish(path, "CAIRN_SIGNED", "ADDRESS.signed.json beside the key file", {
    file: "validator.signed",
    flag: "signed",
    help: "Protection file of the key"
  }),
  passphrase: wish(passphrase, "CAIRN_PASSPHRASE", "it is asked for", {
    file: "validator.passphrase",
    flag: "passphrase-file",
    flagForm: "file",
    secret: true,
    help: "Passphrase of the key file",
    flagHelp: "File with the key file's passphrase; else it is asked for"
  })
}
