"""P15's blocks: just under and at their limit none, just over one, in trading time; they end with their cause."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from inalpha.daemon.accounts import Accounts
from inalpha.daemon.feeds import FileFeed, FileTail
from inalpha.daemon.feedwatch import judge, take
from inalpha.daemon.retries import FEED_LOST
from inalpha.market.rawbar import RawBar
from inalpha.model.calendar import calendar_of, trading_ns
from inalpha.model.instrument import Instrument
from inalpha.model.risk import Block
from inalpha.risk.controls.stale_data import feed_block, skew_block
from inalpha.risk.engine import RiskEngine
from inalpha.risk.rules import default_rules, parse_rules

SECOND = 1_000_000_000
HOUR, DAY = 3600 * SECOND, 86_400 * SECOND
# 2024-10-04 was a Friday; New York closed at 20:00 UTC, the currency week at 21:00.
FRIDAY = 1_728_000_000 * SECOND
STALE = default_rules().controls.stale_data
LIMIT = 3 * HOUR // 2 + 2 * SECOND


@pytest.mark.parametrize(
    ("calendar", "close", "silent"),
    [
        ("24/7", FRIDAY, LIMIT),
        ("fx", FRIDAY + 20 * HOUR, 48 * HOUR + LIMIT),  # an hour on Friday, the rest on Sunday
        ("weekdays", FRIDAY + 23 * HOUR, 48 * HOUR + LIMIT),
        ("XNYS", FRIDAY + 19 * HOUR, 65 * HOUR + HOUR // 2 + LIMIT),  # until 20:00, from 13:30 on Monday
    ],
)
def test_a_silent_feed_is_stale_after_a_bar_and_a_half_of_trading_time(
    calendar: str, close: int, silent: int
) -> None:
    market = calendar_of(calendar)
    for off, is_stale in ((-1, False), (0, False), (1, True)):
        found = feed_block(STALE, market, HOUR, close, close + silent + off)
        assert (found is not None) is is_stale, off
    assert found is not None
    assert (found.code, found.control, found.limit) == ("STALE_FEED", "P15", "5402")
    assert found.measured == "5402.000000001" and found.setting == "stale_data.max_age_bars"


@pytest.mark.parametrize(("calendar", "days"), [("24/7", 1), ("weekdays", 3), ("XNYS", 3)])
def test_a_daily_feed_counts_days_that_hold_a_session(calendar: str, days: int) -> None:
    """A bar that closes at the end of Friday is followed by Monday's; Saturday and Sunday are no silence."""
    market, close = calendar_of(calendar), FRIDAY + DAY
    limit = DAY // 2 + days * DAY + 2 * SECOND
    assert feed_block(STALE, market, DAY, close, close + limit) is None
    assert feed_block(STALE, market, DAY, close, close + limit + 1) is not None


@pytest.mark.parametrize(
    ("skew", "is_ahead"), [(2 * SECOND - 1, False), (2 * SECOND, False), (2 * SECOND + 1, True)]
)
def test_two_seconds_of_skew_pass(skew: int, is_ahead: bool) -> None:
    found = skew_block(STALE, skew)
    assert (found is not None) is is_ahead
    if found:
        assert (found.code, found.measured, found.limit, found.unit) == (
            "CLOCK_SKEW",
            "2.000000001",
            "2",
            "s",
        )


def test_switched_off_nothing_is_stale() -> None:
    off = parse_rules("schema = 1\n[controls.stale_data]\nenabled = false\n").controls.stale_data
    assert feed_block(off, calendar_of("24/7"), HOUR, 0, FRIDAY) is None and skew_block(off, DAY) is None


def test_a_bar_that_opens_in_the_future_tells_the_sources_clock() -> None:
    async def story() -> None:
        now = [FRIDAY]
        feed = FileFeed(FileTail(SimpleNamespace(path="x")), HOUR, None, lambda: None, lambda: now[0])  # type: ignore[arg-type]
        feed._tail.bars = [(RawBar(FRIDAY + 7 * SECOND, 1, 1, 1, 1, 1, 1), FRIDAY)]  # type: ignore[arg-type]
        feed._tail._task = asyncio.get_running_loop().create_future()  # type: ignore[assignment]
        waiting = asyncio.create_task(feed.next())
        for _ in range(5):
            await asyncio.sleep(0)
        assert feed.skew_ns() == 7 * SECOND
        now[0] += 6 * SECOND
        assert feed.skew_ns() == SECOND
        waiting.cancel()

    asyncio.run(story())


def actor_of(calendar: str) -> Any:
    told: list[str] = []

    async def write(job: Any, notice: Any = None) -> None:
        job(None)

    office = SimpleNamespace(
        accounts=Accounts(), write=write, log=lambda *args, **members: None,
        alert=lambda txn, kind, scope, text: told.append(kind),
    )  # fmt: skip
    spec = SimpleNamespace(instrument=Instrument("X", calendar=calendar), timeframe_ns=HOUR)
    kernel = SimpleNamespace(risk=RiskEngine(default_rules()), last_bar=SimpleNamespace(close_time_ns=FRIDAY))
    return SimpleNamespace(office=office, run="run-1", closed=False, kernel=kernel, told=told,
                           plan=SimpleNamespace(spec=spec, started_ns=FRIDAY))  # fmt: skip


def test_a_block_is_one_alert_and_ends_with_its_cause_beside_others() -> None:
    actor = actor_of("24/7")
    blocks = actor.office.accounts.blocks
    blocks["run-1"] = (Block(FEED_LOST),)

    async def at(now: int, skew: int = 0, close: int | None = None) -> list[str]:
        found = judge(actor, now, skew, close)
        assert found is not None
        await take(actor, *found)
        return [block.code for block in blocks.get("run-1", ())]

    async def story() -> None:
        assert await at(FRIDAY + LIMIT) == [FEED_LOST]
        assert await at(FRIDAY + LIMIT + 1) == [FEED_LOST, "STALE_FEED"]
        assert await at(FRIDAY + 2 * LIMIT, 3 * SECOND) == [FEED_LOST, "STALE_FEED", "CLOCK_SKEW"]
        assert actor.told == ["stale_feed", "clock_skew"]
        assert await at(FRIDAY + 2 * LIMIT, close=FRIDAY + 2 * LIMIT) == [FEED_LOST]  # the bar that ends it

    asyncio.run(story())


def test_an_age_that_nobody_can_tell_is_a_block() -> None:
    actor = actor_of("nowhere")
    found = judge(actor, FRIDAY + 1, 0)
    assert found is not None and found[0] is not None and found[0].code == "STALE_FEED"
    assert found[0].measured is None and "nowhere" in found[0].text
    assert judge(actor, 0, 0) is None  # before the source has told any time


def test_trading_time_is_counted_no_further_than_asked() -> None:
    assert trading_ns(calendar_of("weekdays"), 0, 10**18, HOUR, DAY) <= 2 * DAY
