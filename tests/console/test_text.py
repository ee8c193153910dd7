"""Text from others is harmless, and numbers, ages and charts say what they should."""

from __future__ import annotations

import math
import subprocess
import sys

import pytest
from rich.cells import cell_len

from tui.charts import Candle, braille, candles, spark
from tui.glyphs import to_ascii
from tui.line import Line, beside
from tui.rows import Cell, Column, TableRow, arranged
from tui.text import age, cut, left, number, pad, percent, plain, price


@pytest.mark.parametrize(
    ("hostile", "shown"),
    [
        ("\x1b[31mred\x1b[0m", "\\x1b[31mred\\x1b[0m"),
        ("a\u202eb", "a\\u202eb"),
        ("a\u200bb\ufeff", "a\\u200bb\\ufeff"),
        ("two\nlines\tand\x07", "two\\nlines\\tand\\x07"),
        ("[red]not markup[/red]", "[red]not markup[/red]"),
        ("e" + "\u0301" * 30, "e\u0301" + "\\u0301" * 29),
        ("\ud800", "\\ud800"),
    ],
)
def test_hostile_text_becomes_visible(hostile: str, shown: str) -> None:
    assert plain(hostile) == shown


def test_wide_text_is_cut_by_cells_not_letters() -> None:
    assert cell_len(plain("策略" * 20, 11)) <= 11
    assert cell_len(pad("日本語", 4)) == 4
    assert cut("abcdef", 4) == "abc…"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("-0", "0"), ("-0.00", "0"), ("1234567.5", "1,234,567.5"), ("0.00000001", "0.00000001"), ("1e-8", "0.00000001"),
        (None, "missing"), ("NaN", "missing"), (math.nan, "missing"), ("Infinity", "missing"), ("x", "missing"),
    ],
)  # fmt: skip
def test_numbers_never_show_minus_zero_or_an_exponent(value: object, text: str) -> None:
    assert number(value) == text


def test_small_negative_rounds_to_plain_zero() -> None:
    assert number("-0.004", 2) == "0.00"
    assert percent("-1", "100000") == "0.0%"
    assert percent(1, 0) == "missing"
    assert price("0.00001234") == "0.00001234"


def test_ages_and_countdowns() -> None:
    assert [age(s) for s in (-3, 0.44, 12, 2460, 11_100, 9 * 86_400)] == [
        "0.0s",
        "0.4s",
        "12s",
        "41m",
        "3h05m",
        "9d",
    ]
    assert [left(s) for s in (-1, 239, 3600)] == ["00:00", "03:59", "1:00:00"]


def test_flat_and_single_values_draw_without_dividing_by_zero() -> None:
    assert spark([5.0] * 4, 10) == "▄▄▄▄"
    assert spark([], 10) == ""
    assert len(braille([3.0], 8)[0]) == 8
    flat = [Candle(bar, 7.0, 7.0, 7.0, 7.0) for bar in range(3)]
    assert all(line.width == 40 for line in candles(flat, 40, 5))


def test_newest_value_is_always_drawn() -> None:
    assert spark([0.0] * 99 + [1.0], 10)[-1] == "█"


def test_missing_bar_is_a_gap_in_the_chart() -> None:
    bars = [Candle(bar, 1.0, 3.0, 1.0, 2.0) for bar in (1, 2, 4)]
    body = candles(bars, 40, 4)[:-1]
    drawn = [any(line.text[column] not in " " for line in body) for column in range(25, 29)]
    assert drawn == [True, True, False, True]


def test_marker_stands_below_its_bar() -> None:
    bars = [Candle(bar, 1.0, 2.0, 1.0, 2.0) for bar in range(10)]
    *_, marks = candles(bars, 40, 4, [(9, "▲", "good"), (0, "✗", "bad"), (99, "▼", "good")])
    assert marks.text[28] == "▲" and marks.text[19] == "✗" and "▼" not in marks.text


def test_ascii_form_has_no_other_glyphs() -> None:
    drawn = (
        "".join(braille([float(n % 7) for n in range(40)], 20, 2)) + spark(list(range(9)), 9) + "│✓✗●▶…┃╽▲≈"
    )
    assert to_ascii(drawn).isascii()
    assert to_ascii("Zürich") == "Zürich"


def test_lines_fit_exactly() -> None:
    line = Line("日本語 ", "strong").add("and more text than fits")
    assert line.fit(12).width == 12
    assert Line("a").end("right", 20).text == "a" + " " * 14 + "right"
    assert all(found.width == 50 for found in beside([line], [line, line], 20, 50))


def test_filter_words_must_all_match_and_may_be_negated() -> None:
    columns = (Column("run", 5), Column("symbol", 5))
    rows = [TableRow(str(n), (Cell(run), Cell(symbol))) for n, (run, symbol) in enumerate(
        [("run-1", "BTC"), ("run-2", "ETH"), ("run-12", "BTC")])]  # fmt: skip

    def keys(wanted: str, by: int | None = None) -> list[str]:
        return [row.key for row in arranged(rows, columns, wanted, by, False)]

    assert keys("btc run-1") == ["0", "2"]
    assert keys("!btc") == ["1"]
    assert keys("run:run-2") == ["1"]
    assert keys("", 1) == ["0", "2", "1"]


def test_console_loads_no_data_frames() -> None:
    code = "import sys, tui.app; print([m for m in ('pandas', 'numpy', 'ta') if m in sys.modules])"
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "[]"
