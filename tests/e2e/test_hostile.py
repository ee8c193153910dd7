"""Hostile strategies under a real daemon: each run ends in a clear state, its neighbour misses no bar.

The gate sees a quiet file: the attack is armed by a parameter of the run, as a patient attacker would do.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from support.installation import STRATEGIES, Installation, first_bars

HEAD = """
import os, re, socket, sys

from inalpha import Bar, Strategy


class Attack(Strategy):
    which: int = -1

    def on_bar(self, bar: Bar) -> None:
        if bar.sequence != 5:
            return
"""
BRANCH = """        if self.which == {number}:
            {attack}
"""

# name: (attack, code of the ended run, words that the operator reads)
ATTACKS: dict[str, tuple[str, str, str]] = {
    "read the ledger": ("self.log(open({ledger!r}, 'rb').read(99).hex())", "exception", "PermissionError"),
    "write the latch": ("open({latch!r}, 'a').write('x')", "exception", "PermissionError"),
    "open a socket": ("socket.create_connection(('127.0.0.1', 9))", "exception", "PermissionError"),
    "fork": ("os.fork()", "exception", "PermissionError"),
    "allocate 4 GB": ("self.log(str(len(bytearray(4 << 30))))", "memory", "128 MiB"),
    "loop for ever": ("while True: pass", "deadline", "busy"),
    "loop in a regular expression": ("re.match(r'(a+)+$', 'a' * 64 + '!')", "deadline", "busy"),
    "write to other descriptors": ("[os.write(fd, b'x') for fd in range(3, 64)]", "protocol", ""),
    "100,000 orders in a bar": ("[self.buy(1) for _ in range(100_000)]", "exception", "at most 16"),
    "exit": ("os._exit(0)", "exit", "ended by itself"),
    "flood stdout": ("[print('x' * 1000) for _ in range(100_000)]", "output", "64 KiB"),
    "a forbidden system call": (
        "__import__('ctypes').CDLL(None).syscall(101, 0, 0, 0, 0)", "sigsys", "forbidden"
    ),
}  # fmt: skip


def write_attacks(home: Installation, folder: Path) -> Path:
    """One file that holds every attack; a run's parameter chooses."""
    text = HEAD
    for number, (attack, _, _) in enumerate(ATTACKS.values()):
        made = attack.format(ledger=str(home.home / "ledger.db"), latch=str(home.home / "halt.latch"))
        text += BRANCH.format(number=number, attack=made)
    file = folder / "attacks.py"
    file.write_text(text)
    return file


# An exception, late, and a forbidden call: the three ways in which most of them end.
SOME = ("read the ledger", "loop for ever", "a forbidden system call")


@pytest.mark.parametrize(
    "names", [SOME, pytest.param(tuple(ATTACKS), marks=pytest.mark.campaign)], ids=["some", "all"]
)
def test_each_attack_is_contained_and_told_while_the_neighbour_trades_on(
    installation: Installation, tmp_path: Path, names: tuple[str, ...]
) -> None:
    home = installation
    neighbour = home.promote(STRATEGIES / "fast_cross.py")
    calm = home.run(neighbour, first_bars("IBM-1d.csv", 80, tmp_path / "calm.csv"), "max", "IBM")
    home("run", "wait", calm, "--timeout", "60")
    expected = home.fills(calm)
    beside = home.run(
        neighbour, first_bars("MSFT-1d-adjusted.csv", 2500, tmp_path / "msft.csv"), "30", "MSFT"
    )

    bars = first_bars("GOOG-1d.csv", 12, tmp_path / "goog.csv")
    candidate = home.promote(write_attacks(home, tmp_path))
    for number, (name, (_, code, words)) in enumerate(ATTACKS.items()):
        if name not in names:
            continue
        run = home.run(candidate, bars, "max", "GOOG", "--param", f"which={number}")
        found = home.json("run", "wait", run, "--state", "failed", "--timeout", "30")
        assert found["bars"] <= 6 and found["fills"] == 0, (name, found)
        assert found["pid"] is None
        assert found["reason"] == code, (name, found["reason"], found["error"])
        assert words in found["error"], (name, found["error"])
        if code in ("protocol", "sigsys"):
            assert run in home("report"), name
    assert home.json("run", "show", beside)["state"] == "running"
    assert (home.home / "halt.latch").read_bytes() == b""
    again = home.run(neighbour, tmp_path / "calm.csv", "max", "IBM")
    home("run", "wait", again, "--timeout", "60")
    assert home.fills(again) == expected != []
    home("run", "stop", beside)
    steps = home.json("run", "show", beside)["bars"]
    log = [json.loads(line) for line in home("run", "log", beside, "--json").splitlines()]
    taken = [entry["bar"] for entry in log if entry["kind"] == "bar"]
    # Each bar once and none missed; a position that it left may have been stepped on since.
    assert 0 < steps <= len(taken) and taken == list(range(len(taken)))
    home("audit", "verify")
