/** Grows by one with every change of the tables below. */
export const SCHEMA_VERSION = 9;

/** Envelopes, capacities, heartbeats and lives are JSON; sizes are bytes, times milliseconds. */
export const SCHEMA = `CREATE TABLE grid (name TEXT NOT NULL) STRICT;

CREATE TABLE record_head (
  id INTEGER PRIMARY KEY CHECK (id = 1),
  size INTEGER NOT NULL,
  directory TEXT NOT NULL,
  log_key TEXT NOT NULL
) STRICT;

CREATE TABLE record_published (
  id INTEGER PRIMARY KEY CHECK (id = 1),
  size INTEGER NOT NULL,
  edge TEXT NOT NULL,
  checkpoint TEXT
) STRICT;

CREATE TABLE record_entries (
  idx INTEGER PRIMARY KEY,
  payload_type TEXT NOT NULL,
  digest TEXT NOT NULL,
  node TEXT,
  seq INTEGER,
  envelope TEXT
) STRICT;
CREATE UNIQUE INDEX record_entries_by_digest ON record_entries (digest, payload_type);
CREATE UNIQUE INDEX record_entries_by_node ON record_entries (node, seq) WHERE node IS NOT NULL;

CREATE TABLE releases (
  id INTEGER PRIMARY KEY CHECK (id = 1), floor TEXT NOT NULL, published TEXT NOT NULL
) STRICT;

CREATE TABLE identities (
  id TEXT PRIMARY KEY,
  envelope TEXT NOT NULL,
  members TEXT NOT NULL,
  links TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE bundles (digest TEXT PRIMARY KEY, bundle TEXT NOT NULL) STRICT, WITHOUT ROWID;

CREATE TABLE farms (
  seq INTEGER PRIMARY KEY AUTOINCREMENT,
  id TEXT NOT NULL UNIQUE,
  farmer TEXT NOT NULL,
  name TEXT NOT NULL,
  envelope TEXT NOT NULL
) STRICT;

CREATE TABLE tokens (id TEXT PRIMARY KEY, node TEXT NOT NULL) STRICT, WITHOUT ROWID;

CREATE TABLE nodes (
  seq INTEGER PRIMARY KEY AUTOINCREMENT,
  id TEXT NOT NULL UNIQUE,
  farm TEXT,
  offer_id TEXT NOT NULL,
  offer_version INTEGER NOT NULL,
  offer TEXT NOT NULL,
  capacity TEXT NOT NULL,
  prices TEXT NOT NULL,
  class TEXT NOT NULL,
  terms_version INTEGER NOT NULL,
  revision INTEGER NOT NULL DEFAULT 1,
  record_seq INTEGER NOT NULL DEFAULT 0, approval TEXT
) STRICT;

CREATE TABLE farm_terms (
  farm TEXT PRIMARY KEY,
  version INTEGER NOT NULL,
  country TEXT NOT NULL,
  location TEXT NOT NULL,
  bundle TEXT NOT NULL,
  envelope TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE capacity (
  seq INTEGER PRIMARY KEY,
  farm INTEGER,
  country TEXT NOT NULL,
  class INTEGER NOT NULL,
  proven_until_ms INTEGER NOT NULL,
  cpu_millis INTEGER NOT NULL,
  memory_bytes INTEGER NOT NULL,
  ssd_bytes INTEGER NOT NULL,
  hdd_bytes INTEGER NOT NULL,
  free_cpu_millis INTEGER NOT NULL,
  free_memory_bytes INTEGER NOT NULL,
  free_ssd_bytes INTEGER NOT NULL,
  free_hdd_bytes INTEGER NOT NULL,
  compute_price INTEGER NOT NULL,
  storage_price INTEGER NOT NULL,
  network_price INTEGER NOT NULL,
  features INTEGER NOT NULL,
  online_until_ms INTEGER NOT NULL,
  since_day INTEGER,
  measure_at_ms INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX capacity_by_measuring ON capacity (measure_at_ms);

CREATE TABLE measurements (
  node TEXT PRIMARY KEY, measurement TEXT NOT NULL, envelope TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE uptime (
  seq INTEGER NOT NULL,
  day INTEGER NOT NULL,
  heard INTEGER NOT NULL,
  said INTEGER NOT NULL,
  early INTEGER NOT NULL,
  last_window INTEGER NOT NULL,
  PRIMARY KEY (seq, day)
) STRICT, WITHOUT ROWID;

CREATE TABLE directory_uptime (
  day INTEGER PRIMARY KEY, windows INTEGER NOT NULL, last_window INTEGER NOT NULL
) STRICT;

CREATE INDEX capacity_by_farm ON capacity (farm, seq);
CREATE INDEX capacity_by_country ON capacity (country, seq);

CREATE TABLE proofs (node TEXT PRIMARY KEY, proof TEXT NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE leases (node TEXT PRIMARY KEY, lease TEXT NOT NULL) STRICT, WITHOUT ROWID;

CREATE TABLE disk_consents (
  id TEXT PRIMARY KEY,
  node TEXT NOT NULL,
  until_ms INTEGER NOT NULL,
  bundle TEXT NOT NULL,
  envelope TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX disk_consents_by_node ON disk_consents (node);

CREATE TABLE heartbeats (
  node TEXT PRIMARY KEY,
  seq INTEGER NOT NULL,
  last_seen_ms INTEGER NOT NULL,
  payload TEXT NOT NULL,
  envelope TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE update_policies (
  farm TEXT PRIMARY KEY,
  version INTEGER NOT NULL,
  bundle TEXT NOT NULL,
  envelope TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE turns (
  node TEXT NOT NULL,
  release TEXT NOT NULL,
  farm TEXT NOT NULL,
  what TEXT NOT NULL,
  state TEXT NOT NULL,
  because TEXT NOT NULL,
  policy_version INTEGER NOT NULL,
  until_ms INTEGER,
  at_ms INTEGER NOT NULL,
  PRIMARY KEY (node, release)
) STRICT, WITHOUT ROWID;
CREATE INDEX turns_by_farm ON turns (farm, release);
CREATE INDEX turns_open ON turns (until_ms) WHERE state = 'open';

CREATE TABLE turn_seqs (node TEXT PRIMARY KEY, seq INTEGER NOT NULL) STRICT, WITHOUT ROWID;

CREATE TABLE contracts (
  seq INTEGER PRIMARY KEY AUTOINCREMENT,
  id TEXT NOT NULL UNIQUE,
  tenant TEXT NOT NULL,
  node TEXT NOT NULL,
  is_live INTEGER NOT NULL,
  is_booked INTEGER NOT NULL,
  state TEXT NOT NULL,
  life TEXT NOT NULL,
  held TEXT,
  pending TEXT,
  cpu_millis INTEGER NOT NULL,
  memory_bytes INTEGER NOT NULL,
  ssd_bytes INTEGER NOT NULL,
  hdd_bytes INTEGER NOT NULL,
  envelopes_bytes INTEGER NOT NULL,
  newest_version INTEGER NOT NULL,
  not_after_ms INTEGER NOT NULL,
  due_ms INTEGER
) STRICT;
CREATE INDEX contracts_by_node ON contracts (node, seq);
CREATE INDEX contracts_by_tenant ON contracts (tenant, seq);
CREATE INDEX contracts_booked ON contracts (node) WHERE is_booked = 1;
CREATE INDEX contracts_due ON contracts (due_ms) WHERE due_ms IS NOT NULL;

CREATE TABLE versions (
  digest TEXT PRIMARY KEY,
  contract TEXT NOT NULL,
  version INTEGER NOT NULL,
  seq INTEGER NOT NULL,
  life_version TEXT NOT NULL,
  bundle TEXT NOT NULL,
  envelope TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX versions_by_contract ON versions (contract, version, seq);

CREATE TABLE bodies (
  version TEXT PRIMARY KEY,
  contract TEXT NOT NULL,
  digest TEXT NOT NULL,
  body TEXT,
  erasure TEXT
) STRICT, WITHOUT ROWID;
CREATE INDEX bodies_by_contract ON bodies (contract, digest);

CREATE TABLE znet_peers (
  digest TEXT NOT NULL,
  znet TEXT NOT NULL,
  node TEXT NOT NULL,
  peer TEXT NOT NULL,
  PRIMARY KEY (digest, znet, peer)
) STRICT, WITHOUT ROWID;
CREATE INDEX znet_peers_by_peer ON znet_peers (peer, znet);

CREATE TABLE cancellations (
  contract TEXT PRIMARY KEY,
  node TEXT NOT NULL,
  tenant TEXT NOT NULL,
  digest TEXT NOT NULL,
  not_after_ms INTEGER NOT NULL,
  bundle TEXT NOT NULL,
  envelope TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX cancellations_by_node ON cancellations (node, not_after_ms);

CREATE TABLE receipts (
  contract TEXT PRIMARY KEY,
  node TEXT NOT NULL,
  seq INTEGER NOT NULL,
  envelope TEXT NOT NULL,
  meter TEXT
) STRICT, WITHOUT ROWID;

CREATE TABLE znet_ends (
  contract TEXT NOT NULL,
  znet TEXT NOT NULL,
  node TEXT NOT NULL,
  wire TEXT NOT NULL,
  PRIMARY KEY (contract, znet)
) STRICT, WITHOUT ROWID;
CREATE INDEX znet_ends_by_znet ON znet_ends (znet, node);

CREATE TABLE questions (
  id TEXT PRIMARY KEY,
  node TEXT NOT NULL,
  tenant TEXT NOT NULL,
  until_ms INTEGER NOT NULL,
  bundle TEXT NOT NULL,
  envelope TEXT NOT NULL,
  answer TEXT
) STRICT, WITHOUT ROWID;
CREATE INDEX questions_by_node ON questions (node, until_ms);
CREATE INDEX questions_by_tenant ON questions (tenant, until_ms);
CREATE INDEX questions_by_end ON questions (until_ms);

CREATE TABLE names (
  seq INTEGER PRIMARY KEY AUTOINCREMENT,
  name TEXT NOT NULL UNIQUE,
  owner TEXT NOT NULL,
  version INTEGER NOT NULL,
  digest TEXT NOT NULL,
  state TEXT NOT NULL
) STRICT;
CREATE INDEX names_by_owner ON names (owner, seq);

CREATE TABLE name_claims (
  name TEXT NOT NULL,
  version INTEGER NOT NULL,
  claim TEXT NOT NULL,
  bundle TEXT NOT NULL,
  PRIMARY KEY (name, version)
) STRICT, WITHOUT ROWID;

CREATE TABLE messages (
  seq INTEGER PRIMARY KEY AUTOINCREMENT,
  recipient TEXT NOT NULL,
  sender_tag TEXT NOT NULL,
  length_bytes INTEGER NOT NULL,
  received_ms INTEGER NOT NULL,
  until_ms INTEGER NOT NULL,
  sealed TEXT NOT NULL
) STRICT;
CREATE INDEX messages_by_recipient ON messages (recipient, seq);
CREATE INDEX messages_by_end ON messages (until_ms);

CREATE TABLE nonces (
  node TEXT NOT NULL,
  nonce TEXT NOT NULL,
  until_ms INTEGER NOT NULL,
  PRIMARY KEY (node, nonce)
) STRICT, WITHOUT ROWID;
CREATE INDEX nonces_by_end ON nonces (until_ms);
`;
