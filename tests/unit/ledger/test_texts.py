"""Equal reasons of one run share a commitment; never across a rollback, an erasure or another run."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.ledger_story import Story

from inalpha.ledger.txn import Txn


@pytest.fixture
def story(tmp_path: Path) -> Iterator[Story]:
    made = Story(tmp_path / "home").create()
    yield made
    made.close()


def kept(story: Story) -> set[str]:
    blobs = sqlite3.connect(story.home / "blobs.db")
    found = {name for (name,) in blobs.execute("SELECT name FROM blob")}
    blobs.close()
    return found


def give(story: Story, run: str | None, text: str = "cross") -> str:
    return str(story.do(lambda txn: txn.commit_text(text, run=run)))


def test_equal_texts_of_a_run_are_kept_once(story: Story) -> None:
    first = give(story, "run-1")
    assert give(story, "run-1") == first
    assert story.do(lambda txn: {txn.commit_text("new", run="run-1") for _ in range(3)}) <= kept(story)
    assert len(kept(story)) == 2


def test_other_runs_and_people_share_nothing(story: Story) -> None:
    names = {give(story, "run-1"), give(story, "run-2"), give(story, None), give(story, None)}
    assert len(names) == 4


def test_text_of_a_rolled_back_transaction_is_given_again(story: Story) -> None:
    """Its blob may never have been stored: naming it would leave a line without its text."""
    names: list[str] = []

    def fails(txn: Txn) -> None:
        names.append(txn.commit_text("cross", run="run-1"))
        raise ValueError

    with pytest.raises(ValueError):
        story.do(fails)
    assert names[0] not in kept(story)
    again = give(story, "run-1")
    assert again != names[0]
    assert again in kept(story)


def test_erased_text_gets_a_new_name(story: Story) -> None:
    first = give(story, "run-1")
    data = {"commit": first}

    def erase(txn: Txn) -> None:
        txn.line(
            "refusal", "system:daemon", {"code": "X", "command": "y", "count": 1, "principal": "op:anna"}
        )
        txn.erase_text(data["commit"])

    story.do(erase)
    assert first not in kept(story)
    again = give(story, "run-1")
    assert again != first
    assert again in kept(story)


def test_known_texts_are_bounded(story: Story, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("inalpha.ledger.blobs.MAX_KNOWN_TEXTS", 3)
    names = [give(story, "run-1", f"reason {number}") for number in range(5)]
    assert give(story, "run-1", "reason 4") == names[4]
    assert give(story, "run-1", "reason 0") != names[0]
