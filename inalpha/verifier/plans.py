"""A plan from its creation to its execution or its end."""

from __future__ import annotations

from typing import Any

from inalpha.verifier.amounts import ZERO, amount, reduces, text_of, times
from inalpha.verifier.books import Books
from inalpha.verifier.canonical import digest
from inalpha.verifier.checks import Broken, require
from inalpha.verifier.line import Line
from inalpha.verifier.state import Order, Plan


def plan_create(books: Books, line: Line, data: dict[str, Any]) -> None:
    body, name = data["body"], data["plan"]
    books.number(name)
    require(
        data["plan_sha256"] == digest("inalpha.audit/plan/v1", body),
        "I3",
        f"{name}: not its body's digest",
    )
    require(body["v"] == 1 and amount(body["quantity"]) > 0, "I8", f"{name}: bad version or quantity")
    books.account(body["account"], "I5")
    require(
        (body["origin"] == "run") == (body["intent"] is not None),
        "I8",
        f"{name}: origin and intent differ",
    )
    if body["origin"] == "proposal":
        own = books.keys.account_of(line.actor)
        require(own == body["account"], "I5", f"{name}: proposed by {line.actor} for another's account")
    within_mandate(books, line, name, body)
    plan = Plan(name, data, line.actor)
    books.plans[name] = plan
    use_intent(books, plan)


def within_mandate(books: Books, line: Line, name: str, body: dict[str, Any]) -> None:
    run = books.runs.get(body["run"])
    if run is None:
        raise Broken("I8", f"{name}: a plan of the unknown {body['run']}")
    same = (body["account"], body["symbol"], body["mandate_sha256"])
    wanted = (run.account, run.symbol, run.mandate_sha256)
    require(same == wanted, "I8", f"{name}: account, symbol or mandate are not the run's")
    if line.actor == "system:risk":
        require(body["reduce_only"], "I4", f"{name}: a plan of the guard that is no exit")
        return
    if body["origin"] == "proposal":
        require(run.is_live or body["reduce_only"], "I8", f"{name}: an entry into a run that has ended")
        return
    require(line.actor == "system:live_runner", "I4", f"{name}: a run's plan by {line.actor}")
    require(run.is_live, "I8", f"{name}: its run has ended")


def use_intent(books: Books, plan: Plan) -> None:
    if plan.intent is None:
        return
    name, bar, number = plan.intent.split(":")
    known = books.runs[name].planned if name in books.runs else set()
    place = int(bar) * 2**50 + int(number)
    require(place not in known, "I17", f"{plan.intent} has two plans")
    known.add(place)


def risk_check(books: Books, line: Line, data: dict[str, Any]) -> None:
    plan = books.plans.get(data["plan"])
    if plan is None or (plan.digest, plan.state) != (data["plan_sha256"], "pending"):
        raise Broken("I6", f"{data['plan']}: checked in another state or body")
    plan.risk = (data["result"], data["rule"], data["rules_sha256"])
    take_figures(books, plan, data)


def take_figures(books: Books, plan: Plan, data: dict[str, Any]) -> None:
    """What a pass tells of a run's plan: its worth where risk measured it, and the mandate's allocation."""
    run = books.runs.get(plan.run or "")
    measured, limit = (None if data[name] is None else amount(data[name]) for name in ("measured", "limit"))
    plan.worth = times(plan.quantity, plan.known) if plan.known is not None else ZERO
    if run is None or data["result"] != "pass" or (measured is None and limit is None):
        return
    require(limit == run.allocation, "I8", f"{plan.name}: measured on another allocation")
    if measured is None or measured < plan.worth:
        raise Broken("I8", f"{plan.name}: measured too small")
    plan.worth = measured


def plan_approve(books: Books, line: Line, data: dict[str, Any]) -> None:
    plan = books.pending(data)
    require(plan.digest == data["plan_sha256"], "I3", f"{plan.name}: approved with another digest")
    require(line.ts < plan.expires, "I15", f"{plan.name} had expired")
    may_approve(books, line, plan)
    passed_risk(books, line, plan)
    within_allocation(books, plan)
    not_halted(books, plan)
    life = data["token_expires"] - line.ts
    require(0 < life <= 30_000_000, "I2", f"{plan.name}: the token lives longer than 30 s")
    token = bytes.fromhex(data["token_sha256"])
    require(token not in books.tokens, "I2", f"{plan.name}: a token minted twice")
    books.tokens.add(token)
    plan.state, plan.decided_by = "approved", line.actor
    plan.token = (data["token_sha256"], data["token_expires"])
    books.approved = plan


def may_approve(books: Books, line: Line, plan: Plan) -> None:
    if line.actor.startswith("op:"):
        own = books.keys.account_of(line.actor) == plan.account
        require(own, "I4", f"{plan.name}: approved by another account's person")
        return
    require(line.actor == "system:live_runner", "I4", f"{plan.name}: approved by {line.actor}")
    if plan.proposed_by == "system:risk":
        is_exit = plan.reduce_only and only_reduces(books, plan)
        require(is_exit, "I4", f"{plan.name}: the guard's plan is larger than the position")
        return
    require(plan.intent is not None, "I4", f"{plan.name}: a proposal is for a person to approve")
    run = books.runs.get(plan.run or "")
    if run is None or run.approval != "machine":
        raise Broken("I4", f"{plan.name}: no mandate lets the machine approve")
    require(run.is_live and line.ts < run.expires, "I4", f"{plan.name}: its run or its mandate has ended")


def passed_risk(books: Books, line: Line, plan: Plan) -> None:
    if plan.risk is None:
        raise Broken("I6", f"{plan.name}: approved without a risk result")
    result, rule, rules = plan.risk
    account, run = books.accounts[plan.account], books.runs.get(plan.run or "")
    in_force = {account.limits}
    if run is not None and account.loosened_at > run.started:
        in_force.add(run.limits)
    require(rules in in_force, "I6", f"{plan.name}: judged by rules that are not in force")
    waived = books.opt_outs.get((rule, plan.run), 0) > line.ts
    require(result == "pass" or waived, "I6", f"{plan.name}: approved although risk said {result}")


def within_allocation(books: Books, plan: Plan) -> None:
    """At the price that risk takes: the limit, else the stop, else the last close, which its figures tell."""
    run = books.runs.get(plan.run or "")
    if run is None:
        return
    within = plan.worth <= run.allocation or plan.reduce_only
    require(within, "I8", f"{plan.name}: {text_of(plan.worth)} is over the allocation")


def only_reduces(books: Books, plan: Plan) -> bool:
    """Whether the plan can only make its run's position smaller; without a run, its account's."""
    run = books.runs.get(plan.run or "")
    held = run.position if run is not None else books.accounts[plan.account].held(plan.symbol)
    return reduces(plan.side, plan.quantity, held)


def not_halted(books: Books, plan: Plan) -> None:
    state = books.halt_of(plan.account, plan.run)
    if state == "ACTIVE":
        return
    require(state == "REDUCING" and plan.reduce_only, "I9", f"{plan.name}: an order under {state}")


def plan_execute(books: Books, line: Line, data: dict[str, Any]) -> None:
    plan = books.approved
    if plan is None or plan.name != data["plan"]:
        raise Broken("I2", f"{data['plan']}: no unused token was minted for it by the line before")
    require(plan.digest == data["plan_sha256"], "I3", f"{plan.name}: executed with another digest")
    by_person = plan.decided_by.startswith("op:")
    wanted = "system:daemon" if by_person else "system:live_runner"
    require(line.actor == wanted, "I2", f"{plan.name}: executed by {line.actor} instead of {wanted}")
    minted = plan.token is not None and plan.token[0] == data["token_sha256"]
    require(minted, "I2", f"{plan.name}: another token than the line before minted")
    require(plan.token is not None and line.ts < plan.token[1], "I2", f"{plan.name}: the token had expired")
    not_halted(books, plan)
    books.number(data["order"])
    books.approved = None
    plan.state = "executed"
    run = plan.run
    decided = books.runs[run].bars - 1 if run else None
    order = Order(data["order"], plan, run, None, plan.side, plan.quantity, decided)
    books.orders[order.name] = order
    plan.orders.append(order)


def plan_reject(books: Books, line: Line, data: dict[str, Any]) -> None:
    plan = books.pending(data)
    require(plan.digest == data["plan_sha256"], "I3", f"{plan.name}: rejected with another digest")
    if line.actor.startswith("op:"):
        own = books.keys.account_of(line.actor) == plan.account
        require(own, "I4", f"{plan.name}: rejected by another account's person")
    plan.state = "rejected"


def plan_expire(books: Books, line: Line, data: dict[str, Any]) -> None:
    plan = books.pending(data)
    require(line.ts >= plan.expires, "I15", f"{plan.name} has not expired yet")
    plan.state = "expired"
    books.forget(plan)


def plan_cancel(books: Books, line: Line, data: dict[str, Any]) -> None:
    plan = books.pending(data)
    plan.state = "cancelled"
    books.forget(plan)
