"""P15: a feed that fell silent, and a source whose clock is not ours, block entries until that is over."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from inalpha.daemon import blocks
from inalpha.model.calendar import calendar_of
from inalpha.model.errors import ConfigError
from inalpha.model.risk import Block
from inalpha.risk.controls.stale_data import CLOCK_SKEW, STALE_FEED, feed_block, skew_block
from inalpha.risk.engine import RiskEngine
from inalpha.risk.settings import StaleData

if TYPE_CHECKING:
    from inalpha.daemon.actor import RunActor
    from inalpha.daemon.office import Office

EVERY_S = 1.0


async def watch_feeds(office: Office) -> None:
    """Each second, by the clock of each run's source. One alert as a block begins; its end needs nobody."""
    while True:
        for actor in list(office.actors.values()):
            found = judge(actor, actor.clock_ns(), actor.skew_ns())
            if found is not None:
                await take(actor, *found)
        await asyncio.sleep(EVERY_S)


def judge(
    actor: RunActor, now_ns: int, skew_ns: int, close_ns: int | None = None
) -> tuple[Block | None, Block | None] | None:
    """The blocks STALE_FEED and CLOCK_SKEW, None where the feed is well; None where the run is in no state to tell.

    close_ns: of a bar that has just come; else the last bar's.
    """
    kernel = actor.kernel
    if kernel is None or actor.closed or not now_ns or not isinstance(kernel.risk, RiskEngine):
        return None
    settings = kernel.risk.rules.controls.stale_data
    if close_ns is None:
        close_ns = kernel.last_bar.close_time_ns if kernel.last_bar is not None else actor.plan.started_ns
    return _stale(actor, settings, close_ns, now_ns), skew_block(settings, skew_ns)


def _stale(actor: RunActor, settings: StaleData, close_ns: int, now_ns: int) -> Block | None:
    spec = actor.plan.spec
    try:
        return feed_block(
            settings, calendar_of(spec.instrument.calendar), spec.timeframe_ns, close_ns, now_ns
        )
    except ConfigError as error:  # trading time that nobody knows: how old the feed is cannot be told
        text = f"how old the last close is cannot be told: {error.message}"
        return Block(STALE_FEED, "P15", unit="s", setting="stale_data.max_age_bars", text=text)


async def take(actor: RunActor, stale: Block | None, skewed: Block | None) -> None:
    """Bring the run's blocks to what was found."""
    accounts = actor.office.accounts
    for code, block in ((STALE_FEED, stale), (CLOCK_SKEW, skewed)):
        if block is None:
            if blocks.lift(accounts, actor.run, code):
                actor.office.log("block_over", run=actor.run, code=code)
        elif blocks.put(accounts, actor.run, block):
            actor.office.log("blocked", "warning", actor.run, code=code, text=block.text)
            text = f"{code}: {block.text}: entries are blocked, exits run"
            kind = code.lower()
            await actor.office.write(
                lambda txn, kind=kind, text=text: actor.office.alert(txn, kind, actor.run, text)  # type: ignore[misc]
            )
