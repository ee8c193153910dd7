"""Notices that commit with what they tell of, and are published in that order, again after a crash.

A row is written by the transaction that causes the notice. It leaves the table in a later such transaction,
once the broker has acknowledged it: no step needs a second commit. A notice may come twice, never not at all.
"""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import Awaitable, Callable
from concurrent.futures import Future
from itertools import islice
from typing import Any

from inalpha.ledger.txn import Txn
from inalpha.model.errors import TryAgain

# A notice says "read the ledger": when the bus is away for long, the newest thousand say so well enough.
MAX_WAITING = 1000
RETRY_S = 0.05
# A hundred runs that step at one second ring a few times, not a hundred.
MAX_TOGETHER = 64

Notice = tuple[str, list[str]]
LINES: Notice = ("lines", [])


class Outbox:
    """`add` is called on the writer's thread, inside the transaction; `ring` after its commit."""

    def __init__(self) -> None:
        self._last = 0
        self._published = 0
        self._deleted = 0
        self._waiting: deque[tuple[int, Notice]] = deque(maxlen=MAX_WAITING)
        self._news = asyncio.Event()

    def load(self, txn: Txn) -> None:
        """What a former daemon committed and may not have published. On the writer's thread, at the start."""
        for seq, body in txn.conn.execute("SELECT seq, body FROM outbox ORDER BY seq"):
            kind, ids = json.loads(body)
            self._waiting.append((seq, (kind, ids)))
            self._last = seq
        self._news.set()

    def add(self, txn: Txn, notice: Notice) -> int:
        """The row of a notice; rows that were published go."""
        published = self._published
        if published > self._deleted:
            txn.conn.execute("DELETE FROM outbox WHERE seq <= ?", (published,))
            self._deleted = published
        self._last += 1
        row = (self._last, notice[0], json.dumps(notice).encode())
        txn.conn.execute("INSERT INTO outbox (seq, topic, body) VALUES (?, ?, ?)", row)
        return self._last

    def ring(self, seq: int, notice: Notice) -> None:
        """Its transaction has committed."""
        self._waiting.append((seq, notice))
        self._news.set()

    def rings(self, loop: asyncio.AbstractEventLoop, rung: list[tuple[int, Notice]]) -> Callable[[Any], None]:
        """A callback for the transaction's future: also a waiter that was cancelled has its notice published.

        rung: what the job added, once it has run.
        """

        def done(future: Future[Any]) -> None:
            if future.cancelled() or future.exception() is not None or loop.is_closed():
                return
            for seq, notice in rung:
                loop.call_soon_threadsafe(self.ring, seq, notice)

        return done

    async def publish(self, send: Callable[[str, list[str]], Awaitable[None]]) -> None:
        """For ever, one after the other. send returns once the broker has acknowledged, or raises TryAgain."""
        while True:
            if not self._waiting:
                self._news.clear()
                await self._news.wait()
            last, (kind, ids) = self._next()
            try:
                await send(kind, ids)
            except TryAgain:
                await asyncio.sleep(RETRY_S)
                continue
            while self._waiting and self._waiting[0][0] <= last:
                self._waiting.popleft()
            self._published = last

    def _next(self) -> tuple[int, Notice]:
        """The oldest notice and those of its kind right behind it, as one, and the number of the last."""
        last, (kind, first) = self._waiting[0]
        ids = list(first)
        for seq, (other, more) in islice(self._waiting, 1, MAX_TOGETHER):
            if other != kind:
                break
            last, ids = seq, [*ids, *(name for name in more if name not in ids)]
        return last, (kind, ids)
