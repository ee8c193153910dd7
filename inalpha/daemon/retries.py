"""What a run does about troubles that may pass: it waits longer each time, and is cut off after five."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from inalpha.daemon import blocks
from inalpha.kernel.commands import RECONNECTED
from inalpha.model.risk import Block
from inalpha.model.states import HaltState, strictest

if TYPE_CHECKING:
    from inalpha.daemon.actor import RunActor

FEED, FEED_LOST, RUNNER_LOST = "FEED", "FEED_LOST", "RUNNER_LOST"
STREAK = 5  # failures in a row until a run may only reduce


def backoff_s(code: str, streak: int) -> float:
    """Seconds until the next try: doubling from 2 s for a source, from half a second for a runner; 60 s at most."""
    return min((1.0 if code == FEED else 0.25) * 2.0**streak, 60.0)


class Retries:
    """One run's. streak: failures since the last bar."""

    def __init__(self, actor: RunActor) -> None:
        self._actor = actor
        self.streak = 0

    def state(self) -> HaltState:
        """The strictest of the halts in force and the block of a run that is cut off."""
        actor = self._actor
        halt = actor.office.accounts.halt_of(actor.account, actor.run)
        is_cut_off = blocks.holds(actor.office.accounts, actor.run, FEED_LOST, RUNNER_LOST)
        return strictest(halt, HaltState.REDUCING) if is_cut_off else halt

    async def _cut_off(self, code: str, text: str) -> None:
        """T7: entries end and wait, exits stay, until the first fresh bar; no person is needed for that."""
        actor = self._actor
        block = {FEED: FEED_LOST}.get(code, RUNNER_LOST)
        told = f"{code}: {text}"[:200]
        found = Block(block, "T7", str(self.streak), str(STREAK), "failures in a row", "disconnect", told)
        blocks.put(actor.office.accounts, actor.run, found)
        await actor.office.write(
            lambda txn: actor.office.alert(
                txn, "disconnect", actor.run, f"{block} after {STREAK} tries: {text}"
            )
        )
        await actor.cut_off(self.state())

    async def reconnected(self) -> None:
        """A fresh bar: the block is over."""
        actor = self._actor
        if not blocks.lift(actor.office.accounts, actor.run, FEED_LOST, RUNNER_LOST):
            return
        actor.office.log("run_reconnected", run=actor.run)
        async with actor.lock:
            await actor.apply_halt(self.state(), RECONNECTED)

    async def back_off(self, code: str, text: str) -> None:
        """Wait before the next try, longer each time; after five a run may only reduce."""
        actor = self._actor
        self.streak += 1
        pause_s = backoff_s(code, self.streak)
        if self.streak == STREAK:
            await self._cut_off(code, text)
        actor.office.log("run_retry", "warning", actor.run, code=code, text=text, streak=self.streak)
        await actor.office.note_retry(actor.run, code, text, pause_s)
        await asyncio.sleep(pause_s)
