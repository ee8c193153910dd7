"""Notices commit with what they tell of, are published in order, and again after a crash."""

from __future__ import annotations

import asyncio
import sqlite3
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from inalpha.daemon.outbox import MAX_TOGETHER, MAX_WAITING, Outbox
from inalpha.ledger.database import schema_text
from inalpha.model.errors import TryAgain


@pytest.fixture
def txn(tmp_path: Path) -> Any:
    conn = sqlite3.connect(tmp_path / "x.db", isolation_level=None)
    conn.executescript(next(s for s in schema_text("0001.sql").split(";") if "TABLE outbox" in s) + ";")
    return SimpleNamespace(conn=conn)


def rows(txn: Any) -> list[int]:
    return [row[0] for row in txn.conn.execute("SELECT seq FROM outbox ORDER BY seq")]


class Bus:
    """Takes what is sent; is_down: acknowledges nothing. sent: the ids, in order."""

    def __init__(self) -> None:
        self.sent: list[str] = []
        self.kinds: list[str] = []
        self.is_down = False
        self.tries = 0

    async def send(self, kind: str, ids: list[str]) -> None:
        self.tries += 1
        if self.is_down:
            raise TryAgain("BUS_DOWN", "no broker")
        self.sent += ids
        self.kinds.append(kind)

    async def until(self, outbox: Outbox, count: int) -> None:
        publishing = asyncio.create_task(outbox.publish(self.send))
        async with asyncio.timeout(5):
            while len(self.sent) < count:
                await asyncio.sleep(0)
        await asyncio.sleep(0)
        publishing.cancel()


def put(outbox: Outbox, txn: Any, *names: str, kind: str = "step") -> None:
    for name in names:
        notice = (kind, [name])
        outbox.ring(outbox.add(txn, notice), notice)


async def test_published_in_order_and_deleted_by_a_later_transaction(txn: Any) -> None:
    outbox, bus = Outbox(), Bus()
    put(outbox, txn, "a", "b", "c")
    assert rows(txn) == [1, 2, 3]
    await bus.until(outbox, 3)
    assert bus.sent == ["a", "b", "c"]
    assert rows(txn) == [1, 2, 3]  # no commit of its own
    put(outbox, txn, "d")
    assert rows(txn) == [4]


async def test_neighbours_of_one_kind_ring_once_and_order_is_kept(txn: Any) -> None:
    outbox, bus = Outbox(), Bus()
    put(outbox, txn, *("ab" * MAX_TOGETHER), kind="step")
    put(outbox, txn, "c", kind="halt")
    put(outbox, txn, "d", kind="step")
    await bus.until(outbox, 6)
    assert bus.sent == ["a", "b", "a", "b", "c", "d"]
    assert bus.kinds == ["step", "step", "halt", "step"]
    put(outbox, txn, "e")
    assert len(rows(txn)) == 1


async def test_what_a_crash_left_is_published_first(txn: Any) -> None:
    before = Outbox()
    put(before, txn, "a", "b")
    after, bus = Outbox(), Bus()
    after.load(txn)
    put(after, txn, "c")
    await bus.until(after, 3)
    assert bus.sent == ["a", "b", "c"]


async def test_nothing_is_told_of_a_transaction_that_did_not_commit(txn: Any) -> None:
    outbox, bus = Outbox(), Bus()
    put(outbox, txn, "a")
    await bus.until(outbox, 1)
    txn.conn.execute("BEGIN")
    outbox.add(txn, ("step", ["lost"]))
    txn.conn.execute("ROLLBACK")
    put(outbox, txn, "b")
    await bus.until(outbox, 2)
    assert bus.sent == ["a", "b"]
    put(outbox, txn, "c")
    assert len(rows(txn)) == 1  # the roll-back of a deletion is made up for


async def test_bus_that_is_down_loses_nothing(txn: Any) -> None:
    outbox, bus = Outbox(), Bus()
    bus.is_down = True
    put(outbox, txn, "a", "b")
    publishing = asyncio.create_task(outbox.publish(bus.send))
    async with asyncio.timeout(5):
        while bus.tries < 2:
            await asyncio.sleep(0.01)
        bus.is_down = False
        while len(bus.sent) < 2:
            await asyncio.sleep(0.01)
    publishing.cancel()
    assert bus.sent == ["a", "b"]


async def test_long_silence_keeps_the_newest(txn: Any) -> None:
    outbox, bus = Outbox(), Bus()
    put(outbox, txn, *(str(n) for n in range(MAX_WAITING + 5)))
    await bus.until(outbox, MAX_WAITING)
    assert bus.sent[-1] == str(MAX_WAITING + 4)
    put(outbox, txn, "last")
    assert len(rows(txn)) == 1
