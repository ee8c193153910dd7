"""A real installation for end-to-end tests: the `inalpha` command, a real daemon, real processes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

DATA = Path(__file__).parents[2] / "inalpha" / "data"
STRATEGIES = Path(__file__).parents[2] / "inalpha" / "demo" / "strategies"
POLL_S = 0.02


def until(holds: Callable[[], Any], timeout_s: float = 30.0, what: str = "a condition") -> Any:
    """Poll until holds() is truthy and answer it; AssertionError after timeout_s."""
    deadline = time.monotonic() + timeout_s
    while (asked := time.monotonic()) < deadline:
        found = holds()
        if found:
            return found
        # A question that is a process of its own takes a core: as long as it took, the others get it.
        time.sleep(min(max(POLL_S, time.monotonic() - asked), 0.3))
    raise AssertionError(f"{what} did not come within {timeout_s} s")


def secret_file(path: Path, text: str) -> Path:
    """A file that only this user may read, as whatever holds a passphrase or a seed has to be."""
    path.touch(mode=0o600)
    path.chmod(0o600)
    path.write_text(text)
    return path


def inalpha(home: Path, *args: str, timeout_s: float = 120.0, **env: str) -> subprocess.CompletedProcess[str]:
    """Run the command line as a person would."""
    return subprocess.run(
        [sys.executable, "-m", "inalpha", "--home", str(home), *args],
        capture_output=True,
        text=True,
        timeout=timeout_s,
        env={**os.environ, **env},
        stdin=subprocess.DEVNULL,
        check=False,
    )


@dataclass
class Installation:
    """One home with its daemon. Ends every process that it started."""

    home: Path
    daemon: subprocess.Popen[bytes] | None = None
    env: dict[str, str] = field(default_factory=dict)

    def __call__(self, *args: str, code: int = 0) -> str:
        """A verb's stdout; fails the test on another exit code."""
        found = inalpha(self.home, *args, **self.env)
        assert found.returncode == code, (args, found.returncode, found.stdout[-800:], found.stderr[-800:])
        return found.stdout if code == 0 else found.stderr

    def json(self, *args: str) -> Any:
        return json.loads(self(*args, "--json"))

    def items(self, *args: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.json(*args)["items"]
        return found

    def init(self) -> dict[str, Any]:
        """An open key, and the weekday markets of the bundled data."""
        made: dict[str, Any] = self.json("init", "--operator", "alice", "--insecure-no-passphrase")
        with (self.home / "inalpha.toml").open("a") as file:
            for symbol in ("GOOG", "IBM", "AAPL", "MSFT"):
                file.write(f'\n[instruments.{symbol}]\ncalendar = "weekdays"\n')
        return made

    def start(self) -> None:
        with (self.home / "test.log").open("ab") as log:
            self.daemon = subprocess.Popen(
                [sys.executable, "-m", "inalpha", "--home", str(self.home), "--daemon"],
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
                env={**os.environ, **self.env},
                cwd="/",
            )
        until(self._is_ready, what="the daemon")

    def _is_ready(self) -> bool:
        assert self.daemon is not None
        assert self.daemon.poll() is None, (self.home / "test.log").read_text()[-1500:]
        return self.presence().get("state") == "running" and self.presence()["pid"] == self.daemon.pid

    def presence(self) -> dict[str, Any]:
        """What the daemon announces of itself; empty when there is nothing to read."""
        try:
            found: dict[str, Any] = json.loads((self.home / "daemon.json").read_text())
        except (OSError, ValueError):
            return {}
        return found

    def kill(self, name: str, run: str = "") -> None:
        """SIGKILL the daemon, broker, host or a run's runner."""
        presence = self.presence()
        pid = {
            "daemon": lambda: presence["pid"],
            "broker": lambda: presence["broker"]["pid"],
            "host": lambda: presence["hosts"][0]["pid"],
            "runner": lambda: presence["runners"].get(run),
        }[name]()
        if pid:
            os.kill(pid, signal.SIGKILL)
        if name == "daemon":
            assert self.daemon is not None
            self.daemon.wait()

    def stop(self) -> None:
        if self.daemon is not None and self.daemon.poll() is None:
            self.daemon.terminate()
            self.daemon.wait(timeout=15)
        self.daemon = None

    def promote(self, file: Path) -> str:
        """Submit by an agent, promote by the person; answers the candidate's id. The gate gets few bars."""
        if not (self.home / "keys" / "agent" / "claude.key").exists():
            self("agent", "add", "claude")
        few = first_bars("GOOG-1d.csv", 320, self.home / "gate.csv")
        found = self.json("candidate", "submit", str(file), "--agent", "claude", "--rationale",
                          "a rule that a test wants to see running", "--bars", str(few))  # fmt: skip
        name: str = found["candidate"]
        assert found["state"] == "passed", found
        self("candidate", "promote", name, "--reason", "read it")
        return name

    def run(self, candidate: str, bars: Path, speed: str = "max", symbol: str = "GOOG", *more: str) -> str:
        found: str = self.json(
            "run", "start", candidate, "--symbol", symbol, "--timeframe", "1d", "--allocation", "100000",
            "--feed", f"replay:{bars}@{speed}", *more,
        )["run"]  # fmt: skip
        return found

    def lines(self, *kinds: str) -> list[dict[str, Any]]:
        """Lines of these kinds, oldest first, as the log prints them."""
        printed = [json.loads(text) for text in self("audit", "log", "--json").splitlines()]
        rows = [row for line in printed for row in line.get("items", [line])]
        return [row for row in rows if row["kind"] in kinds]

    def fills(self, run: str) -> list[tuple[Any, ...]]:
        """A run's fills without the ledger's own numbers: comparable between runs."""
        names = ("sequence", "time", "side", "quantity", "price", "fee", "reason")
        return [tuple(item[name] for name in names) for item in self.items("fills", "--run", run)]


def first_bars(source: str, count: int, target: Path) -> Path:
    """The first bars of a bundled file as a file of their own."""
    lines = (DATA / source).read_text().splitlines(keepends=True)
    target.write_text("".join(lines[: count + 1]))
    return target
