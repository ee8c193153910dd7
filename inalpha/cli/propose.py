"""Orders that no strategy asked for: `plan create`, and the closing order of `run stop --flatten`."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, TypeVar

from inalpha.audit.client import sign_proposal
from inalpha.cli.client import Commitment, Operator, gate, reading, send
from inalpha.execution.plans import plan_digest
from inalpha.execution.proposed import LIFE_S, Target, run_of, target
from inalpha.ledger import readers
from inalpha.ledger.fold import account_of
from inalpha.model.errors import EXIT_USAGE, InalphaError
from inalpha.model.home import Home

T = TypeVar("T")

STOP_S = 10.0
Build = Callable[[Target, str, int], dict[str, Any] | None]


def propose(
    home: Home, who: Operator, run: str, build: Build, rationale: str, life_s: int = LIFE_S
) -> dict[str, Any] | None:
    """Send a plan for a run's book; the daemon's answer, or None where build finds nothing to order.

    build: makes the body from the book, the rationale's commitment and the expiry.
    """
    if not rationale.strip():
        raise InalphaError("RATIONALE", "the rationale is empty.", "--rationale TEXT", exit_code=EXIT_USAGE)
    why = Commitment.of(rationale)
    with reading(home) as reader:
        body = build(target(reader, run), why.commit, time.time_ns() // 1000 + life_s * 10**6)
        if body is None:
            return None
        args: dict[str, Any] = {
            "body": body, "rationale": rationale, "salt": why.salt, "rationale_commit": why.commit
        }  # fmt: skip
        if who.principal.startswith("agent:"):
            subject = {"body": body, "plan_sha256": plan_digest(body)}
            args["proposal"] = sign_proposal(reader, who.signer, "plan.create", subject)
    return send(home, "plan.create", args, who)


def approve_plan(home: Home, who: Operator, plan: str, digest: str) -> dict[str, Any]:
    """Sign a plan's digest and have its order work."""
    data = {"plan": plan, "plan_sha256": digest}
    return send(home, "plan.approve", {**data, "gate": gate(home, who, "plan.approve", data)}, who)


def flatten(home: Home, who: Operator, run: str) -> dict[str, Any] | None:
    """Close what a stopped run holds, by a plan that the signer proposes and approves; None where it is flat."""

    def closing(book: Target, commit: str, expires_us: int) -> dict[str, Any] | None:
        return book.closing(commit, expires_us)

    made = _once_free(lambda: propose(home, who, run, closing, f"flatten {run}"))
    if made is None:
        return None
    plan, digest = made["plan"], made["plan_sha256"]
    return _once_free(lambda: approve_plan(home, who, plan, digest))


def _once_free(act: Callable[[], T]) -> T:
    """Ask again while the run is inside a step or coming back; each act alone, so that none is done twice."""
    deadline = time.monotonic() + STOP_S
    while True:
        try:
            return act()
        except InalphaError as error:  # what the daemon says comes back without its class
            if error.code != "RUN_BUSY" or time.monotonic() > deadline:
                raise
            time.sleep(0.1)


def book_for(home: Home, who: Operator, account: str | None, symbol: str) -> str:
    """The run in whose book an order works. account: its owner's name; by default the signer's, or its sponsor's."""
    with reading(home) as reader:
        own = (
            account_of(reader, who.principal)
            if account is None
            else readers.account(reader, account)["account"]
        )
        return run_of(reader, str(own), symbol)
