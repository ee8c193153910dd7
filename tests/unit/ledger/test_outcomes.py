"""What became of an intent: the fold of later lines that every verb and screen tells."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from support.ledger_story import ACCOUNT, Story

from inalpha.execution import lines, plans
from inalpha.ledger import halts, outcomes, readers
from inalpha.ledger.happened import happened
from inalpha.model.latch import LatchRow
from inalpha.model.states import HaltState

Made = tuple[Story, str]


@pytest.fixture
def made(tmp_path: Path) -> Iterator[Made]:
    """A live run with one order that works since bar 0."""
    story = Story(tmp_path / "home").create().prepare()
    sha256 = str(story.do(lambda txn: txn.conn.execute("SELECT sha256 FROM candidate").fetchone()[0]))
    run = story.start(story.mandate(sha256))
    story.bar(run, 0, 1, lambda txn: story.order(txn, run, 0))
    story.bar(run, 1)
    yield story, run
    story.close()


def reader(story: Story) -> sqlite3.Connection:
    return readers.open_reader(story.home)


def told(story: Story) -> dict[str, Any]:
    (row,) = outcomes.decisions(reader(story))
    return row


def fill(story: Story, quantity: str, price: str) -> None:
    story.do(lambda txn: lines.record_fill(txn, "plan-1", "order-1", quantity, price, "1"))


def end(story: Story, outcome: str, code: str) -> None:
    story.do(lambda txn: lines.end_order(txn, "order-1", outcome, code))


@pytest.mark.parametrize(
    ("does", "outcome", "code"),
    [
        (lambda story: None, "working", None),
        (lambda story: fill(story, "0.5", "65000"), "filled", None),
        (lambda story: fill(story, "0.2", "65000"), "partially_filled", None),
        (
            lambda story: (fill(story, "0.2", "65000"), end(story, "expired", "DAY")),
            "partially_filled",
            "DAY",
        ),
        (
            lambda story: (fill(story, "0.2", "65000"), end(story, "cancelled", "NOTHING_TO_REDUCE")),
            "filled",
            "NOTHING_TO_REDUCE",
        ),
        (lambda story: end(story, "cancelled", "RUN_ENDED"), "cancelled", "RUN_ENDED"),
        (lambda story: end(story, "expired", "EXPIRED"), "expired", "EXPIRED"),
        (lambda story: end(story, "rejected", "INSUFFICIENT_CASH"), "rejected", "INSUFFICIENT_CASH"),
    ],
)
def test_a_decision_tells_how_its_order_ended(
    made: Made, does: Callable[[Story], object], outcome: str, code: str | None
) -> None:
    story, _ = made
    does(story)
    row = told(story)
    assert (row["outcome"], row["code"], row["order"]) == (outcome, code, "order-1")
    assert row["recorded"] == "working"
    assert row["is_working"] == (outcome == "working" or (outcome == "partially_filled" and code is None))


def test_the_price_of_a_decision_is_the_average_of_its_orders_fills(made: Made) -> None:
    story, _ = made
    fill(story, "0.2", "65001")
    fill(story, "0.3", "65002.5")
    row = told(story)
    assert (row["price"], row["fee"], row["filled"]) == ("65001.9", "2", "0.5")


def test_an_order_that_ended_does_not_work(made: Made) -> None:
    story, run = made
    assert [row["order"] for row in outcomes.orders(reader(story), run, working_only=True)] == ["order-1"]
    end(story, "cancelled", "STRATEGY")
    assert outcomes.orders(reader(story), run, working_only=True) == []
    assert outcomes.order_counts(reader(story), run) == {"cancelled": 1}


@pytest.mark.parametrize(("code", "count"), [("PRICE_COLLAR", 1), ("POSITION_CLOSED", 0), ("OCO", 0)])
def test_an_exit_that_ended_undone_is_an_exception(made: Made, code: str, count: int) -> None:
    story, run = made
    fill(story, "0.5", "65000")
    out = {"side": "sell", "quantity": "0.5", "reduce_only": True}
    _, order = story.bar(run, 2, 1, lambda txn: story.order(txn, run, 2, **out))
    story.do(lambda txn: lines.end_order(txn, order, "cancelled", code))
    found = [item for item in happened(reader(story)).exceptions if item.kind == "exit_ended"]
    assert len(found) == count
    assert all(item.run == run and item.code == code and order in item.text for item in found)


def test_equal_refusals_of_a_run_are_one_exception_with_their_number(made: Made) -> None:
    story, run = made
    for bar in (2, 3, 4):
        story.bar(run, bar, 1, lambda txn, b=bar: story.refuse(txn, run, b))
    (found,) = happened(reader(story)).exceptions
    assert (found.kind, found.count) == ("refused", 3)
    assert found.text == f"{run} {found.code} x3"


def test_what_happened_is_counted_from_the_mark_on(made: Made) -> None:
    story, run = made
    fill(story, "0.5", "65000")
    mark = story.ledger.size - 1
    assert happened(reader(story), mark).counts == {}
    story.bar(run, 2, 1, lambda txn: story.refuse(txn, run, 2))
    assert happened(reader(story), mark).counts == {"refused": 1}
    assert happened(reader(story)).counts == {"filled": 1, "refused": 1}


def test_a_halt_names_its_claimant_and_its_reason(made: Made) -> None:
    story, run = made
    reason = story.do(lambda txn: txn.commit_text("too wild"))
    data = {"account": None, "reason_commit": reason, "run": run, "scope": "run", "state": "HALTED"}
    story.do(lambda txn: txn.line("halt.set", "system:daemon", data | {"claimed_by": "op:alice"}))
    (row,) = halts.standing(reader(story))
    assert (row["name"], row["by"], row["reason"]) == (run, "op:alice (claimed)", "too wild")
    assert halts.worst([row]) is HaltState.HALTED
    assert halts.binding([row], ACCOUNT, "run-9") is HaltState.ACTIVE
    assert halts.binding([row], ACCOUNT, run) is HaltState.HALTED


def test_the_latch_outranks_a_laxer_line_of_its_scope_alone(made: Made) -> None:
    story, run = made
    reason = story.do(lambda txn: txn.commit_text("careful"))
    data = {"account": None, "reason_commit": reason, "run": run, "scope": "run", "state": "REDUCING"}
    story.do(lambda txn: txn.line("halt.set", "system:daemon", data))
    lax = LatchRow("run", HaltState.REDUCING, "cli:anna", "again", 1, run=run)
    (row,) = halts.standing(reader(story), [lax])
    assert (row["state"], row["is_latched"]) == ("REDUCING", False)
    strict = LatchRow("run", HaltState.KILLED, "cli:anna", "enough", 1, run=run)
    (row,) = halts.standing(reader(story), [strict])
    assert (row["state"], row["is_latched"], row["seq"], row["by"]) == ("KILLED", True, None, "cli:anna")


def test_a_person_who_rejects_a_plan_ends_its_decision(tmp_path: Path) -> None:
    story = Story(tmp_path / "home").create().prepare()
    sha256 = str(story.do(lambda txn: txn.conn.execute("SELECT sha256 FROM candidate").fetchone()[0]))
    run = story.start(story.mandate(sha256, approval="human"))

    def wait(txn: Any) -> str:
        plan = story.plan(txn, run, 0)
        lines.record_decision(txn, run, 0, "b" * 64, 0, "pending", plan)
        return plan

    plan = story.bar(run, 0, 1, wait)
    assert told(story)["outcome"] == "pending"
    story.do(lambda txn: plans.cancel_plan(txn, plan, "system:daemon", "HALTED"))
    row = told(story)
    assert (row["outcome"], row["code"]) == ("cancelled", "HALTED")
    assert json.dumps(row["refusals"]) == "[]"
    story.close()
