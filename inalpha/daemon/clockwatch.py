"""Books, runs and the operator learn that the ledger halted everything because the host's clock was set back."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from inalpha.model.states import HaltState

if TYPE_CHECKING:
    from inalpha.daemon.office import Office


def watch_clock(office: Office) -> None:
    """To be called on the loop that steps runs."""
    loop = asyncio.get_running_loop()

    def behind(us: int) -> None:
        # On the writer's thread, which alone changes the books: the next job finds them halted.
        office.accounts.set_halt("all", HaltState.HALTED)
        loop.call_soon_threadsafe(lambda: office.later(tell(office, us)))

    office.ledger.on_clock_behind = behind


async def tell(office: Office, behind_us: int) -> None:
    """Every live run's journal gets the halt."""
    text = f"HALTED: the clock is {behind_us // 1_000_000} s behind the record"
    office.log("clock_behind", "error", seconds=behind_us // 1_000_000)
    await office.write(lambda txn: office.alert(txn, "halt", "clock", text))
    await office.apply_halts()
