"""Which halts stand now, in the ledger and in the latch, the worst first, each with who set it and why."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from typing import Any

from inalpha.audit.event import Event, read_event
from inalpha.ledger import readers
from inalpha.model.latch import LatchRow
from inalpha.model.states import HaltState, strictest

Row = dict[str, Any]


def standing(reader: sqlite3.Connection, latched: Iterable[LatchRow] = ()) -> list[Row]:
    """One row per halted scope, worst first: scope, scope_key, name, state, by, reason, ts, seq, is_latched.

    name: `all`, the run, or the account's owner. A latch row counts where the ledger does not say as much already;
    it has no line yet. The reason is "" where it was erased.
    """
    found = {row["scope_key"]: _of_ledger(reader, row) for row in readers.halts(reader)}
    readers.with_words(reader, list(found.values()))
    for row in latched:
        known = found.get(row.scope_key)
        if known is None or HaltState(known["state"]).severity < row.state.severity:
            found[row.scope_key] = _of_latch(reader, row)
    return sorted(found.values(), key=lambda row: -HaltState(row["state"]).severity)


def worst(halts: Iterable[Row]) -> HaltState:
    """The strictest state of any scope."""
    return strictest(*(HaltState(row["state"]) for row in halts))


def binding(halts: Iterable[Row], account: str | None, run: str | None) -> HaltState:
    """The strictest state that binds a run of an account."""
    keys = ("all", account, run)
    return strictest(*(HaltState(row["state"]) for row in halts if row["scope_key"] in keys))


def author_of(event: Event) -> str:
    """Who a line says acted. A name that no key proves is marked `(claimed)`."""
    claimed = event.data.get("claimed_by")
    return f"{claimed} (claimed)" if claimed else event.actor


def scope_name(reader: sqlite3.Connection, scope: str, account: str | None, run: str | None) -> str:
    """`all`, the run, or the handle of the account's owner."""
    if scope == "account":
        found = reader.execute("SELECT owner FROM account WHERE account = ?", (account,)).fetchone()
        return str(found[0]).removeprefix("op:") if found else str(account)
    return str(run) if scope == "run" else "all"


def _of_ledger(reader: sqlite3.Connection, row: Row) -> Row:
    # The line itself names the claimant; the folded row need not have kept it.
    line = read_event(readers.entry(reader, row["seq"]))
    return row | {
        "name": scope_name(reader, row["scope"], row["account"], row["run"]),
        "by": author_of(line),
        "reason": row["reason_commit"],
        "is_latched": False,
    }


def _of_latch(reader: sqlite3.Connection, row: LatchRow) -> Row:
    return {
        "scope_key": row.scope_key,
        "scope": row.scope,
        "account": row.account,
        "run": row.run,
        "state": row.state.value,
        "seq": None,
        "ts": row.ts or None,
        "actor": row.actor,
        "name": scope_name(reader, row.scope, row.account, row.run),
        "by": row.actor,
        "reason": row.reason,
        "is_latched": True,
    }
