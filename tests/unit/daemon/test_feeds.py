"""A growing file: what still forms waits for its end, what is damaged is one bad bar."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

from inalpha.daemon.feeds import FileFeed
from inalpha.market.rawbar import RawBar
from inalpha.market.sources.file import FileSource

TIMEFRAME_NS = 4_000_000


def bar(open_ns: int | None, close: str) -> RawBar:
    return RawBar(open_ns, "1", "9", "1", close, "1")


class Tail:
    """Rows that are all there; then silence."""

    def __init__(self, *rows: RawBar) -> None:
        self.rows = rows

    async def wait_for(self, index: int) -> tuple[RawBar, int]:
        if index < len(self.rows):
            return self.rows[index], 7
        await asyncio.Event().wait()
        raise AssertionError


def read(number: int, *rows: RawBar) -> list[str]:
    """The closes of the first bars, while each look at the clock takes a twentieth of a bar, from 100 on."""
    clock: Iterator[int] = (100 + TIMEFRAME_NS // 20 * n for n in count())
    tail: Any = Tail(*rows)
    feed = FileFeed(tail, TIMEFRAME_NS, None, lambda: None, lambda: next(clock))

    async def run() -> list[str]:
        return [found[0].close for _ in range(number) if (found := await feed.next())]

    return asyncio.run(asyncio.wait_for(run(), 5))


def test_a_forming_bar_is_held_until_its_end() -> None:
    assert read(1, bar(100, "2")) == ["2"]


def test_a_later_line_of_a_forming_bar_replaces_it() -> None:
    assert read(1, bar(100, "2"), bar(100, "3")) == ["3"]


def test_held_bars_come_in_order_and_an_older_one_before_them() -> None:
    rows = bar(100 + TIMEFRAME_NS, "3"), bar(100, "2"), bar(100 - TIMEFRAME_NS, "1")
    assert read(3, *rows) == ["1", "2", "3"]


def test_a_damaged_line_of_a_live_file_is_a_bad_bar_and_the_next_is_read(tmp_path: Path) -> None:
    file = tmp_path / "live.csv"
    file.write_text(
        "time,open,high,low,close,volume\nnever,1,2,1,1,5\n2024-01-02,1,2\n2024-01-03,1,2,1,2,5\n"
    )
    found = FileSource(file).poll()
    assert [(raw.open_ns is None, raw.close) for raw in found] == [(True, "1"), (False, ""), (False, "2")]
