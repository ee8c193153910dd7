"""Folds of candidates, runs, steps, decisions and halts."""

from __future__ import annotations

import sqlite3

from inalpha.audit import gate as notes
from inalpha.audit.canonical import digest, encode
from inalpha.audit.event import Event
from inalpha.audit.fold.base import Violation, account_of, only, require, row, take_number
from inalpha.audit.fold.plans import halt_state
from inalpha.model.states import LIVE_SQL, STOPPED_REASONS, HaltState, strictest

MANDATE_HEADER = "inalpha.audit/mandate/v1"
MAX_LIVE_RUNS = 10
_LIVE = f"state IN {LIVE_SQL}"


def candidate_submit(conn: sqlite3.Connection, event: Event) -> None:
    data = event.data
    require(data["candidate"] == f"cand-{data['sha256'][:12]}", "I7", "the id is not of this source")
    require(data["owner_account_id"] == account_of(conn, event.actor), "I5", "not the submitter's account")
    conn.execute(
        "INSERT INTO candidate VALUES (?, ?, ?, ?, ?, ?, ?, 'submitted', NULL, ?, NULL, NULL, NULL)",
        (
            data["candidate"], data["sha256"], data["size"], data["owner_account_id"], event.actor, event.seq,
            event.ts, data["rationale_commit"],
        ),
    )  # fmt: skip


def candidate_gate(conn: sqlite3.Connection, event: Event) -> None:
    data = event.data
    cursor = conn.execute(
        "UPDATE candidate SET state = ?, evidence_sha256 = ? WHERE candidate = ? AND sha256 = ?"
        " AND state IN ('submitted','passed','failed')",
        (f"{data['result']}ed", data["evidence_sha256"], data["candidate"], data["sha256"]),
    )
    only(cursor, "I7", f"{data['candidate']} cannot be judged any more, or is another source")


_DECISIONS = {
    "candidate.promote": ("promoted", "state = 'passed'"),
    "candidate.reject": ("rejected", "state IN ('submitted','passed','failed')"),
    "candidate.revoke": ("revoked", "state = 'promoted'"),
}


def candidate_decide(conn: sqlite3.Connection, event: Event) -> None:
    data = event.data
    state, condition = _DECISIONS[event.kind]
    cursor = conn.execute(
        "UPDATE candidate SET state = ?, decided_by = ?, decided_seq = ?, reason_commit = ?"
        f" WHERE candidate = ? AND sha256 = ? AND {condition}",
        (state, event.actor, event.seq, data["reason_commit"], data["candidate"], data["sha256"]),
    )
    only(cursor, "I7", f"{data['candidate']} cannot become {state}")


def run_start(conn: sqlite3.Connection, event: Event) -> None:
    data = event.data
    mandate = data["mandate"]
    account = mandate["account"]
    take_number(conn, data["run"])
    require(data["mandate_sha256"] == digest(MANDATE_HEADER, mandate), "I3", "another mandate digest")
    require(mandate["v"] == 1, "I8", "a mandate of another version")
    require(mandate["expires"] > event.ts, "I8", "the mandate has expired")
    found = row(
        conn,
        "SELECT candidate, owner_account_id, state FROM candidate WHERE sha256 = ?",
        mandate["candidate_sha256"],
    )
    if found is None or found[2] != "promoted":
        raise Violation("I7", "the candidate is not promoted")
    owners = {found[1], account, data["owner_account_id"], account_of(conn, event.actor)}
    require(len(owners) == 1, "I5", "account, candidate and signer have different owners")
    require(row(conn, "SELECT 1 FROM account WHERE account = ?", account), "I5", "the account is unknown")
    limits = row(conn, "SELECT rules_sha256 FROM limits WHERE account = ?", account)
    require(limits and limits[0] == mandate["limits_sha256"], "I8", "the mandate was signed on other limits")
    live = row(conn, f"SELECT count(*) FROM run WHERE account = ? AND {_LIVE}", account)
    require(live and live[0] < MAX_LIVE_RUNS, "I14", f"more than {MAX_LIVE_RUNS} live runs")
    twin = row(
        conn, f"SELECT run FROM run WHERE account = ? AND symbol = ? AND {_LIVE}", account, mandate["symbol"]
    )
    require(twin is None, "I14", "a second live run on this account and symbol")
    feed = mandate["feed"]
    conn.execute(
        "INSERT INTO run(run, candidate, sha256, account, symbol, timeframe, feed_kind, feed_name,"
        " feed_sha256, approval, allocation, fill, expires, params, mandate, mandate_sha256,"
        " owner_account_id, started_by, started_seq, started_ts, state)"
        " VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,'starting')",
        (
            data["run"], found[0], mandate["candidate_sha256"], account, mandate["symbol"],
            mandate["timeframe"], feed["kind"], feed["name"], feed["config_sha256"], mandate["approval"],
            mandate["allocation"], mandate["fill"], mandate["expires"], encode(mandate["params"]).decode(),
            encode(mandate).decode(), data["mandate_sha256"], data["owner_account_id"],
            event.actor, event.seq,
            event.ts,
        ),
    )  # fmt: skip


# Below sealed: the levels whose waiver reaches as far, the same or a lower one.
_WAIVED_AT = {"fenced": ("fenced", "process"), "process": ("process",)}


def run_isolated(conn: sqlite3.Connection, event: Event) -> None:
    """Below sealed only while the owner's last word about this run and host allows it."""
    data = event.data
    if data["level"] != "sealed":
        rules = [f"isolation.{level}.{data['host']}" for level in _WAIVED_AT[data["level"]]]
        words = [_last_expiry(conn, rule, data["run"]) for rule in rules]
        require(max(words) > event.ts, "I22", f"{data['run']} is {data['level']} on {data['host']}, unwaived")
    cursor = conn.execute(
        f"UPDATE run SET state = 'running', level = ?, host = ?, evidence_sha256 = ?"
        f" WHERE run = ? AND {_LIVE}",
        (data["level"], data["host"], data["evidence_sha256"], data["run"]),
    )
    only(cursor, "I15", f"{data['run']} is not live")


def _last_expiry(conn: sqlite3.Connection, rule: str, run: str) -> int:
    sql = "SELECT expires FROM opt_out WHERE rule = ? AND run IS ? ORDER BY seq DESC LIMIT 1"
    found = row(conn, sql, rule, run)
    return int(found[0]) if found else 0


def run_stop(conn: sqlite3.Connection, event: Event) -> None:
    data = event.data
    state = "stopped" if data["reason"] in STOPPED_REASONS else "failed"
    cursor = conn.execute(
        f"UPDATE run SET state = ?, reason = ?, ended_seq = ?, ended_ts = ? WHERE run = ? AND {_LIVE}",
        (state, data["reason"], event.seq, event.ts, data["run"]),
    )
    only(cursor, "I15", f"{data['run']} is not live")


def run_caretake(conn: sqlite3.Connection, event: Event) -> None:
    """An ended run's position is stepped on again, without its strategy and under its exits alone, until flat."""
    run = event.data["run"]
    found = row(conn, "SELECT ended_seq, position, account FROM run WHERE run = ?", run)
    require(found and found[0] is not None, "I15", f"{run} has not ended")
    require(found and found[1] != "0", "I15", f"{run} holds nothing to take care of")
    halt = halt_state(conn, found[2] if found else "", run)
    require(halt.severity < HaltState.HALTED.severity, "I9", f"{run} is {halt.value}")


def step(conn: sqlite3.Connection, event: Event) -> None:
    data = event.data
    require(data["open"] < data["close"] <= event.ts, "I10", "the bar was still forming")
    cursor = conn.execute(
        "UPDATE run SET bars = bars + 1, intents = intents + ?, awaited = ?, last_open = ?, last_close = ?,"
        " last_bar_sha256 = ?, head = ? WHERE run = ? AND bars = ? AND awaited = 0 AND ifnull(last_open, -1) < ?",
        (
            data["intents"], data["intents"], data["open"], data["close"], data["bar_sha256"],
            data["state_sha256"], data["run"], data["bar"], data["open"],
        ),
    )  # fmt: skip
    if cursor.rowcount != 1:
        raise _step_violation(conn, event)
    if data["bar"] == 0:  # apart, as naming the state makes each bar pay for the index of live runs
        conn.execute("UPDATE run SET state = 'running' WHERE run = ? AND state = 'starting'", (data["run"],))
    conn.execute(
        "INSERT INTO step VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        (
            data["run"], data["bar"], data["open"], data["close"], data["intents"], data["bar_sha256"],
            data["state_sha256"], event.seq,
        ),
    )  # fmt: skip


def decision(conn: sqlite3.Connection, event: Event) -> None:
    data = event.data
    run, bar, _ = data["intent"].split(":")
    require((run, int(bar)) == (data["run"], data["bar"]), "I11", "the intent is of another bar")
    refused = data["outcome"] in ("risk_rejected", "rejected")
    cursor = conn.execute(
        "UPDATE run SET awaited = awaited - 1, refused = refused + ? WHERE run = ?"
        " AND bars = ? + 1 AND awaited > 0"
        " AND last_bar_sha256 = ?",
        (refused, data["run"], data["bar"], data["bar_sha256"]),
    )
    only(cursor, "I11", f"{data['intent']} is not an intent of its run's last bar")
    known = row(conn, "SELECT 1 FROM decision WHERE intent = ?", data["intent"])
    require(known is None, "I11", f"{data['intent']} was decided before")
    plan = row(conn, "SELECT intent, state FROM plan WHERE plan = ?", data["plan"])
    wanted = {"working": "executed", "pending": "pending", "risk_rejected": "rejected"}.get(data["outcome"])
    found = (data["intent"], wanted) if wanted else None
    require(plan == found, "I11", f"the plan of {data['intent']} is not {wanted or 'absent'}")
    conn.execute(
        "INSERT INTO decision VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        (
            data["intent"], data["run"], data["bar"], data["bar_sha256"], data["outcome"], data["plan"],
            data["code"], event.seq,
        ),
    )  # fmt: skip


def halt_set(conn: sqlite3.Connection, event: Event) -> None:
    """A laxer halt than the standing one changes nothing: only a signature loosens."""
    data = event.data
    key = _scope_key(event)
    found = row(conn, "SELECT state FROM halt WHERE scope_key = ?", key)
    standing = HaltState(found[0]) if found else HaltState.ACTIVE
    asked = HaltState(data["state"])
    if strictest(standing, asked) is standing and standing is not asked:
        return
    conn.execute(
        "INSERT OR REPLACE INTO halt VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            key, data["scope"], data["account"], data["run"], asked.value, event.seq, event.ts, event.actor,
            data["reason_commit"],
        ),
    )  # fmt: skip


def halt_resume(conn: sqlite3.Connection, event: Event) -> None:
    """To ACTIVE, by a person who saw the halt: one that was set after the note's base voids it."""
    data = event.data
    standing = row(conn, "SELECT seq FROM halt WHERE scope_key = ? AND state != 'ACTIVE'", _scope_key(event))
    if standing is not None and event.gate is not None:
        seen = notes.parse(event.gate, notes.GATE_HEADER).base_size or 0
        require(standing[0] < seen, "I9", f"the halt of line {standing[0]} is newer than the resuming note")
    cursor = conn.execute(
        "UPDATE halt SET state = 'ACTIVE', seq = ?, ts = ?, actor = ?, reason_commit = ?"
        " WHERE scope_key = ? AND state != 'ACTIVE'",
        (event.seq, event.ts, event.actor, data["reason_commit"], _scope_key(event)),
    )
    only(cursor, "I15", "nothing is halted there")
    conn.execute("INSERT INTO resumed VALUES (?, ?)", (event.seq, _scope_key(event)))


def _scope_key(event: Event) -> str:
    data = event.data
    scope, account, run = data["scope"], data["account"], data["run"]
    shapes = {"all": (False, False), "account": (True, False), "run": (False, True)}
    require((account is not None, run is not None) == shapes[scope], "I9", f"a halt of {scope} names others")
    return str(run or account or "all")


def _step_violation(conn: sqlite3.Connection, event: Event) -> Violation:
    data = event.data
    found = row(conn, "SELECT bars, awaited FROM run WHERE run = ?", data["run"])
    if found is None:
        return Violation("I10", f"a step of the unknown {data['run']}")
    if found[0] != data["bar"]:
        return Violation("I10", f"bar {data['bar']} after bar {found[0] - 1}")
    if found[1]:
        return Violation("I11", f"{found[1]} intents of bar {found[0] - 1} have no decision")
    return Violation("I10", "the bar does not open after the last one")
