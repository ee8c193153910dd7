"""Reading a ledger that somebody else may be writing: typed questions, read-only connections.

Readers never write and never checkpoint; what has to fit together is asked inside one `snapshot`.
Rows come as dicts with the column names of the projections, lists newest last unless said otherwise.
"""

from __future__ import annotations

import re
import sqlite3
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from inalpha.audit.event import Event, read_event
from inalpha.audit.head import read_heads
from inalpha.model.errors import ConfigError, Refused
from inalpha.model.money import e8_from_text, multiply_e8, text_from_e8
from inalpha.model.readonly import read_only_uri
from inalpha.model.states import LIVE_RUN_STATES, LIVE_SQL, HaltState, strictest

LEDGER = "ledger.db"
BLOBS = "blobs.db"
PARKED = "PARKED"  # code of a live run's last error, where this program must not go on with it
# An ended run whose position is still watched: no `end` closed its journal. One that cannot be rebuilt is not.
STEPS_ON = (
    "(ended_seq IS NOT NULL AND position != '0' AND reason IS NOT 'REPLAY_DIVERGED'"
    " AND (SELECT input FROM journal j WHERE j.run = run.run"
    """ ORDER BY n DESC LIMIT 1) NOT LIKE '%"kind":"end"%')"""
)
# An ended run that left a position which nothing watches, though its feed did not end for good.
FEED_ENDED = (
    "(SELECT input FROM journal j WHERE j.run = run.run AND kind = 'command'"
    """ ORDER BY n DESC LIMIT 1) LIKE '%"kind":"end"%"reason":"feed_ended"%'"""
)
LEFT_ALONE = f"(ended_seq IS NOT NULL AND position != '0' AND NOT {STEPS_ON} AND NOT {FEED_ENDED})"
_COMMIT = re.compile(r"[0-9a-f]{64}")
_LAST_ERROR = "(SELECT code FROM run_error e WHERE e.run = run.run ORDER BY ts DESC LIMIT 1)"
_RUN = f"SELECT *, {STEPS_ON} AS is_watched, {_LAST_ERROR} AS last_error FROM run"

Row = dict[str, Any]


def open_reader(home: Path) -> sqlite3.Connection:
    """A read-only connection to HOME/ledger.db. Raises ConfigError when there is none."""
    return _open(Path(home) / LEDGER)


@contextmanager
def snapshot(reader: sqlite3.Connection) -> Iterator[sqlite3.Connection]:
    """One read transaction: every question inside sees the same ledger."""
    reader.execute("BEGIN")
    try:
        yield reader
    finally:
        reader.execute("COMMIT")


def read_blob(home: Path, name: str) -> bytes | None:
    """The bytes behind a hash or a commitment; None when absent or erased."""
    blobs = _open(Path(home) / BLOBS)
    try:
        found = blobs.execute("SELECT data FROM blob WHERE name = ?", (name,)).fetchone()
    finally:
        blobs.close()
    return None if found is None else bytes(found[0])


def read_text(home: Path, commit: str | None) -> str | None:
    """A person's or a model's text behind its commitment; None when erased."""
    data = read_blob(home, commit) if commit else None
    return None if data is None else data.decode("utf-8", "replace")


def read_texts(home: Path, commits: set[str]) -> dict[str, str]:
    """Several texts at once; erased ones are absent."""
    blobs = _open(Path(home) / BLOBS)
    try:
        marks = ",".join("?" * len(commits))
        found = blobs.execute(f"SELECT name, data FROM blob WHERE name IN ({marks})", tuple(commits))
        return {name: bytes(data).decode("utf-8", "replace") for name, data in found}
    finally:
        blobs.close()


def read_salted(home: Path, commits: Collection[str]) -> dict[str, tuple[bytes, str]]:
    """Salt and text of each commitment; erased ones are absent."""
    blobs, names, found = _open(Path(home) / BLOBS), list(commits), {}
    try:
        for start in range(0, len(names), 500):
            part = names[start : start + 500]
            sql = f"SELECT name, salt, data FROM blob WHERE kind = 'text' AND name IN ({','.join('?' * len(part))})"
            for name, salt, data in blobs.execute(sql, part):
                found[name] = (bytes(salt), bytes(data).decode("utf-8", "replace"))
    finally:
        blobs.close()
    return found


def with_words(reader: sqlite3.Connection, found: list[Row]) -> list[Row]:
    """The same rows with their `reason` as text where it is a commitment; "" where that was erased."""
    commits = {row["reason"] for row in found if _COMMIT.fullmatch(row["reason"] or "")}
    home = Path(reader.execute("PRAGMA database_list").fetchone()[2]).parent
    texts = read_salted(home, commits) if commits else {}
    for row in found:
        if row["reason"] in commits:
            row["reason"] = texts[row["reason"]][1] if row["reason"] in texts else ""
    return found


def rows(reader: sqlite3.Connection, sql: str, *values: Any) -> list[Row]:
    """Any query as dicts."""
    cursor = reader.execute(sql, values)
    names = [column[0] for column in cursor.description]
    return [dict(zip(names, found, strict=True)) for found in cursor]


def one(reader: sqlite3.Connection, sql: str, *values: Any) -> Row | None:
    found = rows(reader, sql, *values)
    return found[0] if found else None


def size(reader: sqlite3.Connection) -> int:
    """How many lines there are."""
    found = reader.execute("SELECT max(seq) FROM ev").fetchone()[0]
    return 0 if found is None else int(found) + 1


def origin(reader: sqlite3.Connection) -> str:
    return _fold(reader, "origin")


def genesis(reader: sqlite3.Connection) -> str:
    """The hash that an auditor keeps: the leaf of line 0, in hex."""
    return str(reader.execute("SELECT hex(leaf) FROM ev WHERE seq = 0").fetchone()[0]).lower()


def epoch(reader: sqlite3.Connection) -> int:
    return int(_fold(reader, "epoch") or 0)


def head(home: Path, reader: sqlite3.Connection) -> tuple[int, str]:
    """(size, root hex) as the head file last said; (size, "") when it is unreadable or lags behind."""
    lines = size(reader)
    for slot in read_heads(Path(home) / "head"):
        if slot.size <= lines:
            return slot.size, slot.root.hex()
    return lines, ""


def status(home: Path, reader: sqlite3.Connection) -> Row:
    """The ledger's part of `status --json`: runs and the audit head.

    root_size: how many lines the root covers; behind a crash it is fewer than there are, until the next start.
    """
    with snapshot(reader):
        found = runs(reader)
        covered, root = head(home, reader)
        return {
            "home": str(home),
            "epoch": epoch(reader),
            "closed": _fold(reader, "closed") == "1",
            "runs": found,
            "plans": {"pending": count(reader, "plan", "state = 'pending'")},
            "alerts": count(reader, "alert", "acked_by IS NULL"),
            "audit": {"size": size(reader), "root": root, "root_size": covered},
        }


def count(reader: sqlite3.Connection, table: str, where: str = "1") -> int:
    return int(reader.execute(f"SELECT count(*) FROM {table} WHERE {where}").fetchone()[0])


def halt_of(reader: sqlite3.Connection, account: str | None = None, run: str | None = None) -> HaltState:
    """The strictest halt of all, of the account and of the run."""
    found = reader.execute("SELECT state FROM halt WHERE scope_key IN ('all', ?, ?)", (account, run))
    return strictest(*(HaltState(state) for (state,) in found))


def halts(reader: sqlite3.Connection) -> list[Row]:
    """Every scope that is halted now."""
    return rows(reader, "SELECT * FROM halt WHERE state != 'ACTIVE' ORDER BY seq")


def runs(reader: sqlite3.Connection, *, live_only: bool = False) -> list[Row]:
    where = f"WHERE state IN {LIVE_SQL}" if live_only else ""
    return [_with_state(item) for item in rows(reader, f"{_RUN} {where} ORDER BY started_seq")]


def run(reader: sqlite3.Connection, name: str) -> Row:
    """One run. Raises Refused("NO_RUN")."""
    found = one(reader, f"{_RUN} WHERE run = ?", name)
    if found is None:
        raise Refused("NO_RUN", f"there is no {name}.", "'inalpha run list' shows all.")
    return _with_state(found)


def locks(reader: sqlite3.Connection, account: str | None = None) -> list[Row]:
    """Locks of entries, newest first. binds: the runs that step on and that each of them holds at their last bar,
    without those for which the owner has waived its rule.
    """
    reached = rows(
        reader,
        "SELECT run, account, symbol, (SELECT close * 1000 FROM step s WHERE s.run = run.run ORDER BY bar DESC LIMIT 1)"
        f" AS now_ns FROM run WHERE state IN {LIVE_SQL} OR {STEPS_ON} ORDER BY started_seq",
    )
    now_us = time.time_ns() // 1000
    waived = {(row["run"], row["rule"]) for row in waivers(reader, now_us)}
    found = rows(reader, "SELECT * FROM lock WHERE ifnull(?, account) = account ORDER BY id DESC", account)
    for lock in found:
        lock["binds"] = [
            item["run"]
            for item in reached
            if item["account"] == lock["account"]
            and item["now_ns"] is not None
            and (item["run"], lock["rule"]) not in waived
            and lock["from_ns"] <= item["now_ns"] < lock["until_ns"]
            and (
                item["symbol"] == lock["symbol"]
                if lock["symbol"]
                else lock["scope"] in (item["run"], item["account"])
            )
        ]
    return found


def run_errors(reader: sqlite3.Connection, name: str, limit: int = 100) -> list[Row]:
    """Newest first."""
    return rows(reader, "SELECT * FROM run_error WHERE run = ? ORDER BY ts DESC LIMIT ?", name, limit)


def waivers(reader: sqlite3.Connection, now_us: int, name: str | None = None) -> list[Row]:
    """Waivers in force of a run, or of every run that is live: rule, run, expires, seq of its line."""
    return rows(
        reader,
        "SELECT o.rule, o.run, o.expires, o.seq FROM (SELECT rule, run, expires, max(seq) AS seq FROM opt_out"
        " GROUP BY rule, run) o JOIN run r ON r.run = o.run WHERE o.expires > ?1 AND (o.run = ?2 OR ?2 IS NULL)"
        f" AND r.state IN {LIVE_SQL} ORDER BY o.seq",
        now_us,
        name,
    )


def steps(reader: sqlite3.Connection, name: str, after_bar: int = -1, limit: int = 1000) -> list[Row]:
    """The bars of a run, each with the ts of its line left to `lines`."""
    return rows(
        reader, "SELECT * FROM step WHERE run = ? AND bar > ? ORDER BY bar LIMIT ?", name, after_bar, limit
    )


def journal(reader: sqlite3.Connection, name: str, after: int = -1, limit: int = 1000) -> list[Row]:
    """Journal entries, page by page."""
    return rows(
        reader, "SELECT * FROM journal WHERE run = ? AND n > ? ORDER BY n LIMIT ?", name, after, limit
    )


def plans(reader: sqlite3.Connection, state: str | None = None, run_name: str | None = None) -> list[Row]:
    """Plans with the latest risk result; oldest first."""
    sql = (
        "SELECT p.*, (SELECT result FROM risk_check r WHERE r.plan = p.plan"
        " ORDER BY r.seq DESC LIMIT 1) AS risk"
        " FROM plan p WHERE (?1 IS NULL OR p.state = ?1) AND (?2 IS NULL OR p.run = ?2)"
        " ORDER BY p.created_seq"
    )
    return rows(reader, sql, state, run_name)


def fills(
    reader: sqlite3.Connection, run_name: str | None = None, since_seq: int = -1, limit: int = 1_000_000
) -> list[Row]:
    """Fills with their market time and reason."""
    sql = (
        "SELECT f.*, t.time_us, t.reason FROM fill f LEFT JOIN fill_detail t ON t.fill = f.fill"
        " WHERE (?1 IS NULL OR f.run = ?1) AND f.seq > ?2 ORDER BY f.seq LIMIT ?3"
    )
    return with_words(reader, rows(reader, sql, run_name, since_seq, limit))


def positions(reader: sqlite3.Connection, account: str | None = None) -> list[Row]:
    """Positions that are not flat, with average cost and the last fill's price and time."""
    found = rows(
        reader,
        "SELECT account, symbol, quantity FROM position WHERE quantity != '0'"
        " AND (?1 IS NULL OR account = ?1)"
        " ORDER BY account, symbol",
        account,
    )
    return [item | _cost(reader, item["account"], item["symbol"]) for item in found]


def accounts(reader: sqlite3.Connection) -> list[Row]:
    return rows(reader, "SELECT * FROM account ORDER BY account")


def account(reader: sqlite3.Connection, name: str) -> Row:
    """One account by id or by its owner's handle. Raises Refused("NO_ACCOUNT")."""
    found = one(reader, "SELECT * FROM account WHERE account = ? OR owner = ?", name, f"op:{name}")
    if found is None:
        raise Refused("NO_ACCOUNT", f"there is no account {name}.", "'inalpha account' shows yours.")
    fees = reader.execute("SELECT fee FROM fill WHERE account = ?", (found["account"],))
    found["fees"] = text_from_e8(sum(e8_from_text(fee) for (fee,) in fees))
    live = f"SELECT count(*) FROM run WHERE account = ? AND state IN {LIVE_SQL}"
    found["live_runs"] = reader.execute(live, (found["account"],)).fetchone()[0]
    return found


def candidates(reader: sqlite3.Connection, state: str | None = None) -> list[Row]:
    return rows(
        reader, "SELECT * FROM candidate WHERE ?1 IS NULL OR state = ?1 ORDER BY submitted_seq", state
    )


def candidate(reader: sqlite3.Connection, name: str) -> Row:
    """By id or sha256. Raises Refused("NO_CANDIDATE")."""
    found = one(reader, "SELECT * FROM candidate WHERE candidate = ?1 OR sha256 = ?1", name)
    if found is None:
        raise Refused("NO_CANDIDATE", f"there is no {name}.", "'inalpha candidate list' shows all.")
    return found


def keys(reader: sqlite3.Connection) -> list[Row]:
    """Enrolled keys, log keys left out."""
    return rows(reader, "SELECT * FROM key WHERE role != 'log' ORDER BY enrolled_seq")


def proposals(reader: sqlite3.Connection, state: str | None = None) -> list[Row]:
    return rows(reader, "SELECT * FROM proposal WHERE ?1 IS NULL OR state = ?1 ORDER BY opened_seq", state)


def alerts(reader: sqlite3.Connection, *, open_only: bool = True) -> list[Row]:
    where = "WHERE acked_by IS NULL" if open_only else ""
    return rows(reader, f"SELECT * FROM alert {where} ORDER BY id")


def lines(
    reader: sqlite3.Connection, since_seq: int = 0, kind: str | None = None, limit: int = 1_000_000
) -> Iterator[Event]:
    """Parsed lines from since_seq on (signatures are `audit verify`'s business), page by page."""
    sent, at = 0, since_seq
    while sent < limit:
        page = reader.execute(
            "SELECT seq, entry FROM ev WHERE seq >= ? ORDER BY seq LIMIT 500", (at,)
        ).fetchall()
        for seq, entry in page:
            at = seq + 1
            event = read_event(entry)
            if kind is None or event.kind == kind:
                yield event
                sent += 1
                if sent == limit:
                    return
        if len(page) < 500:
            return


def entry(reader: sqlite3.Connection, seq: int) -> bytes:
    """A line's bytes. Raises Refused("NO_LINE")."""
    found = reader.execute("SELECT entry FROM ev WHERE seq = ?", (seq,)).fetchone()
    if found is None:
        raise Refused("NO_LINE", f"there is no line {seq}.")
    return bytes(found[0])


def _open(path: Path) -> sqlite3.Connection:
    if not path.exists():
        raise ConfigError("NO_LEDGER", f"{path} does not exist.", "Run 'inalpha init', or give --home.")
    conn = sqlite3.connect(
        read_only_uri(path),
        uri=True,
        isolation_level=None,
        timeout=5.0,
        check_same_thread=False,
    )
    conn.execute("PRAGMA query_only = ON")
    return conn


def _fold(reader: sqlite3.Connection, key: str) -> str:
    found = reader.execute("SELECT value FROM fold WHERE key = ?", (key,)).fetchone()
    return str(found[0]) if found else ""


def _with_state(item: Row) -> Row:
    item["is_live"] = item["state"] in LIVE_RUN_STATES
    if item.pop("last_error") == PARKED and item["is_live"]:
        item["state"] = "parked"
    item["is_watched"] = bool(item["is_watched"])
    return item


def _cost(reader: sqlite3.Connection, account_id: str, symbol: str) -> Row:
    """Average cost by walking the fills since the position was last flat."""
    held = cost = 0
    last: Row = {"average": None, "last_price": None, "last_ts": None}
    for item in rows(
        reader,
        "SELECT side, quantity, price, ts FROM fill WHERE account = ? AND symbol = ? ORDER BY seq",
        account_id,
        symbol,
    ):
        change = e8_from_text(item["quantity"]) * (1 if item["side"] == "buy" else -1)
        price = e8_from_text(item["price"])
        if held * change >= 0:
            cost += multiply_e8(change, price)
        elif abs(change) <= abs(held):
            cost = cost * (held + change) // held
        else:
            cost = multiply_e8(held + change, price)
        held += change
        last["last_price"], last["last_ts"] = item["price"], item["ts"]
    if held:
        last["average"] = text_from_e8(cost * 100_000_000 // held)
    return last
