"""The console by keys alone: real daemon, real broker, real terminal of 80x24, a key behind a passphrase."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.installation import STRATEGIES, Installation, first_bars, secret_file, until

pytestmark = pytest.mark.skipif(shutil.which("tmux") is None, reason="tmux is not installed")
PASSPHRASE = "correct horse 7 lamps"
# Bold, dim, underlined and reversed; tmux itself names the default colours.
PLAIN = set("01247") | {"", "39", "49"}


class Terminal:
    """One tmux server of its own, so that no other session is touched."""

    def __init__(self, socket: Path) -> None:
        self._base = ["tmux", "-S", str(socket), "-f", "/dev/null"]

    def _tmux(self, *args: str) -> str:
        return subprocess.run([*self._base, *args], capture_output=True, text=True, check=False).stdout

    def open(self, *command: str) -> None:
        self._tmux("new-session", "-d", "-s", "c", "-x", "80", "-y", "24", *command)
        self._tmux("set-option", "-g", "remain-on-exit", "on")

    def keys(self, *names: str) -> None:
        for name in names:
            self._tmux("send-keys", "-t", "c", name)

    def text(self, text: str) -> None:
        self._tmux("send-keys", "-t", "c", "-l", text)

    def burst(self, text: str) -> None:
        """One write, read by a console that was away meanwhile: every key waits in the queue before the first acts."""
        pid = int(self._tmux("display-message", "-p", "-t", "c", "#{pane_pid}"))
        os.kill(pid, signal.SIGSTOP)
        self.text(text)
        os.kill(pid, signal.SIGCONT)

    def screen(self, *options: str) -> str:
        return self._tmux("capture-pane", "-p", "-t", "c", *options)

    def wait(self, pattern: str, timeout_s: float = 20.0) -> str:
        """The screen, once the pattern is on it."""
        try:
            until(lambda: re.search(pattern, self.screen()), timeout_s, pattern)
        except AssertionError as error:
            raise AssertionError(f"{pattern!r} never came:\n{self.screen()}") from error
        return self.screen()

    def close(self) -> None:
        self._tmux("kill-server")


@pytest.fixture
def terminal(tmp_path: Path) -> Iterator[Terminal]:
    found = Terminal(tmp_path / "tmux")
    yield found
    found.close()


@pytest.fixture
def sealed(tmp_path: Path) -> Iterator[Installation]:
    """A home whose operator key needs a passphrase, with a run that waits for a person."""
    found = Installation(tmp_path / "home")
    secret = secret_file(tmp_path / "passphrase", PASSPHRASE + "\n")
    signed = ("--passphrase-file", str(secret))
    found.json("init", "--operator", "alice", *signed)
    with (found.home / "inalpha.toml").open("a") as file:
        file.write('\n[instruments.GOOG]\ncalendar = "weekdays"\n')
    found.start()
    name = found.json(
        "candidate", "submit", str(STRATEGIES / "fast_cross.py"), "--rationale", "a trend", *signed
    )["candidate"]
    found("candidate", "promote", name, "--reason", "read it", *signed)
    bars = first_bars("GOOG-1d.csv", 200, tmp_path / "bars.csv")
    found.run(name, bars, "max", "GOOG", "--approval", "human", *signed)
    until(lambda: found.items("plan", "list", "--state", "pending"), what="a pending plan")
    yield found
    found.stop()


def console(home: Path, *environment: str) -> tuple[str, ...]:
    return ("env", f"PYTHONPATH={os.environ.get('PYTHONPATH', '')}", "TERM=screen-256color", *environment,
            sys.executable, "-m", "inalpha", "--home", str(home))  # fmt: skip


def test_unlock_approve_leave_and_come_back(sealed: Installation, terminal: Terminal) -> None:
    (plan,) = sealed.items("plan", "list", "--state", "pending")
    terminal.open(*console(sealed.home))
    terminal.wait(rf"▶{plan['plan']} ")
    terminal.wait(r"PAPER ● .* bus ● .* alice locked")
    terminal.keys("a")
    terminal.wait("locked: U unlocks")
    terminal.keys("U")
    terminal.wait("UNLOCK op:alice")
    terminal.text(PASSPHRASE)
    terminal.keys("Enter")
    terminal.wait(r"alice key 15m")
    terminal.keys("Enter")
    card = terminal.wait("recomputed here ✓")
    assert "BUY" in card and plan["digest"][-4:] in card
    assert card.splitlines()[0].startswith(" PAPER ●")
    terminal.keys("a")
    terminal.wait("reading time")
    until(lambda: "reading time" not in terminal.screen(), what="the armed panel")
    for place, letter in enumerate(plan["digest"][-4:], 1):
        terminal.keys(letter)
        if place < 4:
            terminal.wait(r"\[ " + " ".join(plan["digest"][-4:][:place]) + " _")
            # Longer than the window in which equal letters count as one held key.
            time.sleep(0.08)
    terminal.wait(r"APPROVED by op:alice")
    terminal.wait(r"filled \S+ at")
    terminal.keys("q")
    terminal.wait(r"(1 run keeps|\d runs keep) running, daemon pid \d+")
    assert sealed.daemon is not None and sealed.daemon.poll() is None
    terminal.close()

    fills = sealed.items("fills")
    assert fills and fills[0]["plan"] == plan["plan"] and fills[0]["approved_by"] == "op:alice"
    terminal.open(*console(sealed.home))
    terminal.wait(r"bus ●")
    terminal.keys("4")
    terminal.wait(r"SINCE YOU LEFT")
    terminal.wait(r"✓ filled")
    terminal.keys("F10")
    terminal.wait(r"F10 again = HALTED")
    terminal.keys("F10")
    terminal.wait(r"HALTED all")
    assert sealed.json("status")["halt"] == "HALTED"


def test_a_burst_of_keys_decides_nothing(sealed: Installation, terminal: Terminal) -> None:
    """Behind / and ^p everything is text, and no key acts in a panel that its own burst opened."""
    terminal.open(*console(sealed.home, "NO_COLOR=1"))
    terminal.wait(r"bus ● .* alice locked")
    escapes = set(re.findall(r"\x1b\[([0-9;]*)m", terminal.screen("-e")))
    assert escapes and {code for found in escapes for code in found.split(";")} <= PLAIN
    terminal.burst("/PsqUTL1234" + "qapS5678" * 4)
    terminal.wait(r"/PsqUTL1234qapS5678")
    terminal.keys("Escape")
    terminal.wait(r"▶plan-1 ")
    terminal.burst("\x10quit\r")
    terminal.wait(r"(?s)COMMANDS.* quit ")
    terminal.keys("Escape")
    terminal.wait(r"▶plan-1 ")
    terminal.wait(r"PAPER ● ")  # before the daemon's first beat, stopping a run is off
    terminal.burst("2s\x13")
    terminal.wait("STOP run-1")
    assert sealed.items("run", "list")[0]["state"] == "running"
