-- A ledger of schema 1: a new one is made with these columns (0001.sql, projections.sql).
-- No line of schema 1 holds a claim or a stop's reason, so what is added here is what a new fold of them gives.
ALTER TABLE alert ADD COLUMN last_ts INTEGER NOT NULL DEFAULT 0;
ALTER TABLE alert ADD COLUMN state TEXT NOT NULL DEFAULT '';
UPDATE alert SET last_ts = ts;
ALTER TABLE halt ADD COLUMN claimed_by TEXT;
ALTER TABLE run ADD COLUMN claimed_by TEXT;
ALTER TABLE run ADD COLUMN reason_commit TEXT;
