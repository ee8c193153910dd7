"""Plans from outside a strategy, as verifier and fold see them: whose they are, and that only a person approves one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from support.forgery import Events, Forger, events_of, inserted, redigested, verdicts, where, with_data
from support.ledger_story import ACCOUNT, Story

from inalpha.execution import lines, plans
from inalpha.execution.mandates import mandate_digest
from inalpha.ledger.txn import Txn


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Story:
    """One proposal by the agent in a machine run's book, approved by the owner; then the run stops, and is closed."""
    story = Story(tmp_path_factory.mktemp("proposed") / "home").create().prepare()
    sha256 = str(story.do(lambda txn: txn.conn.execute("SELECT sha256 FROM candidate").fetchone()[0]))
    signed = story.mandate(sha256)
    run = story.start(signed)
    story.bar(run, 0)

    def proposed(actor: str, **changes: Any) -> str:
        def body(txn: Txn) -> dict[str, Any]:
            return {
                "account": ACCOUNT, "expires": txn.now_us + 300_000_000, "intent": None, "limit": None,
                "mandate_sha256": mandate_digest(signed), "origin": "proposal", "quantity": "2",
                "rationale_commit": txn.commit_text("idea"), "reduce_only": False, "run": run, "side": "buy",
                "stop": None, "stop_loss": None, "symbol": "btc-usd", "take_profit": None, "tif": "GTC",
                "tif_expires": None, "type": "market", "v": 1, **changes,
            }  # fmt: skip

        made = story.do(body)
        data = {"body": made, "plan_sha256": plans.plan_digest(made)}
        note = story.proposal("plan.create", data) if actor.startswith("agent:") else None
        plan = story.do(lambda txn: plans.create_plan(txn, made, actor, proposal=note))
        story.do(lambda txn: plans.record_risk(txn, plan, None, story.rules_sha256))
        gate = story.gate("plan.approve", {"plan": plan, "plan_sha256": data["plan_sha256"]})
        order: str = story.do(lambda txn: plans.approve_and_execute(txn, plan, "op:anna", gate))
        story.bar(
            run, story.do(lambda txn: txn.conn.execute("SELECT bars FROM run").fetchone()[0]), 0,
            lambda txn: lines.record_fill(txn, plan, order, "2", "100", "0"),
        )  # fmt: skip
        return plan

    proposed("agent:claude")
    story.do(lambda txn: txn.line("run.stop", "op:anna", {"run": run, "reason": "operator"}))
    proposed("op:anna", side="sell", reduce_only=True)
    story.close()
    return story


def by_the_machine(events: Events) -> Events:
    """As if the mandate, which lets the machine approve the strategy's plans, covered this one."""
    at = where(events, "plan.approve")[0]
    approved = replace(events[at], actor="system:live_runner", gate=None)
    return [*events[:at], approved, replace(events[at + 1], actor="system:live_runner"), *events[at + 2 :]]


def into_an_ended_run(events: Events) -> Events:
    """The stop comes before the first proposal, which is an entry."""
    stop = where(events, "run.stop")[0]
    rest = [*events[:stop], *events[stop + 1 :]]
    return inserted(rest, where(rest, "plan.create")[0], events[stop])


def entry_after_the_end(events: Events) -> Events:
    at = where(events, "plan.create")[1]
    changed = with_data(events[at], body={**events[at].data["body"], "reduce_only": False})
    return redigested([*events[:at], changed, *events[at + 1 :]])


def anothers(events: Events) -> Events:
    at = where(events, "plan.create")[1]
    return [*events[:at], replace(events[at], actor="system:live_runner"), *events[at + 1 :]]


def in_no_book(events: Events) -> Events:
    at = where(events, "plan.create")[0]
    changed = with_data(events[at], body={**events[at].data["body"], "run": None})
    return redigested([*events[:at], changed, *events[at + 1 :]])


def under_an_intent(events: Events) -> Events:
    """A proposal that passes for the strategy's own."""
    at = where(events, "plan.create")[0]
    changed = with_data(events[at], body={**events[at].data["body"], "origin": "run"})
    return redigested([*events[:at], changed, *events[at + 1 :]])


MUTANTS: dict[Callable[[Events], Events], str] = {
    by_the_machine: "I4",
    into_an_ended_run: "I8",
    entry_after_the_end: "I8",
    anothers: "I5",
    in_no_book: "I8",
    under_an_intent: "I8",
}


def test_the_honest_one_holds(story: Story) -> None:
    assert verdicts(Forger(story).sign(events_of(story.home))) == (None, None)


@pytest.mark.parametrize("mutate", MUTANTS, ids=lambda mutate: mutate.__name__)
def test_both_verifiers_name_a_forged_proposal(story: Story, mutate: Callable[[Events], Events]) -> None:
    ours, theirs = verdicts(Forger(story).sign(mutate(events_of(story.home))))
    assert ours == theirs
    assert ours is not None and ours[1] == MUTANTS[mutate]
