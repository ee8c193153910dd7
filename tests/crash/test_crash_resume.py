"""SIGKILL of any process at any moment: the run ends with the fills and equity of an uninterrupted one."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.installation import STRATEGIES, Installation, first_bars, until
from support.truth import assert_true

BARS = 300
# Slow enough that a random moment falls inside the run, fast enough for a suite.
SPEED = "150"


@pytest.fixture
def ready(installation: Installation, tmp_path: Path) -> Iterator[tuple[Installation, str, Path]]:
    candidate = installation.promote(STRATEGIES / "fast_cross.py")
    yield installation, candidate, first_bars("GOOG-1d.csv", BARS, tmp_path / "goog.csv")


def _outcome(home: Installation, run: str) -> tuple[object, ...]:
    shown = home.json("run", "show", run)
    return home.fills(run), shown["equity"], shown["bars"], shown["journal_head"] is not None


def _interrupted(
    home: Installation, candidate: str, bars: Path, victim: str, seed: int
) -> tuple[object, ...]:
    """One run with one kill at a random moment of it."""
    generator = random.Random(seed)
    run = home.run(candidate, bars, SPEED)
    wanted = generator.randrange(1, BARS - 20)
    until(lambda: home.json("run", "show", run)["bars"] >= wanted, what=f"bar {wanted}")
    time.sleep(generator.random() / 50)  # any instant between two bars, or inside one
    home.kill(victim, run)
    if victim == "daemon":
        home.start()
    home("run", "wait", run, "--timeout", "60")
    return _outcome(home, run)


@pytest.mark.parametrize("victim", ["daemon", "broker", "host", "runner"])
def test_a_kill_changes_neither_fills_nor_equity(ready: tuple[Installation, str, Path], victim: str) -> None:
    home, candidate, bars = ready
    calm = home.run(candidate, bars)
    home("run", "wait", calm, "--timeout", "60")
    expected = _outcome(home, calm)
    assert expected[2] == BARS and len(home.fills(calm)) == 11
    assert _interrupted(home, candidate, bars, victim, seed=7) == expected
    orders = [item["order"] for item in home.items("fills")]
    assert len(orders) == len(set(orders))
    home("audit", "verify")
    assert_true(home.home)


@pytest.mark.campaign
@pytest.mark.parametrize("victim", ["daemon", "broker", "host", "runner"])
def test_twenty_kills_at_random_moments(tmp_path: Path, victim: str) -> None:
    """A home per kill: positions that finished runs leave open would meet the account's limits."""
    bars = first_bars("GOOG-1d.csv", BARS, tmp_path / "goog.csv")
    expected: tuple[object, ...] | None = None
    for seed in range(20):
        home = Installation(tmp_path / f"home{seed}")
        home.init()
        home.start()
        try:
            candidate = home.promote(STRATEGIES / "fast_cross.py")
            if expected is None:
                calm = home.run(candidate, bars)
                home("run", "wait", calm, "--timeout", "60")
                expected = _outcome(home, calm)
            assert _interrupted(home, candidate, bars, victim, seed) == expected, f"seed {seed}"
            orders = [item["order"] for item in home.items("fills")]
            assert len(orders) == len(set(orders))
            home("audit", "verify")
        finally:
            home.stop()
