"""A clock set back and a disk that fills: halted or blocked before an order executes, while reading works."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.installation import STRATEGIES, Installation, first_bars, until


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Installation]:
    made = Installation(tmp_path / "home")
    made.init()
    yield made
    made.stop()


def set_floor(home: Installation, before: int, mib: int) -> None:
    config = home.home / "inalpha.toml"
    config.write_text(config.read_text().replace(f"floor_mib = {before}", f"floor_mib = {mib}"))


@pytest.mark.parametrize("runs", [0, pytest.param(1, marks=pytest.mark.campaign)])
def test_daemon_halts_when_the_clock_is_set_back(home: Installation, tmp_path: Path, runs: int) -> None:
    offset = tmp_path / "offset"
    offset.write_text("0")
    with (home.home / "test.log").open("ab") as log:
        home.daemon = subprocess.Popen(
            [sys.executable, "-m", "support.skewed", str(home.home), str(offset)],
            stdout=log, stderr=log, stdin=subprocess.DEVNULL, cwd="/",
            env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])},
        )  # fmt: skip
    until(home._is_ready, what="the daemon")
    if runs:
        candidate = home.promote(STRATEGIES / "fast_cross.py")
        run = home.run(candidate, first_bars("GOOG-1d.csv", 2000, tmp_path / "bars.csv"), "5")
        until(lambda: home.json("run", "show", run)["bars"] >= 3, what="the first bars")
    moved = offset.with_suffix(".new")
    moved.write_text("-3600000000")
    moved.rename(offset)
    until(lambda: home.json("status")["halt"] == "HALTED", what="the halt")
    kinds = [line["kind"] for line in map(json.loads, home("audit", "log", "--json").splitlines())]
    at = kinds.index("halt.set")
    assert kinds[at - 1] == "clock.step"
    if runs:
        until(lambda: home.json("run", "show", run)["halt"] == "HALTED", what="the run's halt")
    home.stop()
    home("audit", "verify")


@pytest.mark.parametrize("enters", [False, pytest.param(True, marks=pytest.mark.campaign)])
def test_below_the_floor_no_entry_and_below_a_quarter_halted(
    home: Installation, tmp_path: Path, enters: bool
) -> None:
    free = shutil.disk_usage(home.home).free >> 20
    if free * 8 > 1_000_000:
        pytest.skip("more free space than a floor can name")
    if enters:
        set_floor(home, 1024, free * 2)
        home.start()
        candidate = home.promote(STRATEGIES / "fast_cross.py")
        run = home.run(candidate, first_bars("GOOG-1d.csv", 320, tmp_path / "bars.csv"))
        home("run", "wait", run, "--timeout", "60")
        assert home.fills(run) == []
        decisions = home.items("decisions", "--run", run)
        assert decisions and {item["code"] for item in decisions if item["outcome"] != "rejected"} == {
            "DISK_FLOOR"
        }
        home.stop()
    set_floor(home, free * 2 if enters else 1024, free * 8)
    home.start()
    until(lambda: home.json("status")["halt"] == "HALTED", what="the halt")
    home("audit", "verify")
