"""Plans that wait for a person: approve, reject, expire; and plans that people or agents propose."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

from inalpha.daemon.call import Body, Call
from inalpha.daemon.record import keep_refusals, write_risk
from inalpha.execution import plans, proposed
from inalpha.execution.rationale import check_rationale
from inalpha.kernel.costs import notional_e8
from inalpha.kernel.kernel import Kernel
from inalpha.kernel.records import Command, CommandResult
from inalpha.ledger.txn import Txn
from inalpha.model.errors import Refused
from inalpha.model.money import text_from_e8
from inalpha.model.principals import DAEMON, RISK
from inalpha.model.risk import AccountContext, Refusal
from inalpha.model.states import HaltState
from inalpha.risk.controls.base import reference_ticks
from inalpha.risk.engine import RiskEngine

if TYPE_CHECKING:
    from inalpha.daemon.actor import RunActor
    from inalpha.daemon.office import Office


MOST_OPEN = 10  # proposals of one agent


def _row(txn: Txn, plan: str) -> dict[str, Any]:
    names = ("plan", "run", "account", "intent", "digest", "state", "decided_by", "expires", "proposed_by")
    row = txn.conn.execute(f"SELECT {', '.join(names)} FROM plan WHERE plan = ?", (plan,)).fetchone()
    if row is None:
        raise Refused("UNKNOWN_PLAN", f"there is no plan {plan}.", "List them: inalpha plan list")
    return dict(zip(names, row, strict=True))


def _require_pending(row: dict[str, Any], now_us: int) -> None:
    if row["state"] != "pending":
        who = row["decided_by"] or "nobody"
        raise Refused(
            "PLAN_STATE",
            f"{row['plan']} is {row['state']}, decided by {who}.",
            "A second decision changes nothing.",
            detail={"state": row["state"], "decided_by": row["decided_by"]},
        )
    if now_us >= row["expires"]:
        raise Refused("PLAN_EXPIRED", f"{row['plan']} has expired.", "Wait for the next one.")


def _require_no_newer_halt(halt: HaltState, actor: RunActor, context: AccountContext) -> None:
    """A halt that risk has not judged yet, since it stands in the ledger or the latch only."""
    if halt.severity > context.halt.severity:
        raise Refused(halt.value, f"{actor.run} is {halt.value}.", "Resume it first.")


def _require_no_halt(actor: RunActor, context: AccountContext) -> None:
    """The guard's plan outlasts HALTED: it is for after the resume, and a signature too early must not end it."""
    if context.halt.severity >= HaltState.HALTED.severity:
        fix = "inalpha resume SCOPE --reducing --reason TEXT, then approve it."
        raise Refused(context.halt.value, f"{actor.run} is {context.halt.value}.", fix)


def _name_in_kernel(row: dict[str, Any]) -> str:
    """The order's id inside its run: the strategy's `<bar>:<n>`, or the plan's name where it has none."""
    return str(row["plan"]) if row["intent"] is None else str(row["intent"]).partition(":")[2]


async def _actor_of(office: Office, plan: str) -> RunActor:
    row = await office.write(lambda txn: _row(txn, plan))
    actor = office.actors.get(row["run"] or "")
    is_strategys = row["intent"] is not None and row["proposed_by"] != RISK
    if actor is None or actor.closed or (actor.ended and is_strategys):
        _require_pending(row, 0)
        raise Refused("NO_RUN", f"{plan} belongs to no live run.", "Nothing can execute it any more.")
    return actor


def _require_few_open(txn: Txn, principal: str) -> None:
    """An agent cannot bury the person who decides, nor hold every replay for an hour."""
    sql = "SELECT count(*), min(expires) FROM plan WHERE state = 'pending' AND proposed_by = ?"
    count, first = txn.conn.execute(sql, (principal,)).fetchone()
    if principal.startswith("agent:") and count >= MOST_OPEN:
        wait_s = max(1, (first - txn.now_us) // 1_000_000)
        raise Refused(
            "RATE_LIMITED", f"{principal} has {count} open proposals.", "Wait for their decision.",
            detail={"retry_after_s": wait_s},
        )  # fmt: skip


def _counts_no_more(txn: Txn, proposer: str) -> bool:
    """Whether a plan came from an agent whose key was revoked since."""
    sql = "SELECT 1 FROM key WHERE principal = ? AND revoked_after IS NULL"
    return proposer.startswith("agent:") and txn.conn.execute(sql, (proposer,)).fetchone() is None


async def create(office: Office, call: Call) -> Body:
    """An order that a person or an agent proposes in the book of a run; risk advises, a person decides.

    body: the plan's, whole, as its proposer wrote it and an agent signed it.
    """
    wanted, principal, note = call.mapping("body"), call.principal, call.optional("proposal", 16_000)
    rationale, salt, commit = call.text("rationale"), call.salt(), call.text("rationale_commit")
    check_rationale(rationale, principal)
    if wanted.get("rationale_commit") != commit:
        raise Refused("RATIONALE", "the body names another rationale.", "--rationale TEXT")
    actor, is_held = await _stepping(office, str(wanted.get("run")), principal)
    body: Body = {}

    def make(txn: Txn, kernel: Kernel, context: AccountContext) -> CommandResult:
        book = proposed.target(txn.conn, actor.run)
        expires = wanted.get("expires")
        assert isinstance(kernel.risk, RiskEngine)
        longest_s = proposed.MAX_LIFE_S
        if wanted.get("reduce_only") is not True:  # P17 is a limit of entries like any other
            longest_s = min(longest_s, kernel.risk.rules.controls.plan_expiry.human_s)
        if type(expires) is not int or not 0 < expires - txn.now_us <= longest_s * 10**6:
            raise Refused("BAD_EXPIRES", f"a plan waits for a person at most {longest_s} s (P17).",
                          f"--expires {longest_s}s, or raise plan_expiry.human_s in risk.toml (signed).")  # fmt: skip
        if not (book.is_live or wanted.get("reduce_only") is True):
            raise Refused("RUN_ENDED", f"{actor.run} has ended: it can only close.", "--reduce-only")
        asked = book.order(wanted, "")
        if kernel.decider.tagged(asked) != asked:
            raise Refused("REDUCE_ONLY", f"this order only reduces {actor.run}: its body must say so.",
                          "Propose it again with --reduce-only; limits of entries then do not stop it.")  # fmt: skip
        _require_few_open(txn, principal)
        txn.keep_text(commit, salt, rationale)
        plan = plans.create_plan(txn, wanted, principal, proposal=note)
        order = replace(asked, intent=plan)
        result = kernel.command(Command("plan", actor.clock_ns(), actor=principal, order=order), context)
        close_ticks = kernel.last_bar.close_ticks if kernel.last_bar is not None else 0
        worth = notional_e8(book.instrument, reference_ticks(order, close_ticks), order.quantity_lots)
        body.update(plan=plan, run=actor.run, plan_sha256=plans.plan_digest(wanted), outcome="pending")
        if result.accepted:
            write_risk(txn, plan, actor.plan.facts.rules_sha256, None, text_from_e8(worth))
        else:
            refusal = _reject_by_risk(txn, actor, plan, result)
            body.update(
                outcome="rejected",
                code=refusal.code,
                message=refusal.message,
                refusals=_told(result, refusal),
            )
        call.seal(txn, body)
        return result

    try:
        await actor.command(make, ("plan", [actor.run]))
    finally:
        if is_held:
            actor.release()
    if body["outcome"] == "rejected":
        raise Refused(
            body["code"], f"{body['plan']} was refused: {body['message']}", "Nothing was ordered.",
            detail={"refusals": body["refusals"]},
        )  # fmt: skip
    return body


async def _stepping(office: Office, run: str, principal: str) -> tuple[RunActor, bool]:
    """The run whose book takes an order from outside; a person's word opens that of an ended run again.

    The second is whether it was opened for this order, and takes no bar until it is released.
    Raises Refused: NO_RUN where nothing moves and nothing may be opened.
    """
    actor = office.actors.get(run)
    if actor is not None and not actor.closed:
        return actor, False
    if principal.startswith("op:") and await office.caretake(run, held=True):
        return office.actors[run], True
    state = office.accounts.halt_of_run(run)
    if state.severity >= HaltState.HALTED.severity:
        raise Refused(state.value, f"{run} is {state.value}.", "inalpha resume SCOPE --reason TEXT")
    raise Refused("NO_RUN", f"{run} gets no more bars.", "inalpha run list")


async def approve(office: Office, call: Call) -> Body:
    """A person's signature lets one order work: gate, digest and state, then risk again, then the token."""
    plan, gate = call.text("plan"), call.text("gate", 16_000)
    digest, principal = call.text("plan_sha256"), call.principal
    actor = await _actor_of(office, plan)
    body: Body = {}

    def make(txn: Txn, kernel: Kernel, context: AccountContext) -> CommandResult:
        row = _row(txn, plan)
        _require_pending(row, txn.now_us)
        if _counts_no_more(txn, row["proposed_by"]):
            raise Refused(
                "REVOKED", f"the key of {row['proposed_by']} counts no more.", "Propose it yourself."
            )
        if digest != row["digest"]:
            raise Refused(
                "PLAN_DIGEST_MISMATCH", f"{plan} is another plan than was signed.", "Read it again."
            )
        if actor.has_expired(txn.now_us):
            raise Refused("MANDATE_EXPIRED", f"the mandate of {actor.run} has expired.", "Start a new run.")
        data = {"plan": plan, "plan_sha256": digest}
        txn.check_gate(gate, "plan.approve", data, principal)
        _require_no_halt(actor, context)
        _require_no_newer_halt(office.halt_now(txn, actor.account, actor.run), actor, context)
        if actor.has_newer_limits(txn):
            raise Refused("LIMITS_CHANGED", f"the limits of {actor.run} have just changed.", "Try again.")
        command = Command("approve", actor.clock_ns(), intent=_name_in_kernel(row), actor=principal)
        result = kernel.command(command, context)
        if result.accepted:
            order = plans.approve_and_execute(txn, plan, principal, gate)
            body.update(plan=plan, outcome="working", order=order, approved_by=principal)
        else:
            refusal = _reject_by_risk(txn, actor, plan, result)
            body.update(
                plan=plan,
                outcome="rejected",
                code=refusal.code,
                message=refusal.message,
                refusals=_told(result, refusal),
            )
        call.seal(txn, body)
        _require_no_newer_halt(office.halt_at_commit(txn, actor.account, actor.run), actor, context)
        return result

    await actor.command(make, ("plan", [plan]))
    if body["outcome"] == "rejected":
        raise Refused(
            body["code"], f"{plan} was refused by risk: {body['message']}", "Nothing was ordered.",
            detail={"refusals": body["refusals"]},
        )  # fmt: skip
    return body


def _told(result: CommandResult, first: Refusal) -> list[dict[str, Any]]:
    """Every refusal of a plan, as the reply and the error of its verb hold them."""
    return [asdict(refusal) for refusal in result.refusals or (first,)]


def _reject_by_risk(txn: Txn, actor: RunActor, plan: str, result: CommandResult) -> Refusal:
    refusal = (
        result.refusals[0]
        if result.refusals
        else Refusal(result.code, "exchange", None, None, "", result.code.lower(), result.code)
    )
    write_risk(txn, plan, actor.plan.facts.rules_sha256, refusal)
    name = _name_in_kernel(_row(txn, plan))
    keep_refusals(txn, actor.run, name, result.refusals or (refusal,))
    plans.reject_plan(txn, plan, RISK, refusal.code)
    return refusal


async def reject(office: Office, call: Call) -> Body:
    """A person's signed no."""
    plan, gate = call.text("plan"), call.text("gate", 16_000)
    principal, digest = call.principal, call.text("plan_sha256")
    reason, salt, commit = call.text("reason"), call.salt(), call.text("reason_commit")
    actor = await _actor_of(office, plan)
    body: Body = {"plan": plan, "outcome": "rejected", "rejected_by": principal}

    def make(txn: Txn, kernel: Kernel, context: AccountContext) -> CommandResult:
        row = _row(txn, plan)
        _require_pending(row, txn.now_us)
        txn.check_gate(
            gate, "plan.reject", {"plan": plan, "plan_sha256": digest, "reason_commit": commit}, principal
        )
        txn.keep_text(commit, salt, reason)
        plans.reject_plan(txn, plan, principal, "OPERATOR", reason_commit=commit, gate=gate)
        command = Command(
            "reject", actor.clock_ns(), intent=_name_in_kernel(row), actor=principal, code="OPERATOR"
        )
        call.seal(txn, body)
        return kernel.command(command, context)

    await actor.command(make, ("plan", [plan]))
    return body


async def expire_due(office: Office, now_us: int) -> None:
    """End every plan whose time has passed, or whose agent's key was revoked."""

    def job(txn: Txn) -> list[tuple[str, str]]:
        query = "SELECT plan, run, expires, proposed_by FROM plan WHERE state = 'pending' AND run IS NOT NULL"
        return [
            (plan, run)
            for plan, run, expires, proposer in txn.conn.execute(query)
            if expires <= now_us or _counts_no_more(txn, proposer)
        ]

    for plan, run in await office.write(job):
        actor = office.actors.get(run)
        if actor is None or actor.closed:
            continue

        def make(
            txn: Txn, kernel: Kernel, context: AccountContext, plan: str = plan, clock: RunActor = actor
        ) -> CommandResult | None:
            row = _row(txn, plan)
            if row["state"] != "pending":
                return None
            if _counts_no_more(txn, row["proposed_by"]):
                plans.cancel_plan(txn, plan, DAEMON, "REVOKED")
                kind, code = "cancel", "REVOKED"
            else:
                plans.expire_plan(txn, plan)
                kind, code = "expire", ""
            command = Command(kind, clock.clock_ns(), intent=_name_in_kernel(row), actor=DAEMON, code=code)
            return kernel.command(command, context)

        try:
            await actor.command(make, ("plan", [plan]))
        except Refused as error:
            office.log("expire", "warning", run, plan=plan, error=error.code)
            continue
