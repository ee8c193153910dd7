-- The log: bytes exactly as signed, in this column only. Everything further down is folded from it.
CREATE TABLE ev(seq INTEGER PRIMARY KEY, entry BLOB NOT NULL, leaf BLOB NOT NULL) STRICT;
CREATE TRIGGER ev_no_update BEFORE UPDATE ON ev BEGIN SELECT RAISE(ABORT, 'the log is append-only'); END;
CREATE TRIGGER ev_no_delete BEFORE DELETE ON ev BEGIN SELECT RAISE(ABORT, 'the log is append-only'); END;
CREATE TRIGGER ev_no_replace BEFORE INSERT ON ev WHEN NEW.seq <= (SELECT max(seq) FROM ev)
BEGIN SELECT RAISE(ABORT, 'the log is append-only'); END;

-- Unsigned: referenced by hash from the log, or derivable by replay.
CREATE TABLE meta(key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE journal(run TEXT NOT NULL, n INTEGER NOT NULL, kind TEXT NOT NULL, bar INTEGER, input TEXT NOT NULL,
  output TEXT NOT NULL, head TEXT NOT NULL, PRIMARY KEY(run, n)) STRICT, WITHOUT ROWID;
CREATE INDEX journal_bar ON journal(run, bar);
CREATE TABLE fill_detail(fill TEXT PRIMARY KEY, bar INTEGER NOT NULL, time_us INTEGER NOT NULL,
  reason TEXT NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE decision_detail(intent TEXT PRIMARY KEY, side TEXT, quantity TEXT, reason TEXT NOT NULL,
  refusals TEXT NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE outbox(seq INTEGER PRIMARY KEY, topic TEXT NOT NULL, body BLOB NOT NULL) STRICT;
CREATE TABLE reply(id TEXT PRIMARY KEY, code TEXT NOT NULL, body TEXT NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE alert(id INTEGER PRIMARY KEY, ts INTEGER NOT NULL, last_ts INTEGER NOT NULL, kind TEXT NOT NULL,
  scope TEXT NOT NULL, state TEXT NOT NULL, text TEXT NOT NULL, count INTEGER NOT NULL, acked_by TEXT,
  acked_ts INTEGER) STRICT;
CREATE TABLE lock(id INTEGER PRIMARY KEY, account TEXT NOT NULL, rule TEXT NOT NULL, scope TEXT NOT NULL,
  symbol TEXT NOT NULL, side INTEGER NOT NULL, reason TEXT NOT NULL, from_ns INTEGER NOT NULL,
  until_ns INTEGER NOT NULL, measured TEXT, "limit" TEXT, unit TEXT NOT NULL, setting TEXT NOT NULL) STRICT;
CREATE TABLE run_error(run TEXT NOT NULL, ts INTEGER NOT NULL, code TEXT NOT NULL, text TEXT NOT NULL,
  retry_at INTEGER) STRICT;
CREATE INDEX run_error_run ON run_error(run, ts);
