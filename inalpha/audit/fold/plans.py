"""Folds of plans, risk results, approvals, tokens, orders and fills."""

from __future__ import annotations

import sqlite3
from typing import Any

from inalpha.audit.canonical import digest_of, encode_checked
from inalpha.audit.event import Event
from inalpha.audit.fold.base import (
    Violation,
    account_of,
    e8,
    only,
    require,
    row,
    take_number,
)
from inalpha.audit.fold.runbook import check_allocation, check_figures, only_reduces
from inalpha.model.principals import DAEMON, RISK, RUNNER
from inalpha.model.states import LIVE_RUN_STATES, HaltState, strictest

PLAN_HEADER = "inalpha.audit/plan/v1"
MAX_TOKEN_LIFE_US = 30_000_000


def plan_create(conn: sqlite3.Connection, event: Event) -> None:
    data = event.data
    body, plan = data["body"], data["plan"]
    take_number(conn, plan)
    # The line's closed schema has proven the body's types.
    text = encode_checked(body)
    require(
        data["plan_sha256"] == digest_of(PLAN_HEADER, text.encode()),
        "I3",
        f"{plan}: another digest than its body's",
    )
    require(body["v"] == 1 and e8(body["quantity"]) > 0, "I8", f"{plan}: bad version or quantity")
    require(row(conn, "SELECT 1 FROM account WHERE account = ?", body["account"]), "I5", "unknown account")
    require(
        (body["origin"] == "run") == (body["intent"] is not None), "I8", f"{plan}: origin and intent differ"
    )
    if body["origin"] == "proposal":
        own = account_of(conn, event.actor)
        require(own == body["account"], "I5", f"{plan}: proposed by {event.actor} for another's account")
    _check_mandate(conn, event)
    conn.execute(
        'INSERT INTO plan(plan, run, account, symbol, side, quantity, type, "limit", stop, tif, reduce_only,'
        " intent, body, digest, proposed_by, created_seq, created_ts, expires, state)"
        " VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,'pending')",
        (
            plan, body["run"], body["account"], body["symbol"], body["side"], body["quantity"], body["type"],
            body["limit"], body["stop"], body["tif"], body["reduce_only"], body["intent"],
            text, data["plan_sha256"], event.actor, event.seq, event.ts,
            body["expires"],
        ),
    )  # fmt: skip


def risk_check(conn: sqlite3.Connection, event: Event) -> None:
    data = event.data
    found = row(conn, "SELECT digest, state FROM plan WHERE plan = ?", data["plan"])
    require(
        found == (data["plan_sha256"], "pending"), "I6", f"{data['plan']}: checked in another state or body"
    )
    check_figures(conn, _plan(conn, data["plan"]), data)
    conn.execute(
        "INSERT INTO risk_check VALUES (?, ?, ?, ?, ?, ?, ?)",
        (
            event.seq, data["plan"], data["result"], data["rule"], data["measured"], data["limit"],
            data["rules_sha256"],
        ),
    )  # fmt: skip


def plan_approve(conn: sqlite3.Connection, event: Event) -> None:
    data = event.data
    plan = _pending(conn, data["plan"])
    require(plan["digest"] == data["plan_sha256"], "I3", f"{data['plan']}: approved with another digest")
    require(event.ts < plan["expires"], "I15", f"{data['plan']} had expired")
    _check_approver(conn, event, plan)
    _check_risk(conn, event, plan)
    check_allocation(conn, plan)
    _check_halt(conn, plan)
    life = data["token_expires"] - event.ts
    require(0 < life <= MAX_TOKEN_LIFE_US, "I2", "the token lives longer than 30 s")
    conn.execute(
        "UPDATE plan SET state = 'approved', decided_by = ?, decided_seq = ?, decided_ts = ? WHERE plan = ?",
        (event.actor, event.seq, event.ts, data["plan"]),
    )
    known = row(conn, "SELECT 1 FROM token WHERE token_sha256 = ?", data["token_sha256"])
    require(known is None, "I2", "a token minted twice")
    conn.execute(
        "INSERT INTO token VALUES (?, ?, ?, ?, ?, NULL)",
        (data["token_sha256"], data["plan"], data["plan_sha256"], data["token_expires"], event.seq),
    )


def plan_execute(conn: sqlite3.Connection, event: Event) -> None:
    data = event.data
    minted = "SELECT 1 FROM token WHERE plan = ? AND minted_seq = ? AND consumed_seq IS NULL"
    known = row(conn, minted, data["plan"], event.seq - 1)
    require(known, "I2", f"{data['plan']}: no unused token was minted for it by the line before")
    plan = _plan(conn, data["plan"])
    require(plan["digest"] == data["plan_sha256"], "I3", f"{data['plan']}: executed with another digest")
    by_person = str(plan["decided_by"]).startswith("op:")
    wanted = DAEMON if by_person else RUNNER
    require(event.actor == wanted, "I2", f"executed by {event.actor} instead of {wanted}")
    cursor = conn.execute(
        "UPDATE token SET consumed_seq = ? WHERE token_sha256 = ? AND plan = ? AND digest = ? AND expires > ?"
        " AND consumed_seq IS NULL AND minted_seq = ?",
        (event.seq, data["token_sha256"], data["plan"], data["plan_sha256"], event.ts, event.seq - 1),
    )
    only(cursor, "I2", f"{data['plan']}: another token, or its time was over")
    _check_halt(conn, plan)
    take_number(conn, data["order"])
    cursor = conn.execute(
        "UPDATE plan SET state = 'executed', \"order\" = ? WHERE plan = ? AND state = 'approved'",
        (data["order"], data["plan"]),
    )
    only(cursor, "I15", f"{data['plan']} is {plan['state']}, not approved")
    run = plan["run"]
    bars = row(conn, "SELECT bars FROM run WHERE run = ?", run)
    conn.execute(
        'INSERT INTO orders("order", plan, run, intent, symbol, side, quantity, state, decided_bar,'
        " created_seq) VALUES (?, ?, ?, ?, ?, ?, ?, 'working', ?, ?)",
        (
            data["order"], data["plan"], run, plan["intent"], plan["symbol"], plan["side"], plan["quantity"],
            bars[0] - 1 if bars else None, event.seq,
        ),
    )  # fmt: skip


def plan_end(conn: sqlite3.Connection, event: Event) -> None:
    """plan.reject, plan.expire, plan.cancel: from pending only, each final."""
    data = event.data
    plan = _pending(conn, data["plan"])
    state, code = {
        "plan.reject": ("rejected", data.get("code")),
        "plan.expire": ("expired", "PLAN_EXPIRED"),
        "plan.cancel": ("cancelled", data.get("reason")),
    }[event.kind]
    if event.kind == "plan.reject":
        require(plan["digest"] == data["plan_sha256"], "I3", f"{data['plan']}: rejected with another digest")
        if event.actor.startswith("op:"):
            require(
                account_of(conn, event.actor) == plan["account"], "I4", "rejected by another account's person"
            )
    if event.kind == "plan.expire":
        require(event.ts >= plan["expires"], "I15", f"{data['plan']} has not expired yet")
    conn.execute(
        "UPDATE plan SET state = ?, code = ?, decided_by = ?, decided_seq = ?, decided_ts = ? WHERE plan = ?",
        (state, code, event.actor, event.seq, event.ts, data["plan"]),
    )


def halt_state(conn: sqlite3.Connection, account: str, run: str | None) -> HaltState:
    """The strictest of the halts of all, of the account and of the run."""
    found = conn.execute("SELECT state FROM halt WHERE scope_key IN ('all', ?, ?)", (account, run)).fetchall()
    return strictest(*(HaltState(state) for (state,) in found))


def _check_halt(conn: sqlite3.Connection, plan: dict[str, Any]) -> None:
    """I9: no order under HALTED or KILLED, no entry under REDUCING."""
    state = halt_state(conn, plan["account"], plan["run"])
    if state is HaltState.ACTIVE:
        return
    require(
        state is HaltState.REDUCING and plan["reduce_only"],
        "I9",
        f"{plan['plan']}: an order under {state.value}",
    )


def _plan(conn: sqlite3.Connection, name: str) -> dict[str, Any]:
    cursor = conn.execute("SELECT * FROM plan WHERE plan = ?", (name,))
    found = cursor.fetchone()
    if found is None:
        raise Violation("I15", f"{name} is unknown")
    return dict(zip([column[0] for column in cursor.description], found, strict=True))


def _pending(conn: sqlite3.Connection, name: str) -> dict[str, Any]:
    plan = _plan(conn, name)
    require(plan["state"] == "pending", "I15", f"{name} is {plan['state']}, not pending")
    return plan


def _check_mandate(conn: sqlite3.Connection, event: Event) -> None:
    """Every plan works in one run's book, also one that a person or an agent proposes."""
    body = event.data["body"]
    run = row(
        conn,
        "SELECT account, symbol, mandate_sha256, state FROM run WHERE run = ?",
        body["run"],
    )
    if run is None:
        raise Violation("I8", f"{event.data['plan']}: a plan of the unknown {body['run']}")
    same = (body["account"], body["symbol"], body["mandate_sha256"]) == run[:3]
    require(same, "I8", f"{event.data['plan']}: account, symbol or mandate are not the run's")
    if event.actor == RISK:
        require(body["reduce_only"], "I4", "a plan of the guard that is no exit")
        return
    is_live = run[3] in LIVE_RUN_STATES
    if body["origin"] == "proposal":
        require(is_live or body["reduce_only"], "I8", f"an entry into {body['run']}, which is {run[3]}")
        return
    require(event.actor == RUNNER, "I4", f"a run's plan by {event.actor}")
    require(is_live, "I8", f"{body['run']} is {run[3]}")


def _check_approver(conn: sqlite3.Connection, event: Event, plan: dict[str, Any]) -> None:
    name = event.data["plan"]
    if event.actor.startswith("op:"):
        require(
            account_of(conn, event.actor) == plan["account"],
            "I4",
            f"{name}: approved by another account's person",
        )
        return
    require(event.actor == RUNNER, "I4", f"{name}: approved by {event.actor}")
    if plan["proposed_by"] == RISK:
        is_exit = plan["reduce_only"] and only_reduces(conn, plan)
        require(is_exit, "I4", f"{name}: the guard's plan is larger than the position")
        return
    require(plan["intent"] is not None, "I4", f"{name}: a proposal is for a person to approve")
    run = row(conn, "SELECT approval, state, expires FROM run WHERE run = ?", plan["run"])
    require(run and run[0] == "machine", "I4", f"{name}: no mandate lets the machine approve")
    require(run and run[1] in LIVE_RUN_STATES, "I4", f"{name}: its run is not live")
    require(run and event.ts < run[2], "I4", f"{name}: its mandate has expired")


def _check_risk(conn: sqlite3.Connection, event: Event, plan: dict[str, Any]) -> None:
    name = event.data["plan"]
    last = row(
        conn,
        "SELECT result, rule, rules_sha256 FROM risk_check WHERE plan = ? ORDER BY seq DESC LIMIT 1",
        name,
    )
    if last is None:
        raise Violation("I6", f"{name}: approved without a risk result")
    require(last[2] in _limits_in_force(conn, plan), "I6", f"{name}: judged by rules that are not in force")
    if last[0] != "pass":
        waived = row(
            conn,
            "SELECT expires FROM opt_out WHERE rule = ? AND run IS ? ORDER BY seq DESC LIMIT 1",
            last[1],
            plan["run"],
        )
        require(waived and waived[0] > event.ts, "I6", f"{name}: approved although risk said {last[0]}")


def _limits_in_force(conn: sqlite3.Connection, plan: dict[str, Any]) -> set[str]:
    """The account's limits; after a person loosened them, a run may stay on those of its own mandate."""
    account = plan["account"]
    limits = row(conn, "SELECT rules_sha256 FROM limits WHERE account = ?", account)
    found = {str(limits[0])} if limits else set()
    run = row(
        conn,
        "SELECT json_extract(mandate, '$.limits_sha256'), started_seq FROM run WHERE run = ?",
        plan["run"],
    )
    loosened = row(conn, "SELECT value FROM fold WHERE key = ?", f"loosen:{account}")
    if run is not None and loosened is not None and int(loosened[0]) > run[1]:
        found.add(str(run[0]))
    return found
