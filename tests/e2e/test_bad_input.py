"""Bad input gets a clear error with the fix, and changes nothing."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from support.installation import STRATEGIES, Installation, first_bars, inalpha, secret_file, until

GOOD = "from inalpha import Strategy\n\nclass A(Strategy):\n    def on_bar(self, bar):\n        pass\n"
BAD_FILES = {
    "syntax": ("from inalpha import Strategy\nclass A(Strategy)\n", "line 2"),
    "two": (GOOD + "\nclass B(Strategy):\n    def on_bar(self, bar):\n        pass\n", "Strategy"),
    "none": ("x = 1\n", "Strategy"),
    "async": (GOOD.replace("def on_bar", "async def on_bar"), "on_bar"),
}
HEADER = "time,open,high,low,close,volume\n"
ROW1, ROW2 = "2024-01-01,10,11,9,10,5\n", "2024-01-02,10,11,9,10,5\n"
BAD_BARS = {
    "missing column": ("time,open,high,low,close\n2024-01-01,1,1,1,1\n", "line 1"),
    "unsorted": (HEADER + ROW2 + ROW1, "line 3"),
    "duplicate": (HEADER + ROW1 + "2024-01-01,10,12,9,10,5\n" + ROW2, "line 3"),
    "not a number": (HEADER + ROW1 + "2024-01-02,10,nan,9,10,5\n", "line 3"),
    "high below low": (HEADER + ROW1 + "2024-01-02,10,9,11,10,5\n", "line 3"),
    "not positive": (HEADER + ROW1 + "2024-01-02,10,11,0,10,5\n", "line 3"),
    "empty": (HEADER, "no bars"),
}


@pytest.mark.parametrize("name", BAD_FILES)
def test_a_file_that_is_no_strategy_is_refused(tmp_path: Path, name: str) -> None:
    source, told = BAD_FILES[name]
    file = tmp_path / "strategy.py"
    file.write_text(source)
    bars = first_bars("GOOG-1d.csv", 50, tmp_path / "GOOG.csv")
    found = inalpha(tmp_path / "none", "backtest", str(file), "--bars", str(bars))
    assert found.returncode == 4
    assert told in found.stderr and found.stderr.startswith("error: ")


@pytest.mark.parametrize("name", BAD_BARS)
def test_a_defect_in_bars_is_named_by_its_line(tmp_path: Path, name: str) -> None:
    content, told = BAD_BARS[name]
    (tmp_path / "strategy.py").write_text(GOOD)
    (tmp_path / "bars.csv").write_text(content)
    found = inalpha(
        tmp_path / "none", "backtest", str(tmp_path / "strategy.py"), "--bars", str(tmp_path / "bars.csv"),
        "--timeframe", "1d", "--json",
    )  # fmt: skip
    error = json.loads(found.stdout)["error"]
    assert found.returncode != 0 and told in error["message"] and error["fix"] is not None


def test_an_unknown_timeframe_is_named(tmp_path: Path) -> None:
    (tmp_path / "strategy.py").write_text(GOOD)
    bars = first_bars("GOOG-1d.csv", 50, tmp_path / "GOOG.csv")
    found = inalpha(
        tmp_path / "none", "backtest", str(tmp_path / "strategy.py"), "--bars", str(bars), "--timeframe", "7m"
    )
    assert found.returncode != 0 and "UNKNOWN_TIMEFRAME" in found.stderr and "15m" in found.stderr


def test_nothing_that_is_refused_changes_the_ledger(installation: Installation, tmp_path: Path) -> None:
    home = installation
    size = home.json("status")["audit"]["size"]
    for name, (source, _) in BAD_FILES.items():
        file = tmp_path / f"{name}.py"
        file.write_text(source)
        home("candidate", "submit", str(file), "--rationale", "does not matter here", code=4)
    assert home.json("status")["audit"]["size"] == size


def test_a_second_daemon_is_refused_and_writes_nothing(installation: Installation) -> None:
    size = installation.json("status")["audit"]["size"]
    found = inalpha(installation.home, "--daemon")
    assert found.returncode == 4 and "LEDGER_LOCKED" in found.stderr
    assert installation.json("status")["audit"]["size"] == size


def test_a_wrong_passphrase_is_refused(tmp_path: Path) -> None:
    home = Installation(tmp_path / "home")
    right = secret_file(tmp_path / "right", "correct horse battery\n")
    wrong = secret_file(tmp_path / "wrong", "incorrect horse battery\n")
    home("init", "--operator", "alice", "--passphrase-file", str(right))
    home.start()
    try:
        told = home("agent", "add", "claude", "--passphrase-file", str(wrong), code=4)
        assert "PASSPHRASE" in told
        assert home.items("agent", "list") == []
        home("agent", "add", "claude", "--passphrase-file", str(right))
        assert [item["principal"] for item in home.items("agent", "list")] == ["agent:claude"]
    finally:
        home.stop()


def test_a_decided_plan_cannot_be_decided_again(installation: Installation, tmp_path: Path) -> None:
    home = installation
    candidate = home.promote(STRATEGIES / "fast_cross.py")
    bars = first_bars("GOOG-1d.csv", 80, tmp_path / "goog.csv")
    run = home.run(candidate, bars, "max", "GOOG", "--approval", "human")
    (plan,) = until(lambda: home.items("plan", "list", "--state", "pending"), what="a pending plan")
    home("run", "wait", run, "--timeout", "0.2", code=5)
    assert home.json("plan", "approve", plan["plan"])["outcome"] == "working"
    told = home("plan", "approve", plan["plan"], code=4)
    assert "op:alice" in told
    assert "PLAN_STATE" in home("plan", "reject", plan["plan"], "--reason", "too late", code=4)
    until(lambda: home.fills(run), what="the approved fill")
    assert home.items("fills", "--run", run)[0]["approved_by"] == "op:alice"
    home("plan", "approve", "plan-999", code=4)
    home("audit", "verify")


def test_a_rejected_plan_is_a_named_difference(installation: Installation, tmp_path: Path) -> None:
    home = installation
    candidate = home.promote(STRATEGIES / "fast_cross.py")
    bars = first_bars("GOOG-1d.csv", 33, tmp_path / "goog.csv")
    run = home.run(candidate, bars, "max", "GOOG", "--approval", "human")
    while home.json("run", "show", run)["state"] not in ("stopped", "failed"):
        for plan in home.items("plan", "list", "--state", "pending"):
            home("plan", "reject", plan["plan"], "--reason", "not today")
    compared = home.json("parity", run)
    assert compared["differences"] and compared["unexplained"] == 0
    assert "reject" in compared["differences"][0]["why"]
    assert home.json("replay", run)["divergence"] is None
    home("audit", "verify")


@pytest.mark.parametrize("cash", ["-1", "nan", "1e400", "1000000000000"])
def test_cash_that_no_report_can_hold_is_a_usage_error(tmp_path: Path, cash: str) -> None:
    (tmp_path / "strategy.py").write_text(GOOD)
    bars = first_bars("GOOG-1d.csv", 50, tmp_path / "GOOG.csv")
    found = inalpha(
        tmp_path / "none", "backtest", str(tmp_path / "strategy.py"), "--bars", str(bars), "--cash", cash
    )
    assert found.returncode == 2 and "--cash" in found.stderr and "Traceback" not in found.stderr
