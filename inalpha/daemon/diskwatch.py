"""Free space of the home: below the floor no entries, below a quarter of it HALTED, both before SQLite fails."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import TYPE_CHECKING

from inalpha.daemon import blocks
from inalpha.ledger.txn import Txn
from inalpha.model.principals import DAEMON
from inalpha.model.risk import Block
from inalpha.model.states import HaltState

if TYPE_CHECKING:
    from inalpha.daemon.office import Office

DISK = "DISK_FLOOR"
EVERY_S = 1.0


def free_mib(path: Path) -> int:
    """What this user may still write there."""
    found = os.statvfs(path)
    return found.f_bavail * found.f_frsize >> 20


async def watch_disk(office: Office) -> None:
    """Each second. The block ends with its cause; the halt is a person's to end."""
    floor = office.config.disk.floor_mib
    was_low = False
    while floor:
        free = free_mib(office.home.root)
        is_low = free < floor
        if is_low or was_low:
            await office.write(lambda txn, free=free, low=is_low: _apply(office, txn, free, low=low))  # type: ignore[misc]
        if is_low != was_low:
            office.log("disk", "warning" if is_low else "info", free_mib=free, floor_mib=floor)
        if free * 4 < floor:
            await office.apply_halts()
        was_low = is_low
        await asyncio.sleep(EVERY_S)


def _apply(office: Office, txn: Txn, free: int, *, low: bool) -> None:
    """On the writer's thread: the books' blocks, and with a quarter of the floor left the halt."""
    floor, accounts = office.config.disk.floor_mib, office.accounts
    others = blocks.without(accounts.blocks_of_all, (DISK,))
    if low and blocks.lacks(accounts.blocks_of_all, DISK):
        office.alert(txn, "disk", "home", f"{free} MiB are free, the floor is {floor}: entries are blocked")
    text = f"{free} MiB of the home's disk are free, the floor is {floor}"
    found = Block(DISK, "block", str(free), str(floor), "MiB free", "disk.floor_mib", text)
    accounts.blocks_of_all = (*others, found) if low else others
    if free * 4 < floor and accounts.scope_state("all").severity < HaltState.HALTED.severity:
        reason = f"{free} MiB are free, a quarter of the floor of {floor} is {floor // 4}"
        office.set_halt(txn, "all", None, None, HaltState.HALTED, DAEMON, reason)
        office.alert(txn, "halt", "disk", f"HALTED: {reason}")
