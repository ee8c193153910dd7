"""The awkward bars, by the command line: what a user who tries them reads in fills.csv and orders.csv."""

from __future__ import annotations

import csv
import json
from pathlib import Path

from support.installation import inalpha

FLAT = (100, 100, 100, 100, 1000)


def backtest(
    tmp_path: Path, body: str, rows: list[tuple[str, tuple[float, ...]]], *options: str
) -> tuple[dict[str, object], list[dict[str, str]], list[dict[str, str]]]:
    """The summary, the fills and the orders of a strategy whose on_bar has this body."""
    lines = "\n".join(f"        {line}" for line in body.splitlines())
    head = "from inalpha import Bar, Strategy\n\n\nclass Case(Strategy):\n    def on_bar(self, bar: Bar) -> None:"
    (tmp_path / "case.py").write_text(f"{head}\n{lines}\n")
    bars = tmp_path / "CASE.csv"
    text = ["time,open,high,low,close,volume", *(f"{when},{','.join(map(str, row))}" for when, row in rows)]
    bars.write_text("\n".join(text) + "\n")
    out = tmp_path / "out"
    found = inalpha(
        tmp_path / "none", "backtest", str(tmp_path / "case.py"), "--bars", str(bars), "--cash", "1000000",
        "--fee-bps", "0", "--out", str(out), "--json", *options,
    )  # fmt: skip
    assert found.returncode == 0, found.stderr
    return json.loads(found.stdout), read(out / "fills.csv"), read(out / "orders.csv")


def read(path: Path) -> list[dict[str, str]]:
    with path.open() as file:
        return list(csv.DictReader(file))


def days(*rows: tuple[float, ...]) -> list[tuple[str, tuple[float, ...]]]:
    return [(f"2024-01-{day:02}", row) for day, row in enumerate(rows, start=1)]


def test_a_limit_inside_a_gap_gets_the_better_open(tmp_path: Path) -> None:
    rows = days(FLAT, FLAT, (90, 96, 89, 95, 1000))
    _, fills, _ = backtest(tmp_path, "if bar.sequence == 0:\n    self.buy(10, limit=95)", rows, "--no-risk")
    assert [(fill["time"], fill["price"]) for fill in fills] == [("2024-01-03T00:00:00Z", "90")]


def test_a_stop_and_a_target_in_one_bar_pay_the_stop(tmp_path: Path) -> None:
    body = "if bar.sequence == 0:\n    self.buy(10, stop_loss=90, take_profit=110)"
    _, fills, orders = backtest(tmp_path, body, days(FLAT, FLAT, (100, 115, 85, 100, 1000)), "--no-risk")
    assert [(fill["side"], fill["price"]) for fill in fills] == [("buy", "100"), ("sell", "90")]
    assert {order["type"]: order["code"] for order in orders}["limit"] == "OCO"
    rows = days(FLAT, FLAT, (112, 115, 85, 100, 1000))
    _, fills, _ = backtest(tmp_path, body, rows, "--no-risk")
    assert fills[1]["price"] == "112"  # only an open beyond the target pays it


def test_a_day_order_over_a_holiday_works_until_the_next_sessions_close(tmp_path: Path) -> None:
    """2022-11-24 is Thanksgiving, the 25th closes at 18:00 UTC: an order of Wednesday's close lives till then."""
    hours = ["2022-11-23T19:00", "2022-11-23T20:00", *(f"2022-11-25T{hour}:00" for hour in (14, 15, 16, 17)),
             "2022-11-28T14:00"]  # fmt: skip
    rows = [(hour, FLAT) for hour in hours[:-1]] + [(hours[-1], (100, 100, 80, 90, 1000))]
    body = "if bar.sequence == 1:\n    self.buy(10, limit=90, tif='DAY')"
    options = ("--no-risk", "--calendar", "XNYS", "--timeframe", "1h")
    _, fills, orders = backtest(tmp_path, body, rows, *options)
    assert (fills, orders[0]["state"]) == ([], "expired")
    rows[5] = (hours[5], (100, 100, 85, 90, 1000))  # the last bar before the early close
    _, fills, _ = backtest(tmp_path, body, rows, *options)
    assert [(fill["time"], fill["price"]) for fill in fills] == [("2022-11-25T18:00:00Z", "90")]
    # A calendar that knows no holidays ends the order on the holiday.
    _, fills, orders = backtest(
        tmp_path, body, rows, "--no-risk", "--calendar", "weekdays", "--timeframe", "1h"
    )
    assert (fills, orders[0]["state"]) == ([], "expired")


def test_an_immediate_order_on_a_thin_bar_takes_what_is_there_and_cancels_the_rest(tmp_path: Path) -> None:
    rows = days(FLAT, (100, 101, 99, 100, 50), FLAT)
    body = "if bar.sequence == 0:\n    self.buy(20, tif='IOC')"
    found, fills, _ = backtest(tmp_path, body, rows, "--no-risk")
    assert [fill["quantity"] for fill in fills] == ["20"]
    # Whole fills however thin the bar, and a warning.
    assert any("2.5 %" in warning for warning in found["warnings"])
    _, fills, orders = backtest(tmp_path, body, rows, "--no-risk", "--participation-cap", "0.1")
    assert [fill["quantity"] for fill in fills] == ["5"]
    assert (orders[0]["state"], orders[0]["code"]) == ("cancelled", "IOC_UNFILLED")


def test_a_split_in_raw_data_halts_the_run(tmp_path: Path) -> None:
    """Raw prices halve overnight. No adjustment is made: the run halts for a person to look."""
    flat = [(100 + day % 2, 102, 99, 100 + day % 3, 1000) for day in range(20)]
    split = [(50, 51, 49, 50, 2000) for _ in range(5)]
    rows = days(*flat, *split)
    body = "if bar.sequence == 2:\n    self.buy(10, stop_loss=90)\nif bar.sequence == 22:\n    self.buy(10)"
    found, fills, _ = backtest(tmp_path, body, rows)
    assert [fill["time"] for fill in fills] == ["2024-01-04T00:00:00Z"]
    assert found["denials"] == {"HALTED": 1}
    assert any("split" in warning for warning in found["warnings"])


def test_a_short_needs_the_accounts_leave_and_reserves_its_own_cash(tmp_path: Path) -> None:
    body = "if bar.sequence == 0:\n    self.sell(10)\nelif bar.sequence == 2:\n    self.close()"
    rows = days(FLAT, FLAT, (90, 91, 89, 90, 1000), (90, 91, 89, 90, 1000))
    found, fills, orders = backtest(tmp_path, body, rows)
    assert (fills, orders[0]["state"]) == ([], "denied") and found["denials"]
    found, fills, _ = backtest(tmp_path, body, rows, "--allow-short")
    assert [fill["side"] for fill in fills] == ["sell", "buy"] and found["final_equity"] == "1000100"
    body = body.replace("sell(10)", "sell(9999)")
    _, fills, orders = backtest(tmp_path, body, rows, "--allow-short", "--no-risk")
    assert [fill["quantity"] for fill in fills] == ["9999", "9999"]
    _, fills, orders = backtest(tmp_path, body.replace("9999", "10001"), rows, "--allow-short", "--no-risk")
    assert (fills, orders[0]["code"]) == ([], "INSUFFICIENT_CASH")
