"""One strategy over one file in a backtest, on paper, in replay and in parity: equal refusals, equal figures."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

from support.installation import Installation

from inalpha.market.sources.sim import SimMarket, parse_sim
from inalpha.market.timeframes import parse_timeframe
from inalpha.model.bar import utc_from_ns
from inalpha.model.instrument import Instrument

# In turn: an entry that passes (one of them at the close of the week), a small one, one by a fraction of a lot, one
# that is too large, and the way out.
ASKS = """from inalpha import Strategy


class Asks(Strategy):
    def on_bar(self, bar):
        if not self.position.is_flat:
            self.close(reason="out")
            return
        turn = (bar.sequence + 2) % 5
        if turn in (0, 1):
            self.buy(20, reason="in")
        elif turn == 2:
            self.buy(3, reason="too small")
        elif turn == 3:
            self.buy("0.4", reason="no lot")
        else:
            self.buy(200, limit=bar.close * 0.9, reason="too large, too far")
"""
MARKET = '\n[instruments.EUR]\ncalendar = "fx"\nmin_notional = "500"\n'


def weekend(path: Path) -> Path:
    """150 hours of a currency market from a Wednesday on, as a file."""
    market = SimMarket(
        parse_sim("3?bars=150&start=2024-10-02&bps=5"),
        Instrument("EUR", calendar="fx"),
        parse_timeframe("1h"),
    )
    rows = ["time,open,high,low,close,volume"]
    for made in market.deliveries:
        bar = made.bar
        when = utc_from_ns(bar.open_ns or 0).strftime("%Y-%m-%dT%H:%M:%SZ")
        rows.append(f"{when},{bar.open},{bar.high},{bar.low},{bar.close},{bar.volume}")
    path.write_text("\n".join(rows) + "\n")
    return path


def of_a_journal(file: Path) -> dict[str, list[list[Any]]]:
    """Intent to its refusals, in full."""
    found: dict[str, list[list[Any]]] = {}
    for line in file.read_text().splitlines():
        kind, _, outputs = json.loads(line)
        for decision in outputs.get("decisions", ()) if kind == "bar" else ():
            if decision[4]:
                found[decision[0]] = decision[4]
    return found


def test_backtest_paper_replay_and_parity_refuse_alike(installation: Installation, tmp_path: Path) -> None:
    home = installation
    home.stop()
    with (home.home / "inalpha.toml").open("a") as file:
        file.write(MARKET)
    home.start()
    strategy, bars = tmp_path / "asks.py", weekend(tmp_path / "EUR.csv")
    strategy.write_text(ASKS)
    candidate = home.promote(strategy)
    run = home.json(
        "run", "start", candidate, "--symbol", "EUR", "--timeframe", "1h", "--allocation", "100000",
        "--feed", f"replay:{bars}@max",
    )["run"]  # fmt: skip
    home("run", "wait", run, "--timeout", "90")
    names = ("code", "control", "measured", "limit", "unit", "setting", "message")
    paper = {
        item["intent"].partition(":")[2]: [[one[name] for name in names] for one in item["refusals"]]
        for item in home.items("decisions", "--run", run)
        if item["refusals"]
    }
    home("backtest", str(strategy), "--bars", str(bars), "--symbol", "EUR", "--out", str(tmp_path / "out"))
    for one in (one for refusals in paper.values() for one in refusals if one[1] == "T6"):
        one[-1] = one[-1].replace(run, "run")  # a backtest's run has no name of its own
    assert paper == of_a_journal(tmp_path / "out" / "journal")
    codes = {one[0] for refusals in paper.values() for one in refusals}
    assert {"INSTRUMENT", "BELOW_LOT", "MAX_ORDER", "PRICE_COLLAR", "MARKET_HOURS", "LOCKED"} <= codes
    closed = next(found for found in paper.values() if any(one[0] == "MARKET_HOURS" for one in found))
    assert "LOCKED" in [one[0] for one in closed]  # every refusal is on record
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    assert codes <= {one["code"] for one in report["refusals"]}
    with (tmp_path / "out" / "orders.csv").open() as table:
        rows = {row["order"]: row for row in csv.DictReader(table)}
    for intent, refusals in paper.items():
        row = rows[intent]
        told = [row[name] for name in ("code", "control", "measured", "control_limit", "unit", "setting")]
        assert told == [text or "" for text in refusals[0][:6]]
    assert "INSTRUMENT P13" in home("run", "log", run)
    rejected = next(plan for plan in home.items("plan", "list") if plan["code"] == "INSTRUMENT")
    shown = home.json("plan", "show", rejected["plan"])["refusals"][0]
    assert (shown["control"], shown["limit"], shown["setting"]) == ("P13", "500", "instruments.min_notional")
    assert home.json("replay", run)["divergence"] is None
    home("parity", run)
    home("audit", "verify")


def test_without_risk_the_markets_minimum_still_holds(installation: Installation, tmp_path: Path) -> None:
    home = installation
    with (home.home / "inalpha.toml").open("a") as file:
        file.write(MARKET)
    strategy, bars = tmp_path / "asks.py", weekend(tmp_path / "EUR.csv")
    strategy.write_text(ASKS)
    found = home.json("backtest", str(strategy), "--bars", str(bars), "--symbol", "EUR", "--no-risk")
    assert {"INSTRUMENT", "BELOW_LOT"} <= set(found["denials"])
    assert not {"MAX_ORDER", "PRICE_COLLAR", "MARKET_HOURS"} & set(found["denials"])
