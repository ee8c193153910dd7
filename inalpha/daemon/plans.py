"""Plans that wait for a person: approve, reject, expire; and plans that people or agents propose."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from inalpha.daemon.call import Body, Call
from inalpha.daemon.record import DAEMON, RISK, write_risk
from inalpha.execution import plans
from inalpha.kernel.kernel import Kernel
from inalpha.kernel.records import Command, CommandResult
from inalpha.ledger.txn import Txn
from inalpha.model.errors import Refused
from inalpha.model.risk import AccountContext, Refusal
from inalpha.model.states import HaltState

if TYPE_CHECKING:
    from inalpha.daemon.actor import RunActor
    from inalpha.daemon.office import Office


def _row(txn: Txn, plan: str) -> dict[str, Any]:
    names = ("plan", "run", "account", "intent", "digest", "state", "decided_by", "expires")
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


def _intent_in_run(row: dict[str, Any]) -> str:
    intent = str(row["intent"])
    return intent.partition(":")[2]


async def _actor_of(office: Office, plan: str) -> RunActor:
    row = await office.write(lambda txn: _row(txn, plan))
    actor = office.actors.get(row["run"] or "")
    if actor is None or actor.ended:
        _require_pending(row, 0)
        raise Refused("NO_RUN", f"{plan} belongs to no live run.", "Nothing can execute it any more.")
    return actor


async def approve(office: Office, call: Call) -> Body:
    """A person's signature lets one order work: gate, digest and state, then risk again, then the token."""
    plan, gate = call.text("plan"), call.text("gate", 16_000)
    digest, principal = call.text("plan_sha256"), call.principal
    actor = await _actor_of(office, plan)
    body: Body = {}

    def make(txn: Txn, kernel: Kernel, context: AccountContext) -> CommandResult:
        row = _row(txn, plan)
        _require_pending(row, txn.now_us)
        if digest != row["digest"]:
            raise Refused(
                "PLAN_DIGEST_MISMATCH", f"{plan} is another plan than was signed.", "Read it again."
            )
        if actor.has_expired(txn.now_us):
            raise Refused("MANDATE_EXPIRED", f"the mandate of {actor.run} has expired.", "Start a new run.")
        data = {"plan": plan, "plan_sha256": digest}
        txn.check_gate(gate, "plan.approve", data, principal)
        _require_no_newer_halt(office.halt_now(txn, actor.account, actor.run), actor, context)
        if actor.has_newer_limits(txn):
            raise Refused("LIMITS_CHANGED", f"the limits of {actor.run} have just changed.", "Try again.")
        command = Command("approve", actor.clock_ns(), intent=_intent_in_run(row), actor=principal)
        result = kernel.command(command, context)
        if result.accepted:
            order = plans.approve_and_execute(txn, plan, principal, gate)
            body.update(plan=plan, outcome="working", order=order, approved_by=principal)
        else:
            _reject_by_risk(txn, actor, row, result)
            first = result.refusals[0].message if result.refusals else result.code
            body.update(plan=plan, outcome="rejected", code=result.code, message=first)
        call.seal(txn, body)
        _require_no_newer_halt(office.halt_at_commit(txn, actor.account, actor.run), actor, context)
        return result

    await actor.command(make, ("plan", [plan]))
    if body["outcome"] == "rejected":
        raise Refused(body["code"], f"{plan} was refused by risk: {body['message']}", "Nothing was ordered.")
    return body


def _reject_by_risk(txn: Txn, actor: RunActor, row: dict[str, Any], result: CommandResult) -> None:
    refusal = (
        result.refusals[0]
        if result.refusals
        else Refusal(result.code, "exchange", None, None, "", result.code.lower(), result.code)
    )
    write_risk(txn, row["plan"], actor.plan.facts.rules_sha256, refusal)
    plans.reject_plan(txn, row["plan"], RISK, refusal.code)


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
            "reject", actor.clock_ns(), intent=_intent_in_run(row), actor=principal, code="OPERATOR"
        )
        call.seal(txn, body)
        return kernel.command(command, context)

    await actor.command(make, ("plan", [plan]))
    return body


async def expire_due(office: Office, now_us: int) -> None:
    """End every plan whose time has passed."""

    def job(txn: Txn) -> list[tuple[str, str]]:
        query = "SELECT plan, run FROM plan WHERE state = 'pending' AND expires <= ? AND run IS NOT NULL"
        return list(txn.conn.execute(query, (now_us,)))

    for plan, run in await office.write(job):
        actor = office.actors.get(run)
        if actor is None or actor.ended:
            continue

        def make(
            txn: Txn, kernel: Kernel, context: AccountContext, plan: str = plan, clock: RunActor = actor
        ) -> CommandResult | None:
            row = _row(txn, plan)
            if row["state"] != "pending":
                return None
            plans.expire_plan(txn, plan)
            command = Command("expire", clock.clock_ns(), intent=_intent_in_run(row), actor=DAEMON)
            return kernel.command(command, context)

        try:
            await actor.command(make, ("plan", [plan]))
        except Refused as error:
            office.log("expire", "warning", run, plan=plan, error=error.code)
            continue
