"""What a ledger's lines come to, in a page: the claims of an export, which auditors compute again."""

from __future__ import annotations

import sqlite3
from typing import Any

from inalpha.audit.fold.base import e8
from inalpha.model.money import text_from_e8
from inalpha.model.states import LIVE_RUN_STATES


def claims_of(conn: sqlite3.Connection) -> dict[str, Any]:
    """Claims over the projections of conn, which have to be of the exported size."""
    return {
        "accounts": [_account(conn, *row) for row in conn.execute(
            "SELECT account, owner, currency, opening, cash FROM account ORDER BY account"
        ).fetchall()],
        "candidates": dict(conn.execute("SELECT state, count(*) FROM candidate GROUP BY state").fetchall()),
        "halts": [list(row) for row in conn.execute(
            "SELECT scope_key, state FROM halt WHERE state != 'ACTIVE' ORDER BY scope_key"
        ).fetchall()],
        "plans": dict(conn.execute("SELECT state, count(*) FROM plan GROUP BY state").fetchall()),
        "runs": [_run(row) for row in conn.execute(
            "SELECT run, account, approval, bars, candidate, fills, intents, position, refused, state, symbol"
            " FROM run ORDER BY started_seq"
        ).fetchall()],
    }  # fmt: skip


def _account(
    conn: sqlite3.Connection, account: str, owner: str, currency: str, opening: str, cash: str
) -> dict[str, Any]:
    fees = [e8(fee) for (fee,) in conn.execute("SELECT fee FROM fill WHERE account = ?", (account,))]
    held = conn.execute(
        "SELECT symbol, quantity FROM position WHERE account = ? AND quantity != '0' ORDER BY symbol",
        (account,),
    ).fetchall()
    return {
        "account": account,
        "cash": text_from_e8(e8(cash)),
        "currency": currency,
        "fees": text_from_e8(sum(fees)),
        "fills": len(fees),
        "opening": text_from_e8(e8(opening)),
        "owner": owner,
        "positions": [list(row) for row in held],
    }


def _run(row: tuple[Any, ...]) -> dict[str, Any]:
    names = (
        "run",
        "account",
        "approval",
        "bars",
        "candidate",
        "fills",
        "intents",
        "position",
        "refused",
        "state",
    )
    found = dict(zip((*names, "symbol"), row, strict=True))
    # How a live run waits (starting, running, parked) is the daemon's affair; the lines only start and stop it.
    found["state"] = "live" if found["state"] in LIVE_RUN_STATES else found["state"]
    return found
