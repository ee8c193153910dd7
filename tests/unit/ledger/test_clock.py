"""A clock set back halts everything before anything else is written."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.forgery import events_of
from support.ledger_story import Story

from inalpha.audit.verify import verify
from inalpha.ledger import committer
from inalpha.model.errors import Refused

REFUSAL = {"code": "X", "command": "y", "count": 1, "principal": "op:anna"}


def running(tmp_path: Path) -> tuple[Story, str]:
    story = Story(tmp_path / "home").create().prepare()
    sha256 = str(story.do(lambda txn: txn.conn.execute("SELECT sha256 FROM candidate").fetchone()[0]))
    run = story.start(story.mandate(sha256))
    story.bar(run, 0)
    return story, run


def write(story: Story) -> None:
    story.do(lambda txn: txn.line("refusal", "system:daemon", REFUSAL))


def halts(story: Story) -> int:
    return sum(event.kind == "halt.set" for event in events_of(story.home))


def order(story: Story, run: str) -> None:
    story.bar(run, 1, 1, lambda txn: story.order(txn, run, 1))


def test_clock_behind_the_record_halts_before_the_next_order(tmp_path: Path) -> None:
    story, run = running(tmp_path)
    told: list[int] = []
    story.ledger.on_clock_behind = told.append
    story.clock.wall_us -= 3_600_000_000
    with pytest.raises(Refused, match="HALTED"):
        order(story, run)
    assert [event.kind for event in events_of(story.home)][-2:] == ["clock.step", "halt.set"]
    assert len(told) == 1 and told[0] > 3_000_000_000
    story.close()
    assert verify(story.home).reason is None


def test_without_the_check_the_order_is_executed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(committer, "MAX_BEHIND_US", 10**15)
    story, run = running(tmp_path)
    story.clock.wall_us -= 3_600_000_000
    order(story, run)
    story.close()


def test_small_set_backs_and_forward_steps_halt_nothing(tmp_path: Path) -> None:
    story, run = running(tmp_path)
    story.clock.wall_us -= 4_000_000
    write(story)
    story.clock.wall_us += 3_600_000_000
    write(story)
    order(story, run)
    assert halts(story) == 0
    story.close()


def test_resumed_while_still_behind_stays_resumed_until_set_back_again(tmp_path: Path) -> None:
    story, _ = running(tmp_path)
    story.clock.wall_us -= 3_600_000_000
    write(story)
    assert halts(story) == 1
    ended = {"account": None, "reason_commit": "a" * 64, "run": None, "scope": "all"}
    tail = events_of(story.home)[-1].ts
    note = story.gate("halt.resume", ended, ts=tail, exp=tail + 200_000_000)
    story.do(lambda txn: txn.line("halt.resume", "op:anna", ended, gate=note))
    write(story)
    assert halts(story) == 1
    story.clock.wall_us -= 60_000_000
    write(story)
    assert halts(story) == 2
    story.close()


def test_start_on_a_clock_behind_is_halted(tmp_path: Path) -> None:
    story, run = running(tmp_path)
    story.close()
    story.clock.wall_us -= 3_600_000_000
    story.clock.boot = "f" * 16
    story.open()
    with pytest.raises(Refused, match="HALTED"):
        order(story, run)
    story.close()
