"""Each finding has one line that causes it, and a clean file has none."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import pytest

from inalpha.strategy.base import Strategy
from inalpha.strategy.lint import lint

CLEAN = """
from inalpha import Strategy, SMA

class Mine(Strategy):
    fast: int = 10

    def on_start(self):
        self.mean = self.indicator(SMA(self.fast))

    def on_bar(self, bar):
        if self.mean.value is None or self.orders:
            return
        if self.position.is_flat and bar.close > self.mean.value:
            self.buy(1, reason="above")
"""


def method(body: str, name: str = "on_bar(self, bar)") -> str:
    return f"from inalpha import Strategy\nclass Mine(Strategy):\n    def {name}:\n        {body}\n"


def test_a_clean_file_has_no_finding() -> None:
    assert lint(CLEAN) == []


@pytest.mark.parametrize(
    ("source", "code", "level", "line"),
    [
        ("def broken(:\n", "SYNTAX", "error", 1),
        ("x = 1\n", "ONE_STRATEGY", "error", 1),
        ("import os\n" + CLEAN, "BANNED_IMPORT", "warning", 1),
        ("from . import helper\n" + CLEAN, "BANNED_IMPORT", "warning", 1),
        ("import tensorflow\n" + CLEAN, "UNKNOWN_IMPORT", "warning", 1),
        (method("open('x')"), "BANNED_CALL", "warning", 4),
        (method("datetime.now()"), "WALL_CLOCK", "warning", 4),
        (method("random.random()"), "UNSEEDED_RANDOM", "warning", 4),
        (method("np.random.normal()"), "UNSEEDED_RANDOM", "warning", 4),
        (method("hash('x')"), "BANNED_CALL", "warning", 4),
        (method("for x in {1, 2}: pass"), "SET_ORDER", "warning", 4),
        (method("list(set(self.log))"), "SET_ORDER", "warning", 4),
        (method("','.join({str(bar)})"), "SET_ORDER", "warning", 4),
        (method("print(bar)"), "PRINT", "warning", 4),
        (method("self.buy(1)"), "TRAP_EVERY_BAR", "warning", 4),
        (method("self.indicator(SMA(3))"), "TRAP_INDICATOR", "warning", 4),
        (method("self.position; self.buy(self.quantity(percent=0.05))"), "TRAP_PERCENT", "warning", 4),
        (
            CLEAN.replace("fast: int = 10", "share: float = 0.1").replace(
                "buy(1,", "buy(self.quantity(percent=self.share),"
            ),
            "TRAP_PERCENT",
            "warning",
            14,
        ),
        (method("pass", "on_start(self)"), "NO_ON_BAR", "error", 2),
        (method("self.buy(1)", "on_start(self)"), "TRAP_NO_BAR", "warning", 4),
        (method("self.sell(1)", "on_stop(self)"), "TRAP_ON_STOP", "warning", 4),
        (method("pass", "__init__(self)"), "TRAP_INIT", "warning", 3),
        (method("pass", "on_bar(self)"), "BAD_CALLBACK", "error", 3),
        (method("yield", "on_bar(self, bar)"), "BAD_CALLBACK", "error", 3),
        (CLEAN.replace("fast: int = 10", "fast = 10"), "NOT_A_PARAMETER", "warning", 5),
        (CLEAN.replace("fast: int = 10", "seen = []"), "MUTABLE_ATTRIBUTE", "warning", 5),
        (method("self.ta(ta.trend.adx, 'close')", "on_start(self)"), "NO_LOOKBACK", "error", 4),
        (
            method("self.ta(ta.momentum.rsi, 'close', lookback=20, window=14)", "on_start(self)"),
            "SHORT_LOOKBACK",
            "warning",
            4,
        ),
    ],
)
def test_finding(source: str, code: str, level: str, line: int) -> None:
    found = [finding for finding in lint(source) if finding.code == code]
    assert [(finding.level, finding.line) for finding in found] == [(level, line)]
    assert found[0].fix or level == "warning"


def test_reading_the_run_clock_is_fine() -> None:
    assert not [f for f in lint(method("self.log(self.clock.now())")) if f.code == "WALL_CLOCK"]


def test_the_docstring_prints_the_three_traps() -> None:
    text = Strategy.__doc__ or ""
    for word in ("__init__", "NO_BAR", "closed", "next open", "self.orders"):
        assert word in text


@pytest.mark.parametrize(
    ("idiom", "code"),
    [
        ("closes.rolling(9, center=True).mean()", "CENTRED_WINDOW"),
        ("closes.shift(-1)", "SHIFT_AHEAD"),
        ("closes.shift(periods=-2)", "SHIFT_AHEAD"),
        ("closes.pct_change(-1)", "SHIFT_AHEAD"),
        ("closes.bfill()", "BACKFILL"),
        ("closes.fillna(method='bfill')", "BACKFILL"),
        ("closes.iloc[i + 1]", "INDEX_AHEAD"),
    ],
)
def test_idioms_that_read_later_bars_are_noted_with_their_line(idiom: str, code: str) -> None:
    text = f"from inalpha import Strategy\n\n\nclass S(Strategy):\n    def on_bar(self, bar):\n        x = {idiom}\n"
    assert [(f.line, f.code, f.level) for f in lint(text) if f.code == code] == [(6, code, "warning")]


@pytest.mark.parametrize(
    "idiom",
    ["closes.shift(1)", "closes.rolling(9).mean()", "closes.ffill()", "closes.iloc[-1]", "d.iloc[i - 1]"],
)
def test_idioms_that_look_back_are_not_noted(idiom: str) -> None:
    text = f"from inalpha import Strategy\n\n\nclass S(Strategy):\n    def on_bar(self, bar):\n        x = {idiom}\n"
    assert lint(text) == []


def test_a_share_of_whole_percents_is_fine() -> None:
    source = method("self.position; self.buy(self.quantity(percent=5)); self.quantity(value=0.5)")
    assert not [f for f in lint(source) if f.code == "TRAP_PERCENT"]


def test_the_printed_examples_have_no_finding() -> None:
    readme = (Path(__file__).parents[3] / "README.md").read_text(encoding="utf-8")
    (printed,) = re.findall(r"```python\n(.*?)```", readme, re.S)
    docstring = inspect.cleandoc(Strategy.__doc__ or "")
    shown = docstring.partition("class Cross")[2].partition("Three traps")[0]
    for source in (printed, f"from inalpha import SMA, Strategy\n\n\nclass Cross{shown}"):
        assert lint(source) == []
        assert "self.orders.entries" in source
