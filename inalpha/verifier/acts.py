"""What each kind of line changes in the books: one function per kind, in one table."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from inalpha.verifier.amounts import WHOLE_DIGITS
from inalpha.verifier.authority import (
    account_deposit,
    account_open,
    account_snapshot,
    epoch_close,
    epoch_open,
    key_enrol,
    key_revoke,
    key_rotate,
    ledger_genesis,
    limits_set,
    policy_opt_out,
    proposal_close,
    proposal_open,
    recovery,
    witness_cosign,
)
from inalpha.verifier.books import Books
from inalpha.verifier.checks import Broken, require
from inalpha.verifier.fills import fill, order_end
from inalpha.verifier.forms import FORMS
from inalpha.verifier.line import Line
from inalpha.verifier.plans import (
    plan_approve,
    plan_cancel,
    plan_create,
    plan_execute,
    plan_expire,
    plan_reject,
    risk_check,
)
from inalpha.verifier.runs import (
    candidate_moves,
    candidate_submit,
    decision,
    halt_resume,
    halt_set,
    run_caretake,
    run_isolated,
    run_start,
    run_stop,
    step,
)

Act = Callable[[Books, Line, dict[str, Any]], None]


def nothing(books: Books, line: Line, data: dict[str, Any]) -> None:
    """The line counts as such; the books stay as they are."""


ACTS: dict[str, Act] = {
    "ledger.genesis": ledger_genesis,
    "epoch.open": epoch_open,
    "epoch.close": epoch_close,
    "recovery": recovery,
    "key.enrol": key_enrol,
    "key.rotate": key_rotate,
    "key.revoke": key_revoke,
    "account.open": account_open,
    "account.deposit": account_deposit,
    "account.snapshot": account_snapshot,
    "limits.set": limits_set,
    "policy.opt_out": policy_opt_out,
    "proposal.open": proposal_open,
    "proposal.close": proposal_close,
    "witness.cosign": witness_cosign,
    "candidate.submit": candidate_submit,
    "candidate.gate": candidate_moves,
    "candidate.promote": candidate_moves,
    "candidate.reject": candidate_moves,
    "candidate.revoke": candidate_moves,
    "run.start": run_start,
    "run.isolated": run_isolated,
    "run.stop": run_stop,
    "run.caretake": run_caretake,
    "step": step,
    "decision": decision,
    "halt.set": halt_set,
    "halt.resume": halt_resume,
    "plan.create": plan_create,
    "risk.check": risk_check,
    "plan.approve": plan_approve,
    "plan.execute": plan_execute,
    "plan.reject": plan_reject,
    "plan.expire": plan_expire,
    "plan.cancel": plan_cancel,
    "order.end": order_end,
    "fill": fill,
    "bar.revision": nothing,
    "blob.erase": nothing,
    "clock.step": nothing,
    "refusal": nothing,
    "rollback.accept": nothing,
    "schema.migrate": nothing,
}
# Members that are amounts or hold some.
AMOUNTS = {
    form: [
        (member, kind)
        for member, kind in members.items()
        if kind.startswith("dec") or kind == "list" or (kind == "obj" and member in FORMS)
    ]
    for form, members in FORMS.items()
}
BEFORE_RECOVERY = ("key.rotate", "clock.step", "recovery", "epoch.open")


def add_line(books: Books, line: Line) -> None:
    """Raises Broken for a line that the record must not hold."""
    waiting = books.approved
    if waiting is not None:
        executes = line.kind == "plan.execute" and line.data["plan"] == waiting.name
        require(executes, "I2", f"{waiting.name} was approved and the next line does not execute it")
    if books.recovering and line.kind not in BEFORE_RECOVERY:
        raise Broken("I16", "the earlier epoch was not closed and no recovery line follows")
    check_amounts(line.kind, line.data)
    ACTS[line.kind](books, line, line.data)


def check_amounts(form: str, data: dict[str, Any]) -> None:
    """The amounts that a line tells are small enough to be added exactly."""
    for member, kind in AMOUNTS[form]:
        value = data[member]
        if kind == "obj":
            check_amounts(member, value)
        elif kind.startswith("dec") and value is not None:
            digits = len(value.partition(".")[0].lstrip("-"))
            require(digits <= WHOLE_DIGITS, "I13", f"an amount of more than {WHOLE_DIGITS} whole digits")
        elif kind == "list":
            for _, quantity in value:
                digits = len(quantity.partition(".")[0].lstrip("-"))
                require(digits <= WHOLE_DIGITS, "I13", f"an amount of more than {WHOLE_DIGITS} whole digits")
