"""Charts as a reader sees them: round ticks that enclose the data, dates, and shapes beside colours."""

from __future__ import annotations

import xml.etree.ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inalpha.model.timeframe import DAY_NS
from inalpha.research.svg import HEIGHT, WIDTH, Line, Mark, chart, linear_ticks, log_ticks, tick_text

TIMES = [day * DAY_NS for day in range(1, 101)]


def drawn(*arguments: object, **options: object) -> ET.Element:
    return ET.fromstring(chart(*arguments, **options))  # type: ignore[arg-type]


@given(st.floats(-1e9, 1e9), st.floats(1e-6, 1e9))
def test_linear_ticks_enclose_the_data_and_are_few(low: float, spread: float) -> None:
    ticks = linear_ticks(low, low + spread)
    assert ticks[0] <= low + abs(low) * 1e-9 + spread * 1e-6
    assert ticks[-1] >= low + spread - abs(low) * 1e-9 - spread * 1e-6
    assert 2 <= len(ticks) <= 9


@given(st.floats(1e-6, 1e9), st.floats(4.0, 1e6))
def test_log_ticks_enclose_the_data(low: float, factor: float) -> None:
    ticks = log_ticks(low, low * factor)
    assert ticks[0] <= low * 1.000001 and ticks[-1] >= low * factor * 0.999999


def test_ticks_are_round() -> None:
    assert linear_ticks(0.0, 1.0) == pytest.approx([0.0, 0.2, 0.4, 0.6, 0.8, 1.0])
    assert linear_ticks(97.0, 131.0) == [90, 100, 110, 120, 130, 140]
    assert log_ticks(90.0, 900.0) == pytest.approx([50, 100, 200, 500, 1000])
    assert [tick_text(value, [0.0, 0.05]) for value in (0.0, 0.05)] == ["0.00", "0.05"]
    assert tick_text(1_000_000.0, [0.0, 1_000_000.0]) == "1,000,000"


def test_a_flat_line_has_a_scale() -> None:
    assert len(linear_ticks(100.0, 100.0)) >= 2
    assert len(linear_ticks(0.0, 0.0)) >= 2


def test_everything_lies_within_the_picture() -> None:
    values = [100.0 + (day * 37) % 50 for day in range(100)]
    marks = [Mark(3, 105.0, True), Mark(99, 149.0, False)]
    root = drawn("Close", [Line("close", values, "held")], TIMES, marks)
    for shape in root.iter():
        for point in (shape.get("points") or "").split():
            x, y = map(float, point.split(","))
            assert 0 <= x <= WIDTH and 0 <= y <= HEIGHT


def test_buys_and_sells_differ_in_shape_and_are_named() -> None:
    root = drawn("Close", [Line("", [1.0] * 100, "held")], TIMES, [Mark(1, 1.0, True), Mark(2, 1.0, False)])
    tips = {}
    for shape in root.iter("polygon"):
        heights = [float(point.split(",")[1]) for point in (shape.get("points") or "").split()]
        tips[shape.get("class")] = heights[0] < heights[1]
    assert tips == {"buy": True, "sell": False}
    assert {"buy", "sell"} <= {text.text for text in root.iter("text")}


def test_dates_stand_below_and_hours_where_days_are_few() -> None:
    texts = [text.text for text in drawn("E", [Line("", [1.0, 2.0] * 50, "strategy")], TIMES).iter("text")]
    assert "1970-01-02" in texts and "1970-04-11" in texts
    hours = [DAY_NS + hour * 3_600 * 10**9 for hour in range(5)]
    texts = [text.text for text in drawn("E", [Line("", [1.0] * 5, "strategy")], hours).iter("text")]
    assert "01-02 04:00" in texts


def test_a_wide_range_gets_a_log_scale_and_says_so() -> None:
    assert "(log scale)" in (drawn("E", [Line("", [1.0, 5.0], "held")], TIMES).get("aria-label") or "")
    assert "(log scale)" not in (drawn("E", [Line("", [-1.0, 5.0], "held")], TIMES).get("aria-label") or "")


def test_text_is_escaped() -> None:
    assert "<b>" not in chart("<b>", [Line("<b>", [1.0, 2.0], "held")], TIMES)


def test_nothing_draws_nothing() -> None:
    assert chart("E", [Line("", [], "held")], []) == ""
