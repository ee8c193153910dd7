"""Runners by what was recorded of them: killed by whoever holds the home, with the daemon hung or gone."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from inalpha.client.presence import last_said, start_ticks
from inalpha.ledger import readers
from inalpha.model.errors import InalphaError
from inalpha.model.home import Home

ORPHANS = "runners.json"  # [pid, start ticks, boot id] of every runner, in the daemon's run folder
DEAD_S = 0.5


def kill_runners(home: Home, scope: Mapping[str, Any], warnings: list[str]) -> int:
    """SIGKILL the runners of a scope and wait until they are gone; answers how many there were.

    Each is killed by its recorded pid and start time, or while the recorded daemon lives and names it.
    """
    said = last_said(home)
    named = said.runners if said is not None and isinstance(said.runners, dict) else {}
    recorded = _recorded(_run_dir(home, said.run_dir if said is not None else None))
    lives = said is not None and start_ticks(said.pid) == said.start_ticks
    pids = {pid for pid in named.values() if isinstance(pid, int) and (pid in recorded or lives)}
    if scope["run"] is not None:
        pids &= {named.get(scope["run"])}
    elif scope["account"] is not None:
        pids &= _of_account(home, scope["account"], named, warnings)
    else:
        pids |= recorded.keys()
    killed = [pid for pid in pids if _kill(pid, recorded.get(pid), warnings)]
    deadline = time.monotonic() + DEAD_S
    while any(start_ticks(pid) is not None for pid in killed) and time.monotonic() < deadline:
        time.sleep(0.005)
    return len(killed)


def _kill(pid: int, start: int | None, warnings: list[str]) -> bool:
    """By a handle, so that nothing else can take the pid between the check and the signal."""
    try:
        handle = os.pidfd_open(pid)
    except OSError:
        return False
    try:
        began = start_ticks(pid)
        if began is None or (start is not None and began != start):
            return False
        signal.pidfd_send_signal(handle, signal.SIGKILL)
    except ProcessLookupError:
        return False
    except PermissionError:
        warnings.append(f"runner pid {pid} is not this user's to kill: run this as the daemon's user or root")
        return False
    finally:
        os.close(handle)
    return True


def _of_account(home: Home, account: str, named: Mapping[str, Any], warnings: list[str]) -> set[Any]:
    """Pids of an account's runs; all of them where nobody can say whose they are: others come back by replay."""
    try:
        reader = readers.open_reader(home.root)
        try:
            reader.execute("PRAGMA busy_timeout = 200")
            return {pid for run, pid in named.items() if readers.run(reader, run)["account"] == account}
        finally:
            reader.close()
    except (sqlite3.Error, OSError, InalphaError):
        warnings.append("whose runners these are cannot be read: all were killed; others' runs come back")
        return set(named.values())


def _run_dir(home: Home, said: str | None) -> Path:
    """As the daemon said, else by the ledger's name, which the last checkpoint holds too."""
    if isinstance(said, str):
        return Path(said)
    try:
        origin = (home.root / "head.checkpoint").read_text(encoding="utf-8", errors="replace")
        return home.run_dir(origin.partition("\n")[0].rpartition("/")[2])
    except (OSError, ValueError):
        return home.root / "run"


def _recorded(run_dir: Path) -> dict[int, int]:
    """pid -> start time of the runners that this boot recorded."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        rows = json.loads((run_dir / ORPHANS).read_text(encoding="utf-8"))
        return {int(pid): int(ticks) for pid, ticks, boot_id in rows if boot_id == boot}
    except (OSError, ValueError, TypeError):
        return {}
