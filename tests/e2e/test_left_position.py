"""A run that ends with a position is stepped on without its strategy until that position is flat."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from support.daily import write_daily
from support.installation import Installation, inalpha, until

HOLD = """from inalpha import Strategy


class Hold(Strategy):
    fails: bool = False

    def on_bar(self, bar):
        if bar.sequence == 1:
            self.buy(5, reason="in")
        if self.fails and bar.sequence == 4:
            raise RuntimeError("enough")
"""
FLAT, LENGTH = 120, 150


def falling(path: Path) -> Path:
    """Flat for 120 bars, then a slide of 4 % a bar: the guard trips on the sixth."""
    slide = [round(100 * 0.96**n, 2) for n in range(1, LENGTH - FLAT + 1)]
    return write_daily(path, [100.0] * FLAT + slide)


def bars(home: Installation, run: str) -> int:
    found: int = home.json("run", "show", run)["bars"]
    return found


def check(home: Installation, run: str) -> None:
    """The guard's exit came after the run's last line, was approved by the machine, and is provable."""
    until(lambda: home.json("run", "show", run)["position"] == "0", what="the guard's exit")
    fills = [fill for fill in home.items("fills") if fill["run"] == run]
    assert [(fill["side"], fill["reason"]) for fill in fills] == [("buy", "in"), ("sell", "HARD_STOP")]
    lines = [json.loads(text) for text in home("run", "log", run, "--json").splitlines()]
    kinds = [line["input"]["kind"] for line in lines if line["kind"] == "command"]
    assert [kind for kind in kinds if kind in ("stop", "end")] == ["stop", "end"]
    # Flat, nothing is watched any more: the feed has bars left that the run does not take.
    assert bars(home, run) < LENGTH
    assert home.json("run", "show", run)["watched"] is False
    assert home.json("replay", run)["divergence"] is None
    home("parity", run)
    home("audit", "verify")


@pytest.mark.parametrize("ends", [pytest.param("failed", marks=pytest.mark.campaign), "restarted"])
def test_what_a_run_leaves_is_watched_until_it_is_flat(
    installation: Installation, tmp_path: Path, ends: str
) -> None:
    home = installation
    (tmp_path / "hold.py").write_text(HOLD)
    candidate = home.promote(tmp_path / "hold.py")
    more = ("--param", "fails=true") if ends == "failed" else ()
    run = home.run(candidate, falling(tmp_path / "FALL.csv"), "10", "FALL", *more)
    until(lambda: bars(home, run) > 4, what="a position")
    if ends != "failed":
        home("run", "stop", run)
    until(lambda: home.json("run", "show", run)["state"] in ("stopped", "failed"), what="the end")
    shown = home.json("run", "show", run)
    assert (shown["position"], shown["pid"], shown["watched"]) == ("5", None, True)
    # A replay holds while a plan awaits a person, so that however slow the machine is, no bar runs away from here.
    order = ("--symbol", "FALL", "--side", "sell", "--quantity", "1", "--reduce-only", "--rationale", "hold")
    plan = home.json("plan", "create", *order)["plan"]
    if ends == "restarted":
        home.kill("daemon")
        home.start()
    at = bars(home, run)
    until(lambda: is_trading(home, plan), what="the run's return")
    until(lambda: bars(home, run) > at, what="bars without a strategy")
    check(home, run)


def is_trading(home: Installation, plan: str) -> bool:
    """Whether the run took the person's no: one that is still coming back is busy."""
    found = inalpha(home.home, "plan", "reject", plan, "--reason", "go on")
    assert found.returncode == 0 or "RUN_BUSY" in found.stderr, found.stderr
    return found.returncode == 0


@pytest.mark.campaign
def test_the_market_is_free_for_a_new_run_beside_what_an_old_one_left(
    installation: Installation, tmp_path: Path
) -> None:
    home = installation
    (tmp_path / "hold.py").write_text(HOLD)
    candidate = home.promote(tmp_path / "hold.py")
    first = home.run(candidate, falling(tmp_path / "FALL.csv"), "20", "FALL")
    until(lambda: home.json("run", "show", first)["position"] == "5", what="a position")
    home("run", "stop", first)
    second = home.run(candidate, tmp_path / "FALL.csv", "max", "FALL")
    home("run", "wait", second, "--timeout", "30")
    check(home, first)
