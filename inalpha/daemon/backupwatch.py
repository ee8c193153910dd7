"""The daily backup: made by a process of its own at low priority, verified by it, and pruned to days and weeks."""

from __future__ import annotations

import asyncio
import os
import re
import sqlite3
import sys
import time
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from inalpha.audit.event import read_event
from inalpha.audit.keys import make_private
from inalpha.daemon.diskwatch import free_mib
from inalpha.ledger.database import BLOBS, LEDGER

if TYPE_CHECKING:
    from inalpha.daemon.office import Office

EVERY_S = 86_400
KEEP_DAYS, KEEP_WEEKS = 7, 4
LOOK_S = 5.0
RETRY_S = 3600.0
_NAME = re.compile(r"inalpha-(\d{8}T\d{6})Z\.tar\Z")
_FORM = "%Y%m%dT%H%M%S"


def made_at(path: Path) -> datetime | None:
    """When a file of ours was made, by its name; None for any other file."""
    found = _NAME.match(path.name)
    try:
        return datetime.strptime(found[1], _FORM).replace(tzinfo=UTC) if found else None
    except ValueError:
        return None


def backups_of(folder: Path) -> dict[Path, datetime]:
    """The daily backups that are there, newest first."""
    found = {path: when for path in folder.glob("*.tar") if (when := made_at(path)) is not None}
    return dict(sorted(found.items(), key=lambda item: item[1], reverse=True))


def superfluous(found: Iterable[tuple[Path, datetime]]) -> list[Path]:
    """What goes: all but the newest of each of the last 7 days and of the last 4 weeks that have one."""
    days: dict[object, Path] = {}
    weeks: dict[object, Path] = {}
    ordered = sorted(found, key=lambda item: item[1], reverse=True)
    for path, when in ordered:
        days.setdefault(when.date(), path)
        weeks.setdefault(when.isocalendar()[:2], path)
    kept = {*list(days.values())[:KEEP_DAYS], *list(weeks.values())[:KEEP_WEEKS]}
    return [path for path, _ in ordered if path not in kept]


async def watch_backups(office: Office) -> None:
    """Once a day from the last backup on, or from the home's first line. A failure is an alert and tried hourly."""
    if not office.config.backup.daily:
        return
    folder = office.home.root / "backups"
    born = await office.write(lambda txn: born_s(txn.conn))
    while not office.stopping:
        newest = next(iter(backups_of(folder).values()), None)
        due = (newest.timestamp() if newest else born) + EVERY_S
        if time.time() < due:
            await asyncio.sleep(min(LOOK_S, max(0.1, due - time.time())))
            continue
        why = await _back_up(office, folder)
        if why:
            text = f"the daily backup failed: {why}"
            await office.write(lambda txn, text=text: office.alert(txn, "backup", "home", text))  # type: ignore[misc]
            office.log("backup", "error", error=why)
            await asyncio.sleep(RETRY_S)


async def _back_up(office: Office, folder: Path) -> str:
    """Why there is no new one; "" when there is."""
    root = office.home.root
    make_private(folder)
    size = sum((root / name).stat().st_size for name in (LEDGER, BLOBS)) >> 20
    free, floor = free_mib(root), office.config.disk.floor_mib
    if free < floor + 2 * size:  # a copy to verify, and the file
        return f"{free} MiB are free, it takes {2 * size} above the floor of {floor}"
    target = folder / f"inalpha-{datetime.now(UTC).strftime(_FORM)}Z.tar"
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "inalpha", "--home", str(root), "backup", str(target),
        stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    try:
        os.setpriority(os.PRIO_PROCESS, process.pid, 19)
        _, told = await process.communicate()
    except BaseException:
        process.kill()
        await process.wait()
        raise
    if process.returncode:
        return told.decode("utf-8", "replace").strip()[-300:] or f"exit {process.returncode}"
    for path in superfluous(backups_of(folder).items()):
        path.unlink(missing_ok=True)
    office.log("backup", file=str(target))
    return ""


def born_s(conn: sqlite3.Connection) -> float:
    """When the home's first line was written, seconds since 1970."""
    return read_event(bytes(conn.execute("SELECT entry FROM ev WHERE seq = 0").fetchone()[0])).ts / 1e6
