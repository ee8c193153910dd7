"""A mandate ends by the host's clock, also while its replay holds for a person."""

from __future__ import annotations

from pathlib import Path

from support.installation import STRATEGIES, Installation, first_bars, until


def test_an_expired_mandate_ends_its_run_and_its_waiting_plan(
    installation: Installation, tmp_path: Path
) -> None:
    home = installation
    candidate = home.promote(STRATEGIES / "fast_cross.py")
    bars = first_bars("GOOG-1d.csv", 80, tmp_path / "goog.csv")
    run = home.run(candidate, bars, "max", "GOOG", "--approval", "human", "--expires", "3s")
    (plan,) = until(lambda: home.items("plan", "list", "--state", "pending"), what="a pending plan")
    until(lambda: home.json("run", "show", run)["state"] == "stopped", what="the mandate's end")
    assert home.json("run", "show", run)["reason"] == "mandate_expired"
    home("plan", "approve", plan["plan"], code=4)
    assert home.items("plan", "list")[0]["state"] == "cancelled"
    assert home.json("replay", run)["divergence"] is None
    home("audit", "verify")
