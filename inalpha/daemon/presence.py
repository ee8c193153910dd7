"""daemon.json: who supervises this home, so that clients find its bus and can tell dead from alive."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path

from inalpha.model.errors import NoDaemon, TryAgain
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


def start_ticks(pid: int) -> int | None:
    """Start time of a process in clock ticks since boot; None when it is gone. Source: proc(5)."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    fields = text.rpartition(")")[2].split()
    return None if fields[0] == "Z" else int(fields[19])


def _file(home: Home) -> Path:
    return home.root / "daemon.json"


def announce(home: Home, presence: Presence) -> None:
    """Replace the file in one move."""
    temporary = home.root / "daemon.json.new"
    temporary.write_text(json.dumps(asdict(presence)), encoding="utf-8")
    os.replace(temporary, _file(home))


def withdraw(home: Home) -> None:
    """The last act of a clean stop."""
    _file(home).unlink(missing_ok=True)


def find(home: Home) -> Presence | None:
    """The living daemon of this home; None when there is none, whatever a stale file says."""
    try:
        presence = Presence(**json.loads(_file(home).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None
    return presence if start_ticks(presence.pid) == presence.start_ticks else None


def require(home: Home) -> Presence:
    """The living daemon, or NoDaemon (exit 3) with the command that starts one."""
    presence = find(home)
    if presence is None:
        raise NoDaemon(
            "NO_DAEMON", f"no daemon runs on {home.root}.", f"Start one: inalpha --home {home.root} --daemon"
        )
    return presence


def start_background(home: Home, timeout_s: float = 30.0) -> Presence:
    """Start a daemon in its own session, so that a hang-up cannot stop trading, and wait until it runs.

    Raises TryAgain when it did not get ready; the message carries the end of its log.
    """
    home.log.mkdir(mode=0o700, exist_ok=True)
    with open(home.log / "daemon.log", "ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "inalpha.daemon", "--home", str(home.root)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            cwd="/",
        )
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        presence = find(home)
        if presence is not None and presence.state == RUNNING:
            return presence
        if process.poll() is not None:
            break
        time.sleep(0.02)
    tail = (home.log / "daemon.log").read_text(encoding="utf-8", errors="replace").splitlines()[-3:]
    code = process.poll()
    raise TryAgain(
        "DAEMON_START",
        f"the daemon did not get ready (exit code {code}): " + " | ".join(tail),
        f"See {home.log / 'daemon.log'}",
        exit_code=code if code in (4, 6, 78) else None,
    )
