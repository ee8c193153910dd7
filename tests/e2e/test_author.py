"""What somebody who writes a strategy reads on the way: figures that explain themselves, errors as one object."""

from __future__ import annotations

import json
import textwrap
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from support.installation import inalpha

from inalpha.data import bundled

DAYS = [100.0] * 6
HEAD = "from inalpha import RSI, SMA, Bar, Strategy\n\n\nclass Case(Strategy):\n"


def strategy(tmp_path: Path, body: str) -> str:
    path = tmp_path / "case.py"
    path.write_text(HEAD + textwrap.indent(textwrap.dedent(body).strip("\n"), "    ") + "\n")
    return str(path)


def on_bar(tmp_path: Path, body: str) -> str:
    text = textwrap.indent(textwrap.dedent(body).strip("\n"), "    ")
    return strategy(tmp_path, f"def on_bar(self, bar: Bar) -> None:\n{text}")


def bars(tmp_path: Path, prices: list[float] = DAYS) -> str:
    path = tmp_path / "BTC-1d.csv"
    first = date(2024, 1, 1)
    rows = [f"{first + timedelta(days=n)},{p},{p + 1},{p - 1},{p},1000" for n, p in enumerate(prices)]
    path.write_text("\n".join(["time,open,high,low,close,volume", *rows]) + "\n")
    return str(path)


def told(tmp_path: Path, *words: str) -> str:
    """The text of a verb that succeeds, as one line."""
    found = inalpha(tmp_path / "none", *words)
    assert found.returncode == 0, found.stderr
    return " ".join(found.stdout.split())


def as_json(tmp_path: Path, *words: str) -> tuple[int, dict[str, Any]]:
    """Exit code and the one object on stdout."""
    found = inalpha(tmp_path / "none", *words, "--json")
    (line,) = found.stdout.splitlines()
    return found.returncode, json.loads(line)


@pytest.mark.parametrize(
    ("body", "exit_code", "code", "words"),
    [
        ("if bar.sequence == 3: raise KeyError('x')", 1, "STRATEGY", "KeyError: 'x' (line 6)"),
        ("while bar.sequence == 3: pass", 1, "deadline", "on_bar at bar 3"),
        ("def (", 4, "SYNTAX", "line 6"),
    ],
)
def test_a_backtest_that_fails_prints_one_object_with_the_error(
    tmp_path: Path, body: str, exit_code: int, code: str, words: str
) -> None:
    words_of = ("backtest", on_bar(tmp_path, body), "--bars", bars(tmp_path))
    left, found = as_json(tmp_path, *words_of)
    assert (left, found["error"]["code"]) == (exit_code, code)
    assert set(found["error"]) >= {"code", "message", "fix"} and words in found["error"]["message"]
    assert found["error"]["fix"]


def test_figures_until_a_strategy_failed_stand_beside_its_error(tmp_path: Path) -> None:
    body = "self.buy(1)\nif bar.sequence == 3: raise KeyError('x')"
    _, found = as_json(tmp_path, "backtest", on_bar(tmp_path, body), "--bars", bars(tmp_path))
    assert found["fills"] == 3 and len(found["journal_head"]) == 64
    assert {"legs": False, "state": "filled", "code": "", "count": 3} in found["orders"]


def test_a_wrong_option_is_one_object_too(tmp_path: Path) -> None:
    left, found = as_json(tmp_path, "backtest", str(tmp_path / "none.py"), "--bars", "x")
    assert (left, found["error"]["code"]) == (2, "USAGE")
    assert found["error"]["fix"].endswith("inalpha backtest --help")
    left, found = as_json(tmp_path, "walkforward", on_bar(tmp_path, "pass"), "--bars", bars(tmp_path))
    assert (left, found["error"]["code"]) == (2, "USAGE")


def test_a_backtest_without_a_fault_says_so_in_its_object(tmp_path: Path) -> None:
    left, found = as_json(tmp_path, "backtest", on_bar(tmp_path, "pass"), "--bars", bars(tmp_path))
    assert (left, found["error"], found["orders"]) == (0, None, [])
    assert "no order was filled: the strategy placed none" in found["warnings"]


def test_limits_that_deny_are_named_with_both_ways_on(tmp_path: Path) -> None:
    file, data = on_bar(tmp_path, "if self.position.is_flat: self.buy(200)"), bars(tmp_path)
    text = told(tmp_path, "backtest", file, "--bars", data)
    assert "REDUCING from bar 4 on: reject_streak tripped: 5 orders refused in a row, it trips at 5" in text
    assert (
        "one of 6 orders was denied REDUCING: a trigger of the rules" in text and "inalpha resume" not in text
    )
    assert "5 of 6 orders were denied MAX_ORDER: the order is too large: measured 20 % of equity" in text
    assert "the limit is 10. Setting: controls.max_order.equity_pct." in text
    assert "self.quantity(percent=9)" in text and "--risk FILE" in text and "--no-risk" in text
    rules = tmp_path / "wide.toml"
    rules.write_text("schema = 1\n[controls.max_order]\nequity_pct = 50\n")
    assert "orders: 1 filled" in told(tmp_path, "backtest", file, "--bars", data, "--risk", str(rules))
    assert "orders: 1 filled" in told(tmp_path, "backtest", file, "--bars", data, "--no-risk")


def test_a_share_of_equity_fits_the_default_limits(tmp_path: Path) -> None:
    file = on_bar(tmp_path, "if self.position.is_flat: self.buy(self.quantity(percent=9))")
    assert "orders: 1 filled" in told(tmp_path, "backtest", file, "--bars", bars(tmp_path))


def test_a_tenth_of_a_coin_names_the_lot_and_trades_with_it(tmp_path: Path) -> None:
    file = on_bar(tmp_path, "if self.position.is_flat: self.buy(0.1)\nself.log(self.instrument.lot)")
    data = bars(tmp_path)
    text = told(tmp_path, "backtest", file, "--bars", data)
    assert text.count("0.1 is less than one lot of BTC, which is 1 here.") == 1
    assert "such as --lot 0.001" in text
    left, found = as_json(tmp_path, "backtest", file, "--bars", data, "--lot", "0.001")
    assert (left, found["fills"], found["denials"]) == (0, 1, {})


def test_an_order_for_all_the_cash_before_a_gap_is_told_everywhere(tmp_path: Path) -> None:
    file, data = on_bar(tmp_path, "if bar.sequence == 0: self.buy(1000)"), bars(tmp_path, [100, 106, 106])
    words = ("backtest", file, "--bars", data, "--no-risk", "--fee-bps", "0", "--out", str(tmp_path / "out"))
    assert "orders: 1 cancelled INSUFFICIENT_CASH" in told(tmp_path, *words)
    page = (tmp_path / "out" / "report.html").read_text()
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    _, found = as_json(tmp_path, *words)
    assert "at the fill the cash did not cover" in page and "How orders ended" in page
    assert found["orders"] == report["orders"] == [
        {"legs": False, "state": "cancelled", "code": "INSUFFICIENT_CASH", "count": 1}
    ]  # fmt: skip


def test_walkforward_says_why_no_fold_traded(tmp_path: Path) -> None:
    body = "size: float = 0.1\n\ndef on_bar(self, bar):\n    self.buy(self.size)"
    file, data = strategy(tmp_path, body), bars(tmp_path, [100.0 + day % 3 for day in range(75)])
    words = ("walkforward", file, "--bars", data, "--param", "size=0.1,0.2", "--folds", "2")
    text = told(tmp_path, *words)
    assert "denied BELOW_LOT" in text and "in test 1 all 25 orders were denied BELOW_LOT" in text
    _, found = as_json(tmp_path, *words)
    assert found["outcomes"][0]["orders"][0]["code"] == "BELOW_LOT"
    assert "--lot 0.001" in found["outcomes"][0]["reasons"][0]


MANY = """
fast: int = 10
slow: int = 30

def on_start(self):
    self.quick, self.calm = self.indicator(SMA(self.fast)), self.indicator(SMA(self.slow))

def on_bar(self, bar: Bar):
    if not self.calm.ready or self.orders{guard}:
        return
    if self.quick.value > self.calm.value and self.position.is_flat:
        self.buy(5, stop_loss=bar.close * 0.9)
    elif self.quick.value < self.calm.value and self.position.is_long:
        self.close(reason="rule")
"""


def test_the_documented_guard_lets_a_bracketed_position_leave_by_its_rule(tmp_path: Path) -> None:
    words = ("--bars", str(bundled("GOOG")), "--no-risk")
    held = inalpha(tmp_path / "none", "backtest", strategy(tmp_path, MANY.format(guard="")), *words)
    assert "waits for self.orders to be empty" in held.stderr and "self.orders.entries" in held.stderr
    assert "rule" not in held.stdout.partition("exits:")[2]
    free = inalpha(tmp_path / "none", "backtest", strategy(tmp_path, MANY.format(guard=".entries")), *words)
    assert free.stderr == ""
    assert "exits: rule" in " ".join(free.stdout.split())
