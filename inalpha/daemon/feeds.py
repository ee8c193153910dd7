"""Bars for runs: a replay or a simulation belongs to its run, a growing file is read once for all of its market."""

from __future__ import annotations

import asyncio
import time
from collections import Counter, defaultdict
from collections.abc import Callable
from decimal import Decimal
from itertools import dropwhile
from pathlib import Path
from typing import Protocol

from inalpha.market.feedspec import FeedSpec, file_sha256
from inalpha.market.rawbar import RawBar
from inalpha.market.sources.file import FileSource, read_csv
from inalpha.market.sources.sim import Delivery, SimMarket, parse_sim
from inalpha.market.timeframes import parse_timeframe
from inalpha.model.errors import Refused

POLL_S = 0.25
FEED_GONE = "FEED_REFUSED"


class Feed(Protocol):
    """Raw bars in order. None from next(): a finite feed is consumed.

    clock_ns: the source's clock, on which people's approvals are dated. closed_by_ns: the clock by which
    the gate judges whether a bar is closed. skew_ns: by how much the source's clock is seen to be ahead of ours.
    backfill: what the source has of a gap, asked once.
    """

    async def next(self) -> tuple[RawBar, int] | None: ...

    def clock_ns(self) -> int: ...

    def closed_by_ns(self, raw: RawBar) -> int: ...

    def skew_ns(self) -> int: ...

    def delivered(self, close_time_ns: int) -> None: ...

    def backfill(self, from_ns: int, to_ns: int) -> list[RawBar]: ...

    def close(self) -> None: ...


def _is_after(raw: RawBar, after_open_ns: int | None) -> bool:
    return after_open_ns is None or raw.open_ns is None or raw.open_ns > after_open_ns


class PacedFeed:
    """A finite list of deliveries against wall time, with a clock of its own: a held one is not late.

    The clock stands where the last delivery put it. failing counts the reads that already failed, by open
    time, across the feeds of one run: a source that fails twice does not fail for ever.
    """

    def __init__(
        self,
        deliveries: list[Delivery],
        speed: Decimal | None,
        may_go_on: Callable[[], asyncio.Event],
        backfill: Callable[[int, int], list[RawBar]] | None = None,
        failing: Counter[int] | None = None,
    ) -> None:
        self._deliveries = deliveries
        self._index = 0
        self._pause_s = 0.0 if speed is None else 1.0 / float(speed)
        self._due = time.monotonic()
        self._clock_ns = self._closed_by_ns = 0
        self._may_go_on = may_go_on
        self._backfill = backfill
        self._failing = Counter[int]() if failing is None else failing

    async def next(self) -> tuple[RawBar, int] | None:
        await self._pace()
        if self._index >= len(self._deliveries):
            return None
        made = self._deliveries[self._index]
        if made.is_fatal:
            raise Refused(FEED_GONE, "the source refuses for good.", "Start a run on another source.")
        open_ns = made.bar.open_ns or 0
        if self._failing[open_ns] < made.failures:
            self._failing[open_ns] += 1
            raise ConnectionError("the source closed the connection")
        self._index += 1
        self._closed_by_ns = made.now_ns
        return made.bar, made.received_ns

    def clock_ns(self) -> int:
        return self._clock_ns

    def closed_by_ns(self, raw: RawBar) -> int:
        return self._closed_by_ns

    def skew_ns(self) -> int:
        """What is known of it stands in each delivery: a bar that comes before its own close."""
        return 0

    def delivered(self, close_time_ns: int) -> None:
        self._clock_ns = max(close_time_ns, self._closed_by_ns)

    def backfill(self, from_ns: int, to_ns: int) -> list[RawBar]:
        return self._backfill(from_ns, to_ns) if self._backfill else []

    def close(self) -> None:
        self._deliveries = []

    async def _pace(self) -> None:
        gate = self._may_go_on()
        if not gate.is_set():
            await gate.wait()
            self._due = time.monotonic()
        if self._pause_s:
            self._due += self._pause_s
            await asyncio.sleep(max(0.0, self._due - time.monotonic()))
            await gate.wait()


class FileTail:
    """One growing file, polled once for all its runs. Readers keep their own index into `bars`."""

    def __init__(self, spec: FeedSpec) -> None:
        self.source = FileSource(Path(spec.path))
        self.bars: list[tuple[RawBar, int]] = []
        self.readers = 0
        self.error: Exception | None = None
        self._changed = asyncio.Condition()
        self._task: asyncio.Task[None] | None = None

    async def wait_for(self, index: int) -> tuple[RawBar, int]:
        """The bar at this index, once the file holds it. Raises what reading the file raised."""
        if self._task is None:
            self._task = asyncio.create_task(self._follow(), name="file-tail")
        async with self._changed:
            await self._changed.wait_for(lambda: index < len(self.bars) or self.error is not None)
        if index < len(self.bars):
            return self.bars[index]
        assert self.error is not None
        raise self.error

    def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()

    async def _follow(self) -> None:
        while True:
            try:
                fresh = self.source.poll()
            except Exception as error:  # told to every reader, which decides whether it may retry
                async with self._changed:
                    self.error = error
                    self._changed.notify_all()
                self._task = None
                return
            if fresh:
                now = time.time_ns()
                async with self._changed:
                    self.error = None
                    self.bars.extend((bar, now) for bar in fresh)
                    self._changed.notify_all()
            await asyncio.sleep(POLL_S)


class FileFeed:
    """One run's cursor into a shared tail; the host's clock is the source's clock.

    A bar that is still forming is held until its end; a later line of the same bar replaces it.
    """

    def __init__(
        self,
        tail: FileTail,
        timeframe_ns: int,
        after_open_ns: int | None,
        release: Callable[[], None],
        now_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        self._tail = tail
        self._timeframe_ns = timeframe_ns
        self._index = 0
        self._after = after_open_ns
        self._forming: dict[int, RawBar] = {}
        self._release = release
        self._now_ns = now_ns

    async def next(self) -> tuple[RawBar, int] | None:
        while True:
            first_ns = min(self._forming, default=None)
            now = self._now_ns()
            if first_ns is not None and first_ns + self._timeframe_ns <= now:
                return self._forming.pop(first_ns), now
            rest_s = None if first_ns is None else (first_ns + self._timeframe_ns - now) / 1e9
            try:
                bar, received = await asyncio.wait_for(self._tail.wait_for(self._index), rest_s)
            except TimeoutError:
                continue
            self._index += 1
            if not _is_after(bar, self._after):
                continue
            is_next = first_ns is None or bar.open_ns is None or bar.open_ns < first_ns
            if is_next and self.closed_by_ns(bar) >= (bar.open_ns or 0) + self._timeframe_ns:
                return bar, received
            self._forming[bar.open_ns or 0] = bar

    def clock_ns(self) -> int:
        return self._now_ns()

    def closed_by_ns(self, raw: RawBar) -> int:
        return self._now_ns()

    def skew_ns(self) -> int:
        """A bar cannot open in the future: where one does, its author's clock is ahead of ours."""
        return max(0, max(self._forming, default=0) - self._now_ns())

    def delivered(self, close_time_ns: int) -> None:
        """The host's clock runs by itself."""

    def backfill(self, from_ns: int, to_ns: int) -> list[RawBar]:
        """The file holds nothing that was not read: what is missing may still be written, late."""
        return []

    def close(self) -> None:
        self._release()


class FeedHub:
    """Opens feeds; runs on the same market share a file's tail."""

    def __init__(self) -> None:
        self._tails: dict[tuple[str, str, str], FileTail] = {}
        self._failing: defaultdict[str, Counter[int]] = defaultdict(Counter)

    def open(
        self, run: str, spec: FeedSpec, after_open_ns: int | None, may_go_on: Callable[[], asyncio.Event]
    ) -> Feed:
        """A feed for one run, behind the bar that it consumed last.

        Raises Refused when a replay's file is gone or is another one.
        """
        if spec.kind == "sim":
            market = SimMarket(parse_sim(spec.path), spec.instrument, parse_timeframe(spec.timeframe))
            deliveries = list(
                dropwhile(lambda made: not _is_after(made.bar, after_open_ns), market.deliveries)
            )
            return PacedFeed(deliveries, spec.speed, may_go_on, market.backfill, self._failing[run])
        if spec.kind == "replay":
            path = Path(spec.path)
            if not path.is_file() or file_sha256(path) != spec.data_sha256:
                raise Refused(
                    FEED_GONE,
                    f"{path} is missing or is not the file that the mandate names.",
                    "Restore the file, or start a new run.",
                )
            timeframe_ns = parse_timeframe(spec.timeframe).ns
            closes = ((bar, (bar.open_ns or 0) + timeframe_ns) for bar in read_csv(path))
            deliveries = [Delivery(bar, at, at) for bar, at in closes if _is_after(bar, after_open_ns)]
            return PacedFeed(deliveries, spec.speed, may_go_on)
        key = (spec.path, spec.symbol, spec.timeframe)
        tail = self._tails.setdefault(key, FileTail(spec))
        tail.readers += 1
        timeframe_ns = parse_timeframe(spec.timeframe).ns
        return FileFeed(tail, timeframe_ns, after_open_ns, lambda: self._release(key))

    def history(self, spec: FeedSpec, before_ns: int, count: int) -> list[RawBar]:
        """The last bars of a growing file that had closed before a time: what indicators warm up on."""
        if spec.is_finite:
            return []
        timeframe_ns = parse_timeframe(spec.timeframe).ns
        bars = read_csv(Path(spec.path))
        closed = [bar for bar in bars if bar.open_ns is not None and bar.open_ns + timeframe_ns <= before_ns]
        return closed[-count:]

    def _release(self, key: tuple[str, str, str]) -> None:
        tail = self._tails.get(key)
        if tail is None:
            return
        tail.readers -= 1
        if tail.readers <= 0:
            tail.stop()
            del self._tails[key]
