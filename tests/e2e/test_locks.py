"""Lock rules from end to end: a stopped-out strategy waits, in the backtest, on paper and in parity alike.

Bars are a minute long and written by hand, so that every lock's time can be reckoned on paper.
"""

from __future__ import annotations

import csv
from datetime import UTC, datetime, timedelta
from pathlib import Path

from support.installation import Installation, until

# Buys whenever it is flat; the stop is a tick under the close, and every bar dips below it.
STOPPED = """from inalpha import Strategy


class Stopped(Strategy):
    def on_bar(self, bar):
        if self.position.is_flat and not self.orders.entries:
            self.buy(5, stop_loss=bar.close - 0.5, reason="again")
"""
START = datetime(2024, 1, 2, 9, 0, tzinfo=UTC)


def write_dips(path: Path, count: int) -> Path:
    """Minute bars that open and close at 100 and dip to 99 in between."""
    rows = [f"{(START + timedelta(minutes=n)).isoformat()},100,100,99,100,1000" for n in range(count)]
    path.write_text("time,open,high,low,close,volume\n" + "\n".join(rows) + "\n")
    return path


def entries(fills: list[dict[str, str]]) -> list[int]:
    """Minutes after the start at which an entry was filled: the open of its bar."""
    times = [
        datetime.fromisoformat(fill["time"].replace("Z", "+00:00")) for fill in fills if fill["side"] == "buy"
    ]
    return [int((time - START).total_seconds() // 60) for time in times]


def test_a_stopped_out_strategy_waits_in_backtest_paper_and_parity(
    installation: Installation, tmp_path: Path
) -> None:
    """An entry fills at the open of minute n and is stopped by n + 1; Cooldown refuses what is decided at n + 1 to
    n + 5, so the next entry is decided at n + 6 and fills there. After four losses T3 waits for twelve decisions
    instead, and the fifth stop within the hour locks the symbol for two.
    """
    home, source, bars = installation, tmp_path / "stopped.py", write_dips(tmp_path / "dips.csv", 200)
    source.write_text(STOPPED)
    #  1 stopped at 2, 7 at 8, 13 at 14, 19 at 20; T3: bars closing at 20 to 31; 32 stopped at 33, until 153
    wanted = [1, 7, 13, 19, 32, 153]
    out = tmp_path / "out"
    home(
        "backtest",
        str(source),
        "--bars",
        str(bars),
        "--timeframe",
        "1m",
        "--symbol",
        "DIP",
        "--out",
        str(out),
    )
    with (out / "fills.csv").open() as file:
        assert entries(list(csv.DictReader(file)))[:6] == wanted
    candidate = home.promote(source)
    run = home.run(candidate, bars, "max", "DIP", "--timeframe", "1m")
    home("run", "wait", run)
    assert sorted(entries(home.items("fills")))[:6] == wanted
    refused = [item for item in home.items("decisions", "--run", run) if item["outcome"] == "risk_rejected"]
    assert {item["code"] for item in refused} == {"LOCKED", "LOSS_STREAK"}
    parity = home.json("parity", run)
    assert parity["unexplained"] == 0 and parity["differences"] == []
    assert home.json("replay", run)["divergence"] is None
    alerts = {(item["kind"], item["state"]) for item in home.items("alerts")}
    assert {("lock", "StoplossGuard"), ("loss_streak", None)} <= alerts and ("lock", "Cooldown") not in alerts
    locks = home.items("risk", "locks", "--all")
    assert {"Cooldown", "StoplossGuard"} <= {lock["rule"] for lock in locks}
    (guard,) = [
        lock for lock in locks if lock["rule"] == "StoplossGuard" and lock["from"].startswith("2024-01-02T09")
    ]
    assert (guard["measured"], guard["limit"], guard["until"]) == ("5", "5", "2024-01-02T11:33:00Z")
    home("audit", "verify")


def test_a_lock_that_binds_is_listed_and_lasts_over_a_restart(
    installation: Installation, tmp_path: Path
) -> None:
    home, source = installation, tmp_path / "stopped.py"
    source.write_text(STOPPED)
    bars = write_dips(tmp_path / "dips.csv", 60)
    run = home.run(home.promote(source), bars, "1", "DIP", "--timeframe", "1m")
    (lock,) = until(lambda: home.items("risk", "locks"), what="a lock")
    assert (lock["rule"], lock["scope"], lock["side"], lock["binds"]) == ("Cooldown", "DIP", "both", [run])
    home.kill("daemon")
    home.start()
    until(lambda: home.json("run", "show", run)["bars"] > 4, what="bars after the restart")
    assert not {2, 3, 4, 5, 6} & set(entries(home.items("fills")))  # never within the five minutes
    assert home.items("decisions", "--run", run)[-1]["code"] == "LOCKED"
