"""daemon.json as the daemon keeps it: announced, replaced in one move, withdrawn; and starting one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from dataclasses import asdict

from inalpha.client.presence import (
    RUNNING,
    STARTING,
    STOPPING,
    Presence,
    find,
    presence_path,
    require,
    start_ticks,
)
from inalpha.model.errors import TryAgain
from inalpha.model.home import Home

__all__ = [
    "RUNNING",
    "STARTING",
    "STOPPING",
    "Presence",
    "announce",
    "find",
    "require",
    "start_background",
    "start_ticks",
    "withdraw",
]


def announce(home: Home, presence: Presence) -> None:
    """Replace the file in one move."""
    temporary = home.root / "daemon.json.new"
    temporary.write_text(json.dumps(asdict(presence)), encoding="utf-8")
    os.replace(temporary, presence_path(home))


def withdraw(home: Home) -> None:
    """The last act of a clean stop."""
    presence_path(home).unlink(missing_ok=True)


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
