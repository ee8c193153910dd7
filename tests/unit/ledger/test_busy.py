"""A ledger that another program holds is waited for: nothing is lost, nothing is latched."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support.installation import until
from support.ledger_story import Story

from inalpha.audit.verify import verify
from inalpha.ledger import committer
from inalpha.ledger.txn import Txn
from inalpha.model.errors import TryAgain

REFUSAL = {"code": "X", "command": "y", "count": 1, "principal": "op:anna"}


def note(txn: Txn) -> int:
    txn.commit_text("a text of its own")
    return txn.line("refusal", "system:daemon", REFUSAL)


@pytest.fixture
def story(tmp_path: Path) -> Any:
    story = Story(tmp_path / "home").create()
    yield story
    story.close()


def holder(path: Path) -> sqlite3.Connection:
    conn = sqlite3.connect(path, isolation_level=None)
    conn.execute("BEGIN EXCLUSIVE")
    return conn


@pytest.mark.parametrize("file", ["ledger.db", "blobs.db"])
def test_jobs_wait_for_whoever_holds_a_file_and_are_done_once(story: Story, file: str) -> None:
    other = holder(story.home / file)
    futures = [story.ledger.submit(note) for _ in range(5)]
    until(lambda: story.ledger.busy_s > 0.5, what="the writer's wait")
    assert not any(future.done() for future in futures)
    other.execute("ROLLBACK")
    assert [future.result(5) for future in futures] == [3, 4, 5, 6, 7]
    assert (story.ledger.busy_s, story.ledger.latched) == (0.0, False)
    story.close()
    assert verify(story.home).passed


def test_a_ledger_that_is_held_closes_at_once_and_recovers(story: Story) -> None:
    other = holder(story.home / "ledger.db")
    waiting = story.ledger.submit(note)
    until(lambda: story.ledger.busy_s > 0, what="the writer's wait")
    began = time.monotonic()
    story.ledger.close("sigterm")
    assert time.monotonic() - began < committer.MOST_PAUSE_S + 2
    with pytest.raises(TryAgain, match="LEDGER_CLOSED"):
        waiting.result(0)
    other.execute("ROLLBACK")
    other.close()
    story.open()
    assert story.do(note) > 3
    story.close()
    assert verify(story.home).passed


@pytest.mark.parametrize("sql", ["BEGIN EXCLUSIVE", "PRAGMA locking_mode = EXCLUSIVE;BEGIN EXCLUSIVE"])
def test_a_ledger_that_is_held_at_the_start_is_to_be_tried_again(
    story: Story, sql: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    story.close()
    real: Callable[..., sqlite3.Connection] = sqlite3.connect
    other = real(story.home / "ledger.db", isolation_level=None)
    for statement in sql.split(";"):
        other.execute(statement)
    monkeypatch.setattr(sqlite3, "connect", lambda *args, **more: real(*args, **{**more, "timeout": 0.05}))
    monkeypatch.setattr(committer, "OPEN_BUSY_S", 0.1)
    with pytest.raises(TryAgain, match="LEDGER_BUSY") as caught:
        story.open()
    assert "locked" in str(caught.value)
    other.execute("ROLLBACK")
    other.close()
    story.open()
