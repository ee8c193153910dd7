"""daemon.json as clients read it: who supervises this home, where its bus is, dead or alive."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from inalpha.model.errors import NoDaemon
from inalpha.model.home import Home

STARTING, RUNNING, STOPPING = "starting", "running", "stopping"


@dataclass(slots=True)
class Presence:
    """What the daemon says of itself. start_ticks tells a reused pid from the process that wrote it."""

    pid: int
    start_ticks: int
    state: str
    epoch: int
    run_dir: str
    instance: str
    daemon_key: str = ""
    broker: dict[str, object] = field(default_factory=dict)
    hosts: list[dict[str, object]] = field(default_factory=list)
    runners: dict[str, int] = field(default_factory=dict)
    bus: dict[str, str | None] = field(default_factory=dict)

    def endpoint(self) -> dict[str, Any]:
        """Arguments of BusClient that say where the bus is."""
        bus = self.bus
        return {
            "address": bus.get("address") or str(Path(self.run_dir) / "bus.sock"),
            "root": bus.get("root") or "inalpha",
            "ca_file": bus.get("ca_file"),
        }


def start_ticks(pid: int) -> int | None:
    """Start time of a process in clock ticks since boot; None when it is gone. Source: proc(5)."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    fields = text.rpartition(")")[2].split()
    return None if fields[0] == "Z" else int(fields[19])


def presence_path(home: Home) -> Path:
    return home.root / "daemon.json"


def last_said(home: Home) -> Presence | None:
    """What the last daemon of this home said of itself, living or not; None when nothing can be read."""
    try:
        return Presence(**json.loads(presence_path(home).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None


def find(home: Home) -> Presence | None:
    """The living daemon of this home; None when there is none, whatever a stale file says."""
    presence = last_said(home)
    if presence is None or start_ticks(presence.pid) != presence.start_ticks:
        return None
    return presence


def require(home: Home) -> Presence:
    """The living daemon, or NoDaemon (exit 3) with the command that starts one."""
    presence = find(home)
    if presence is None:
        raise NoDaemon(
            "NO_DAEMON", f"no daemon runs on {home.root}.", f"Start one: inalpha --home {home.root} --daemon"
        )
    return presence
