"""risk.toml under a running daemon: tighter binds by itself, looser waits for a signature."""

from __future__ import annotations

from pathlib import Path

from support.daily import write_daily
from support.installation import Installation, until


def _in_force(home: Installation) -> str:
    found: str = home.json("risk", "show")["controls"]["max_order"]["equity_pct"]
    return found


def _write(home: Installation, percent: str) -> None:
    file = home.home / "risk.toml"
    text = file.read_text()
    before = next(line for line in text.splitlines() if line.startswith("equity_pct"))
    file.write_text(text.replace(before, f"equity_pct = {percent}"))


def test_tighter_binds_when_saved_and_looser_when_signed(installation: Installation) -> None:
    home = installation
    assert _in_force(home) == "10"
    _write(home, "7")
    until(lambda: _in_force(home) == "7", what="the tighter limit")
    _write(home, "12")
    home("risk", "check", str(home.home / "risk.toml"))
    size = home.json("status")["audit"]["size"]
    found = home.json("risk", "apply")
    assert found["loosened"] == "controls.max_order.equity_pct"
    assert _in_force(home) == "12"
    assert home.json("status")["audit"]["size"] == size + 1
    (home.home / "risk.toml").write_text("schema = 1\n[controls.max_ordr]\nequity_pct = 1\n")
    until(lambda: "risk_file" in (home.home / "test.log").read_text(), what="the log of a broken file")
    assert _in_force(home) == "12"
    assert "max_order" in home("risk", "check", str(home.home / "risk.toml"), code=78)
    (home.home / "risk.toml").unlink()
    home("risk", "init")
    home("risk", "init", code=4)
    until(lambda: _in_force(home) == "10", what="the default limit")
    home("audit", "verify")


def test_risk_show_tells_the_room_under_each_limit(installation: Installation, tmp_path: Path) -> None:
    """90 bought at 100, then 45 more at a limit that is never met: 9 % held and 4.5 % promised of 25 %."""
    home = installation
    strategy = tmp_path / "hold.py"
    strategy.write_text(
        "from inalpha import Strategy\n\n\nclass Hold(Strategy):\n    def on_bar(self, bar):\n"
        "        if bar.sequence == 1:\n            self.buy(90, reason='in')\n"
        "        if bar.sequence == 3:\n            self.buy(45, limit=bar.close * 0.96, reason='more')\n"
    )
    candidate = home.promote(strategy)
    run = home.run(candidate, write_daily(tmp_path / "FLAT.csv", [100.0] * 900), "10", "FLAT")
    until(lambda: home.json("run", "show", run)["working"], what="the resting order")
    shown = home.json("risk", "show")
    found = {(row["setting"], row["scope"]): row for row in shown["headroom"]}
    symbol = found["max_position.symbol_pct", "FLAT"]
    assert (symbol["control"], symbol["limit"]) == ("P4", "25")
    assert 13.3 < float(symbol["measured"]) < 13.4 and float(symbol["left"]) == 25 - float(symbol["measured"])
    assert (found["max_open.orders", run]["measured"], found["max_open.orders", run]["left"]) == ("1", "4")
    assert found["repeated_execution.entries", run]["limit"] == "20"
    cash = found["cash", "account"]
    assert (
        cash["limit"] == "90991" and cash["measured"] == "4324.32"
    )  # 9,000 and a fee of 9; 45 at 96, fee 4.32
    assert found["daily_loss.pct", run]["limit"] == "2"
    text = home("risk", "show")
    assert "max_position.symbol_pct" in text and "room now" in text
    assert set(shown["controls"]) >= {"allow_list", "instrument", "market_hours", "MarketHours"}


def test_risk_show_says_what_the_file_says_otherwise(tmp_path: Path) -> None:
    home = Installation(tmp_path / "home")
    home.init()
    file = home.home / "risk.toml"
    whole = file.read_text()
    assert home.json("risk", "show")["file"] == []
    file.write_text(whole.replace("equity_pct = 10", "equity_pct = 20"))
    told = home("risk", "show")
    assert "loosens controls.max_order.equity_pct, so all of it waits for: inalpha risk apply" in told
    assert "controls.max_order.equity_pct: 10 in force, 20 in the file" in told
    file.write_text(whole.replace("equity_pct = 10", "equity_pct = 5"))
    assert home.json("risk", "show")["file"][0] == "risk.toml binds within seconds"
    file.write_text(whole + "\n[controls.max_ordr]\n")
    assert "cannot be used" in home("risk", "show") and "Did you mean max_order?" in home("risk", "show")
