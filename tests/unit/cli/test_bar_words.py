"""A bar of a day or longer is called by the date of its session."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from inalpha.cli.output import bar_words
from tui.text import bar_moment, bar_time


def us(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1e6)


@pytest.mark.parametrize(
    ("close", "timeframe", "words"),
    [
        ("2005-06-04T00:00", "1d", "2005-06-03"),  # midnight to midnight
        ("2005-06-04T13:30", "1d", "2005-06-03"),  # an exchange that opens at 13:30
        ("2005-06-03T22:00", "1d", "2005-06-03"),  # currencies: the day begins the evening before
        ("2005-06-13T00:00", "1w", "2005-06-06"),
        ("2005-06-04T00:00", "1h", "2005-06-04T00:00:00Z"),
    ],
)
def test_a_daily_bar_bears_its_sessions_date(close: str, timeframe: str, words: str) -> None:
    assert bar_words(us(close), timeframe) == words


def test_the_console_says_the_same_date() -> None:
    close = us("2005-06-04T00:00")
    assert bar_time(close, "1d") == "03 Jun 05"
    assert bar_moment(close, "1d", us("2026-01-01T00:00")) == "03 Jun 05"
    assert bar_moment(close, "1d", close) == "03 Jun"
    assert bar_moment(close, "1h", close) == "00:00Z"
