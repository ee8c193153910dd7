"""The one fold: each line changes the projections through one function per kind.

The writer calls it for the line that it commits. It raises Violation for a line that the record must not hold,
so what the verifier, which shares nothing with it, would name afterwards cannot be written in the first place.
A start, an export and C11 fold into a scratch database.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping
from itertools import zip_longest

from inalpha.audit.event import Event
from inalpha.audit.fold import fills as fold_fills
from inalpha.audit.fold import keys as fold_keys
from inalpha.audit.fold import plans as fold_plans
from inalpha.audit.fold import runs as fold_runs
from inalpha.audit.fold.base import AMOUNTS, TABLES, Fold, Violation, check_amounts, get, require

FOLDS: Mapping[str, Fold] = {
    "ledger.genesis": fold_keys.genesis,
    "epoch.open": fold_keys.epoch_open,
    "epoch.close": fold_keys.epoch_close,
    "key.enrol": fold_keys.key_enrol,
    "key.rotate": fold_keys.key_rotate,
    "key.revoke": fold_keys.key_revoke,
    "account.open": fold_keys.account_open,
    "account.deposit": fold_keys.account_deposit,
    "account.snapshot": fold_keys.account_snapshot,
    "limits.set": fold_keys.limits_set,
    "policy.opt_out": fold_keys.opt_out,
    "proposal.open": fold_keys.proposal_open,
    "proposal.close": fold_keys.proposal_close,
    "blob.erase": fold_keys.blob_erase,
    "witness.cosign": fold_keys.witness_cosign,
    "recovery": fold_keys.recovery,
    "bar.revision": fold_keys.nothing,
    "clock.step": fold_keys.nothing,
    "refusal": fold_keys.nothing,
    "rollback.accept": fold_keys.nothing,
    "schema.migrate": fold_keys.nothing,
    "candidate.submit": fold_runs.candidate_submit,
    "candidate.gate": fold_runs.candidate_gate,
    "candidate.promote": fold_runs.candidate_decide,
    "candidate.reject": fold_runs.candidate_decide,
    "candidate.revoke": fold_runs.candidate_decide,
    "run.start": fold_runs.run_start,
    "run.isolated": fold_runs.run_isolated,
    "run.stop": fold_runs.run_stop,
    "run.caretake": fold_runs.run_caretake,
    "step": fold_runs.step,
    "decision": fold_runs.decision,
    "halt.set": fold_runs.halt_set,
    "halt.resume": fold_runs.halt_resume,
    "plan.create": fold_plans.plan_create,
    "risk.check": fold_plans.risk_check,
    "plan.approve": fold_plans.plan_approve,
    "plan.execute": fold_plans.plan_execute,
    "plan.reject": fold_plans.plan_end,
    "plan.expire": fold_plans.plan_end,
    "plan.cancel": fold_plans.plan_end,
    "order.end": fold_fills.order_end,
    "fill": fold_fills.fill,
}


def apply(
    conn: sqlite3.Connection, event: Event, nonces: Iterable[str] = (), *, recovered: bool = False
) -> None:
    """Fold one line. nonces: those of its notes. Raises Violation; the caller rolls back.

    recovered: the caller's own epoch has begun whole, so that the record is not asked for it at each line.
    """
    try:
        for nonce in nonces:
            conn.execute("INSERT INTO nonce VALUES (?, ?)", (nonce, event.seq))
        if not recovered and event.kind not in fold_keys.BEFORE_RECOVERY and event.seq:
            require(get(conn, "recovering") != "1" or event.kind == "epoch.open", "I16", "no recovery line")
        if event.kind in AMOUNTS:
            check_amounts(event)
        FOLDS[event.kind](conn, event)
    except sqlite3.IntegrityError as error:
        raise Violation("I17", f"{event.kind}: {error}") from error


def differing_table(left: sqlite3.Connection, right: sqlite3.Connection) -> str | None:
    """The first projection table whose content differs, None when all are equal."""
    for table in TABLES:
        sql = f"SELECT * FROM {table} ORDER BY 1, 2"
        if any(one != other for one, other in zip_longest(left.execute(sql), right.execute(sql))):
            return table
    return None
