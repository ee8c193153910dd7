-- Folds of the log. Money, prices and quantities are decimal text, exactly as in the lines.
CREATE TABLE fold(key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE counter(prefix TEXT PRIMARY KEY, n INTEGER NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE key(vkey TEXT PRIMARY KEY, principal TEXT, role TEXT NOT NULL, sponsor TEXT,
  enrolled_seq INTEGER NOT NULL, revoked_after INTEGER) STRICT, WITHOUT ROWID;
CREATE TABLE nonce(nonce TEXT PRIMARY KEY, seq INTEGER NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE account(account TEXT PRIMARY KEY, owner TEXT NOT NULL, currency TEXT NOT NULL, opening TEXT NOT NULL,
  cash TEXT NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE position(account TEXT NOT NULL, symbol TEXT NOT NULL, quantity TEXT NOT NULL,
  PRIMARY KEY(account, symbol)) STRICT, WITHOUT ROWID;
CREATE TABLE limits(account TEXT PRIMARY KEY, rules_sha256 TEXT NOT NULL, seq INTEGER NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE candidate(candidate TEXT PRIMARY KEY, sha256 TEXT NOT NULL UNIQUE, size INTEGER NOT NULL,
  owner_account_id TEXT NOT NULL, submitted_by TEXT NOT NULL, submitted_seq INTEGER NOT NULL, ts INTEGER NOT NULL,
  state TEXT NOT NULL CHECK(state IN ('submitted','passed','failed','promoted','rejected','revoked')),
  evidence_sha256 TEXT, rationale_commit TEXT NOT NULL, decided_by TEXT, decided_seq INTEGER,
  reason_commit TEXT) STRICT, WITHOUT ROWID;
CREATE TABLE run(run TEXT PRIMARY KEY, candidate TEXT NOT NULL, sha256 TEXT NOT NULL, account TEXT NOT NULL,
  symbol TEXT NOT NULL, timeframe TEXT NOT NULL, feed_kind TEXT NOT NULL, feed_name TEXT NOT NULL,
  feed_sha256 TEXT NOT NULL, approval TEXT NOT NULL, allocation TEXT NOT NULL, fill TEXT NOT NULL,
  expires INTEGER NOT NULL, params TEXT NOT NULL, mandate TEXT NOT NULL, mandate_sha256 TEXT NOT NULL,
  owner_account_id TEXT NOT NULL, started_by TEXT NOT NULL, started_seq INTEGER NOT NULL, started_ts INTEGER NOT NULL,
  state TEXT NOT NULL CHECK(state IN ('starting','running','parked','stopped','failed')), reason TEXT,
  level TEXT, host TEXT, evidence_sha256 TEXT, bars INTEGER NOT NULL DEFAULT 0, intents INTEGER NOT NULL DEFAULT 0,
  awaited INTEGER NOT NULL DEFAULT 0, fills INTEGER NOT NULL DEFAULT 0, refused INTEGER NOT NULL DEFAULT 0,
  position TEXT NOT NULL DEFAULT '0', last_open INTEGER, last_close INTEGER, last_bar_sha256 TEXT, head TEXT,
  ended_seq INTEGER, ended_ts INTEGER) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX run_live ON run(account, symbol) WHERE state IN ('starting','running','parked');
CREATE TABLE step(run TEXT NOT NULL, bar INTEGER NOT NULL, open INTEGER NOT NULL, close INTEGER NOT NULL,
  intents INTEGER NOT NULL, bar_sha256 TEXT NOT NULL, state_sha256 TEXT NOT NULL, seq INTEGER NOT NULL,
  PRIMARY KEY(run, bar)) STRICT, WITHOUT ROWID;
CREATE TABLE plan(plan TEXT PRIMARY KEY, run TEXT, account TEXT NOT NULL, symbol TEXT NOT NULL, side TEXT NOT NULL,
  quantity TEXT NOT NULL, type TEXT NOT NULL, "limit" TEXT, stop TEXT, tif TEXT NOT NULL, reduce_only INTEGER NOT NULL,
  intent TEXT UNIQUE, body TEXT NOT NULL, digest TEXT NOT NULL, proposed_by TEXT NOT NULL,
  created_seq INTEGER NOT NULL, created_ts INTEGER NOT NULL, expires INTEGER NOT NULL,
  state TEXT NOT NULL CHECK(state IN ('pending','approved','executed','rejected','expired','cancelled')),
  decided_by TEXT, decided_seq INTEGER, decided_ts INTEGER, code TEXT, "order" TEXT) STRICT, WITHOUT ROWID;
CREATE INDEX plan_state ON plan(state) WHERE state IN ('pending','approved');
CREATE TABLE risk_check(seq INTEGER PRIMARY KEY, plan TEXT NOT NULL, result TEXT NOT NULL, rule TEXT, measured TEXT,
  "limit" TEXT, rules_sha256 TEXT NOT NULL) STRICT;
CREATE INDEX risk_check_plan ON risk_check(plan, seq);
CREATE TABLE token(token_sha256 TEXT PRIMARY KEY, plan TEXT NOT NULL UNIQUE, digest TEXT NOT NULL,
  expires INTEGER NOT NULL, minted_seq INTEGER NOT NULL, consumed_seq INTEGER) STRICT, WITHOUT ROWID;
CREATE TABLE orders("order" TEXT PRIMARY KEY, plan TEXT NOT NULL, run TEXT, intent TEXT, child TEXT,
  symbol TEXT NOT NULL, side TEXT NOT NULL, quantity TEXT NOT NULL, filled TEXT NOT NULL DEFAULT '0',
  state TEXT NOT NULL CHECK(state IN ('working','filled','cancelled','expired','rejected')), code TEXT,
  decided_bar INTEGER, created_seq INTEGER NOT NULL, ended_seq INTEGER) STRICT, WITHOUT ROWID;
CREATE INDEX orders_plan ON orders(plan);
CREATE INDEX orders_working ON orders(run) WHERE state = 'working';
CREATE TABLE fill(fill TEXT PRIMARY KEY, "order" TEXT NOT NULL, plan TEXT NOT NULL, intent TEXT, run TEXT, bar INTEGER,
  account TEXT NOT NULL, symbol TEXT NOT NULL, side TEXT NOT NULL, quantity TEXT NOT NULL, price TEXT NOT NULL,
  fee TEXT NOT NULL, cash TEXT NOT NULL, position TEXT NOT NULL, approved_by TEXT NOT NULL, seq INTEGER NOT NULL UNIQUE,
  ts INTEGER NOT NULL) STRICT, WITHOUT ROWID;
CREATE INDEX fill_run ON fill(run, seq);
CREATE TABLE decision(intent TEXT PRIMARY KEY, run TEXT NOT NULL, bar INTEGER NOT NULL, bar_sha256 TEXT NOT NULL,
  outcome TEXT NOT NULL, plan TEXT, code TEXT, seq INTEGER NOT NULL UNIQUE) STRICT, WITHOUT ROWID;
CREATE INDEX decision_run ON decision(run, seq);
CREATE TABLE resumed(seq INTEGER PRIMARY KEY, scope_key TEXT NOT NULL) STRICT;
CREATE TABLE halt(scope_key TEXT PRIMARY KEY, scope TEXT NOT NULL, account TEXT, run TEXT, state TEXT NOT NULL,
  seq INTEGER NOT NULL, ts INTEGER NOT NULL, actor TEXT NOT NULL, reason_commit TEXT NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE opt_out(seq INTEGER PRIMARY KEY, rule TEXT NOT NULL, run TEXT NOT NULL, expires INTEGER NOT NULL) STRICT;
CREATE TABLE proposal(proposal TEXT PRIMARY KEY, what TEXT NOT NULL, subject_sha256 TEXT NOT NULL,
  rationale_commit TEXT NOT NULL, state TEXT NOT NULL, opened_by TEXT NOT NULL, opened_seq INTEGER NOT NULL,
  closed_seq INTEGER, reason_commit TEXT) STRICT, WITHOUT ROWID;
CREATE TABLE erased("commit" TEXT PRIMARY KEY, seq INTEGER NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE cosign(seq INTEGER PRIMARY KEY, witness TEXT NOT NULL, size INTEGER NOT NULL, note TEXT NOT NULL) STRICT;
