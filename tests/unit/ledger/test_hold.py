"""A lock that a job takes is left on the writer's thread, once its transaction has ended."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from support.ledger_story import Story

from inalpha.ledger.txn import Txn


@contextmanager
def watching(txn: Txn, seen: list[bool]) -> Iterator[str]:
    try:
        yield "held"
    finally:
        seen.append(txn.conn.in_transaction)


@pytest.mark.parametrize("fails", [False, True])
def test_a_lock_is_left_once_the_transaction_has_ended(tmp_path: Path, fails: bool) -> None:
    story = Story(tmp_path / "home").create()
    seen: list[bool] = []

    def job(txn: Txn) -> None:
        assert txn.hold(watching(txn, seen)) == "held"
        assert txn.conn.in_transaction and seen == []
        if fails:
            raise ValueError("rolled back")

    try:
        if fails:
            with pytest.raises(ValueError, match="rolled back"):
                story.do(job)
        else:
            story.do(job)
    finally:
        story.close()
    assert seen == [False]
