"""Races over one plan and one ledger: one final state, one writer, and what happens without each defence."""

from __future__ import annotations

import random
import sqlite3
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from support.ledger_story import ACCOUNT, Story

from inalpha.audit.fold import plans as fold_plans
from inalpha.audit.verify import verify
from inalpha.execution import lines, plans
from inalpha.ledger import lock
from inalpha.ledger.committer import EpochFenced
from inalpha.ledger.readers import open_reader, size
from inalpha.ledger.txn import Txn
from inalpha.model.errors import InalphaError

SEED, ROUNDS = 23, 12
DATA = {"code": "X", "command": "y", "count": 1, "principal": "op:anna"}
FINAL = {"approve": "executed", "reject": "rejected", "expire": "expired", "cancel": "cancelled"}


@pytest.fixture
def story(tmp_path: Path) -> Iterator[Story]:
    made = Story(tmp_path / "home").create().prepare()
    yield made
    made.close()


def note(txn: Txn) -> int:
    return txn.line("refusal", "system:daemon", DATA)


def pending_plan(story: Story, run: str, bar: int) -> str:
    """A plan that waits for a person and expires with the next tick of the test's clock."""

    def jobs(txn: Txn) -> str:
        plan = story.plan(txn, run, bar, expires=txn.now_us + 2_000_000)
        lines.record_decision(txn, run, bar, "b" * 64, 0, "pending", plan)
        return plan

    return str(story.bar(run, bar, 1, jobs))


def contenders(story: Story, plan: str) -> dict[str, Callable[[Txn], Any]]:
    """Everyone who may decide a waiting plan; gates signed beforehand."""
    digest = story.do(lambda txn: plans.get_plan(txn.conn, plan).digest)
    approval = story.gate("plan.approve", {"plan": plan, "plan_sha256": digest})
    reason = story.do(lambda txn: txn.commit_text("no"))
    refusal = {"code": "OPERATOR", "plan": plan, "plan_sha256": digest, "reason_commit": reason}
    rejection = story.gate("plan.reject", refusal)

    def halt(txn: Txn) -> None:
        plans.cancel_plan(txn, plan, reason="halt")
        halted = {
            "account": ACCOUNT,
            "reason_commit": txn.commit_text("x"),
            "run": None,
            "scope": "account",
            "state": "HALTED",
        }
        txn.line("halt.set", "system:daemon", halted)

    return {
        "approve": lambda txn: plans.approve_and_execute(txn, plan, "op:anna", approval),
        "reject": lambda txn: plans.reject_plan(
            txn, plan, "op:anna", "OPERATOR", reason_commit=reason, gate=rejection
        ),
        "expire": lambda txn: plans.expire_plan(txn, plan),
        "cancel": halt,
    }


def race(story: Story, acts: dict[str, Callable[[Txn], Any]], chooser: random.Random) -> dict[str, str]:
    """All at once, each in a thread of its own; per contender "ok" or the code that it got."""
    barrier, told = threading.Barrier(len(acts)), dict[str, str]()

    def contend(name: str, act: Callable[[Txn], Any]) -> None:
        barrier.wait()
        try:
            story.do(act)
            told[name] = "ok"
        except InalphaError as error:
            told[name] = error.code

    names = chooser.sample(list(acts), len(acts))
    threads = [threading.Thread(target=contend, args=(name, acts[name])) for name in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return told


def resume(story: Story) -> None:
    halted = story.do(lambda txn: txn.conn.execute("SELECT 1 FROM halt WHERE state != 'ACTIVE'").fetchone())
    if halted:
        reason = story.do(lambda txn: txn.commit_text("go on"))
        data = {"account": ACCOUNT, "reason_commit": reason, "run": None, "scope": "account"}
        story.gated("halt.resume", data)


def test_approve_races_expiry_halt_and_reject_to_one_final_state(story: Story) -> None:
    sha256 = story.do(lambda txn: txn.conn.execute("SELECT sha256 FROM candidate").fetchone()[0])
    run = story.start(story.mandate(sha256, approval="human"))
    chooser, won = random.Random(SEED), Counter[str]()
    for bar in range(ROUNDS):
        plan = pending_plan(story, run, bar)
        acts = contenders(story, plan)
        # Half of the rounds begin just before the expiry, half at it.
        story.clock.advance(1_990_000 if bar % 2 else 2_010_000)
        told = race(story, acts, chooser)
        winners = [name for name, code in told.items() if code == "ok"]
        assert len(winners) == 1, (SEED, bar, told)
        assert {code for name, code in told.items() if name not in winners} <= {
            "PLAN_STATE",
            "PLAN_EXPIRED",
        }, told
        found = story.do(lambda txn, plan=plan: plans.get_plan(txn.conn, plan))
        assert found.state == FINAL[winners[0]]
        won[winners[0]] += 1
        resume(story)
    print(f"seed {SEED}, won by: {dict(won)}")  # noqa: T201
    assert verify(story.home, story.genesis).reason is None


def test_without_its_two_checks_a_plan_is_decided_twice(
    story: Story, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The state is asked before the line and again by the fold; with both out of the way the race is lost."""
    sha256 = story.do(lambda txn: txn.conn.execute("SELECT sha256 FROM candidate").fetchone()[0])
    run = story.start(story.mandate(sha256, approval="human"))
    plan = pending_plan(story, run, 0)
    acts = contenders(story, plan)
    story.do(acts["cancel"])
    monkeypatch.setattr(plans, "pending_plan", plans.get_plan)
    with pytest.raises(InalphaError, match="not pending"):
        story.do(acts["reject"])
    with monkeypatch.context() as patched:
        patched.setattr(fold_plans, "_pending", fold_plans._plan)
        story.do(acts["reject"])
    report = verify(story.home, story.genesis)
    assert report.failures["I15"].seq == size(open_reader(story.home)) - 1
    story.ledger._committer.latched = True  # nothing more may be written to it


def test_two_writers_past_the_lock_are_told_apart_by_the_epoch(
    story: Story, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lock.fcntl, "flock", lambda *_: None)
    second = Story(story.home, story.clock).open()
    second.do(note)
    before = size(open_reader(story.home))
    with pytest.raises(EpochFenced):
        story.do(note)
    assert story.ledger.latched
    assert size(open_reader(story.home)) == before
    second.do(note)
    second.close()
    assert verify(story.home, story.genesis).reason is None


def test_without_lock_and_fence_the_row_number_still_holds_two_writers_apart(
    story: Story, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither lock nor epoch: both continue from one line, and the table takes one of them."""
    monkeypatch.setattr(lock.fcntl, "flock", lambda *_: None)
    second = Story(story.home, story.clock).open()
    second.do(note)
    before = size(open_reader(story.home))
    story.ledger._committer.epoch = second.ledger.epoch
    with pytest.raises(sqlite3.IntegrityError, match=r"append-only|UNIQUE"):
        story.do(note)
    assert size(open_reader(story.home)) == before
    assert verify(story.home, story.genesis).passed
    story.ledger._committer.latched = True
    second.close()
