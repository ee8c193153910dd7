"""The position guard on a real paper account: its exit needs no strategy and no person, and is on the record."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.daily import write_daily
from support.installation import Installation, until

HOLD = """from inalpha import Strategy


class Hold(Strategy):
    def on_bar(self, bar):
        if bar.sequence == 1:
            self.buy(5, reason="in")
        elif bar.sequence > 1 and not self.position.is_flat and not self.orders:
            self.buy(1, reason="lower is cheaper")
"""


def falling(path: Path) -> Path:
    return write_daily(path, [100.0, 100.0, 100.0, 96.0, 91.0, 86.0, 79.0, 75.0, 75.0, 75.0])


@pytest.mark.parametrize("approval", ["machine", pytest.param("human", marks=pytest.mark.campaign)])
def test_a_loss_of_a_fifth_is_closed_by_the_guard(
    installation: Installation, tmp_path: Path, approval: str
) -> None:
    home = installation
    (tmp_path / "hold.py").write_text(HOLD)
    candidate = home.promote(tmp_path / "hold.py")
    run = home.run(candidate, falling(tmp_path / "FALL.csv"), "max", "FALL", "--approval", approval)
    if approval == "human":
        until(lambda: home.items("plan", "list", "--state", "pending"), what="the entry's plan")
        home("plan", "approve", home.items("plan", "list", "--state", "pending")[0]["plan"])
        until(lambda: home.json("run", "show", run)["bars"] > 2, what="bars after the entry")
        while home.json("run", "show", run)["state"] == "running":
            for plan in home.items("plan", "list", "--state", "pending"):
                home("plan", "reject", plan["plan"], "--reason", "no more of it")
    home("run", "wait", run, "--timeout", "30")
    fills = home.items("fills")
    assert [(fill["side"], fill["reason"]) for fill in fills][-1] == ("sell", "HARD_STOP")
    assert fills[-1]["approved_by"] == "system:live_runner"
    assert home.json("run", "show", run)["position"] == "0"
    exits = [plan for plan in home.items("plan", "list") if plan["proposed_by"] == "system:risk"]
    assert [plan["state"] for plan in exits] == ["executed"]
    assert home.json("replay", run)["divergence"] is None
    home("audit", "verify")


def test_under_halted_the_exit_is_a_plan_until_the_resume(installation: Installation, tmp_path: Path) -> None:
    """Bars go on beside the plan. Approved too early it stays; under REDUCING the guard itself takes its place."""
    home = installation
    (tmp_path / "hold.py").write_text(HOLD)
    candidate = home.promote(tmp_path / "hold.py")
    closes = [100.0] * 250 + [96.0, 91.0, 86.0, 79.0, 75.0] + [75.0] * 640
    run = home.run(candidate, write_daily(tmp_path / "FALL.csv", closes), "10", "FALL")
    until(lambda: home.json("run", "show", run)["fills"], what="the position")
    home("halt", "--run", run, "--reason", "let me look")
    (plan,) = until(lambda: home.items("plan", "list", "--state", "pending"), 120, "the guard's plan")
    assert (plan["proposed_by"], plan["side"]) == ("system:risk", "sell")
    assert any(row.startswith("HARD_STOP: its exit waits") for row in home.json("report")["alerts"])
    assert "HALTED" in home("plan", "approve", plan["plan"], code=4)
    assert home.json("plan", "show", plan["plan"])["state"] == "pending"
    home("resume", run, "--reducing", "--reason", "close it")
    until(lambda: home.json("run", "show", run)["position"] == "0", what="a flat book")
    assert home.json("plan", "show", plan["plan"])["code"] == "HARD_STOP"  # the guard may act again, and did
    assert home.items("fills", "--run", run)[-1]["reason"] == "HARD_STOP"
    home("run", "stop", run)
    assert home.json("replay", run)["divergence"] is None
    home("audit", "verify")
