"""What must hold before a person's signature takes effect: promotion, start, resume."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from typing import Any

from inalpha.audit import gate as notes
from inalpha.audit.fold.base import account_of
from inalpha.execution.mandates import mandate_digest
from inalpha.ledger.txn import Txn
from inalpha.model.errors import Refused
from inalpha.model.states import LIVE_SQL, HaltState

MAX_RUNS = 10
_LIVE = f"state IN {LIVE_SQL}"


def check_candidate(conn: sqlite3.Connection, candidate: str, states: tuple[str, ...]) -> tuple[str, str]:
    """(sha256, owner account) of a candidate in one of the states. Raises Refused."""
    found = conn.execute(
        "SELECT sha256, owner_account_id, state, decided_by FROM candidate WHERE candidate = ?", (candidate,)
    ).fetchone()
    if found is None:
        raise Refused("NO_CANDIDATE", f"there is no {candidate}.", "'inalpha candidate list' shows all.")
    if found[2] not in states:
        by = f", decided by {found[3]}" if found[3] else ""
        raise Refused(
            "CANDIDATE_STATE", f"{candidate} is {found[2]}{by}.", f"Only {' or '.join(states)} will do."
        )
    return found[0], found[1]


def decide_candidate(
    txn: Txn, action: str, candidate: str, actor: str, reason_commit: str, gate: str, gate2: str | None = None
) -> None:
    """promote, reject or revoke. Raises Refused or GateRefused."""
    states = {
        "promote": ("passed",),
        "reject": ("submitted", "passed", "failed"),
        "revoke": ("promoted",),
    }[action]
    sha256, owner = check_candidate(txn.conn, candidate, states)
    if account_of(txn.conn, actor) != owner:
        raise Refused("NOT_OWNER", f"{candidate} belongs to another account.", "Its owner decides.")
    data = {"candidate": candidate, "reason_commit": reason_commit, "sha256": sha256}
    txn.line(f"candidate.{action}", actor, data, gate=gate, gate2=gate2)


def check_start(
    conn: sqlite3.Connection, mandate: Mapping[str, Any], actor: str, now_us: int, max_runs: int = MAX_RUNS
) -> None:
    """Raise Refused with the first rule that forbids this start. max_runs may lower ten, never raise it."""
    account = mandate["account"]
    found = conn.execute(
        "SELECT owner_account_id, state, candidate FROM candidate WHERE sha256 = ?",
        (mandate["candidate_sha256"],),
    ).fetchone()
    if found is None or found[1] != "promoted":
        state = found[1] if found else "unknown"
        raise Refused(
            "NOT_PROMOTED", f"the candidate is {state}.", "Promote it: 'inalpha candidate promote'."
        )
    known = conn.execute("SELECT 1 FROM account WHERE account = ?", (account,)).fetchone()
    if known is None or not found[0] == account == account_of(conn, actor):
        raise Refused(
            "NOT_OWNER", "account, candidate and signer have different owners.", "Use your own account."
        )
    if mandate["expires"] <= now_us:
        raise Refused(
            "MANDATE_EXPIRED", "the mandate's expiry has passed.", "Sign one with a later --expires."
        )
    limits = conn.execute("SELECT rules_sha256 FROM limits WHERE account = ?", (account,)).fetchone()
    if limits is None:
        raise Refused(
            "NO_RISK_RULES", "no risk rules are in force.", "Write risk.toml, then 'inalpha risk apply'."
        )
    if limits[0] != mandate["limits_sha256"]:
        raise Refused("LIMITS_CHANGED", "the rules changed since the mandate was signed.", "Sign it again.")
    limit = min(max_runs, MAX_RUNS)
    live = conn.execute(f"SELECT count(*) FROM run WHERE account = ? AND {_LIVE}", (account,)).fetchone()[0]
    if live >= limit:
        detail = {
            "status": 429,
            "rule": "runs_per_account",
            "value": live,
            "limit": limit,
            "setting": "account.max_runs",
        }
        raise Refused(
            "TOO_MANY_RUNS", f"{live} runs are live, {limit} is the most.", "Stop one first.", detail=detail
        )
    twin = conn.execute(
        f"SELECT run FROM run WHERE account = ? AND symbol = ? AND {_LIVE}", (account, mandate["symbol"])
    ).fetchone()
    if twin is not None:
        raise Refused(
            "SYMBOL_RUN_CONFLICT",
            f"{twin[0]} runs on {mandate['symbol']}.",
            "Stop it first.",
            detail={"run": twin[0]},
        )


def start_run(
    txn: Txn,
    mandate: Mapping[str, Any],
    actor: str,
    gate: str,
    gate2: str | None = None,
    *,
    max_runs: int = MAX_RUNS,
) -> str:
    """Count, check and start in one transaction; returns `run-N`."""
    check_start(txn.conn, mandate, actor, txn.now_us, max_runs)
    run = txn.next_id("run")
    data = {
        "mandate": dict(mandate),
        "mandate_sha256": mandate_digest(mandate),
        "owner_account_id": mandate["account"],
        "run": run,
    }
    txn.line("run.start", actor, data, gate=gate, gate2=gate2)
    return run


def resume(
    txn: Txn,
    scope: str,
    actor: str,
    reason_commit: str,
    gate: str,
    *,
    account: str | None = None,
    run: str | None = None,
    reducing: bool = False,
) -> None:
    """Lift a halt; reducing: the caller sets REDUCING behind it in this transaction.

    A halt that the signer had not seen voids the note (HALT_NEWER).
    """
    key = run or account or "all"
    found = txn.conn.execute("SELECT state, seq FROM halt WHERE scope_key = ?", (key,)).fetchone()
    if found is None or found[0] == "ACTIVE":
        raise Refused("NOT_HALTED", f"{key} is not halted.")
    if reducing and found[0] == HaltState.REDUCING.value:
        raise Refused("HALT_STATE", f"{key} is REDUCING already.", "Leave --reducing out to resume it.")
    data = {"account": account, "reason_commit": reason_commit, "run": run, "scope": scope}
    txn.check_gate(gate, "halt.resume", data, actor)
    if found[1] >= (notes.parse(gate, notes.GATE_HEADER).base_size or 0):
        raise Refused(
            "HALT_NEWER", f"{key} was halted again in line {found[1]}.", "Look at it and sign again."
        )
    txn.line("halt.resume", actor, data, gate=gate)
