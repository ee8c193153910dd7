"""Trading time: weekends, New York's clock changes, holidays, early closes, lunch breaks."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inalpha.model.calendar import BUILT_IN, calendar_of, missing_bars
from inalpha.model.errors import ConfigError

HOUR = 3_600_000_000_000
DAY = 24 * HOUR


def ns(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * 10**9


@pytest.mark.parametrize(
    ("accepted", "end"),
    [
        ("2022-11-22 15:00", "2022-11-22 21:00"),  # inside a session
        ("2022-11-22 21:00", "2022-11-23 21:00"),  # at its close: the next one's
        ("2022-11-23 21:00", "2022-11-25 18:00"),  # over Thanksgiving, to the early close of the day after
        ("2022-11-24 16:00", "2022-11-25 18:00"),  # on the holiday itself
        ("2022-03-11 22:00", "2022-03-14 20:00"),  # over the change to summer time
    ],
)
def test_a_day_order_ends_with_the_exchanges_session(accepted: str, end: str) -> None:
    assert calendar_of("XNYS").day_end(ns(accepted)) == ns(end)


@pytest.mark.parametrize(
    ("accepted", "end"),
    [
        ("2022-11-22 15:00", "2022-11-22 22:00"),
        ("2022-11-25 22:00", "2022-11-28 22:00"),  # Friday's close: Monday's, as no day ends at the weekend
        ("2022-11-27 12:00", "2022-11-28 22:00"),
        ("2022-03-11 22:30", "2022-03-14 21:00"),
    ],
)
def test_a_day_order_in_currencies_ends_at_five_in_new_york(accepted: str, end: str) -> None:
    assert calendar_of("fx").day_end(ns(accepted)) == ns(end)


def test_a_holiday_and_an_early_close_are_no_missing_bars() -> None:
    calendar = calendar_of("XNYS")
    # Wednesday's last hour to Friday's first: nothing is expected in between.
    assert missing_bars(calendar, ns("2022-11-23 21:00"), ns("2022-11-25 14:00"), HOUR) == 0
    # Friday's early close at 18:00 to Monday's open at 14:30, which lies in the bar of 14:00.
    assert missing_bars(calendar, ns("2022-11-25 18:00"), ns("2022-11-28 14:00"), HOUR) == 0
    assert missing_bars(calendar, ns("2022-11-25 16:00"), ns("2022-11-28 15:00"), HOUR) == 3
    assert missing_bars(calendar, ns("2022-11-24 00:00"), ns("2022-11-29 00:00"), DAY) == 2
    assert missing_bars(calendar_of("weekdays"), ns("2022-11-24 00:00"), ns("2022-11-29 00:00"), DAY) == 3


def test_a_lunch_break_closes_the_market_and_does_not_end_the_day() -> None:
    tokyo = calendar_of("XTKS")
    assert tokyo.is_open(ns("2022-11-22 02:00"))
    assert not tokyo.is_open(ns("2022-11-22 03:00"))
    assert tokyo.is_open(ns("2022-11-22 03:30"))
    assert tokyo.day_end(ns("2022-11-22 03:00")) == ns("2022-11-22 06:00")


def test_times_beyond_the_known_sessions_are_refused() -> None:
    with pytest.raises(ConfigError, match="CALENDAR_RANGE"):
        calendar_of("XNYS").day_end(ns("1950-01-01 00:00"))


def test_an_exchange_without_the_extra_says_what_to_install() -> None:
    code = (
        "import sys; sys.modules['exchange_calendars'] = None\n"
        "from inalpha.model.calendar import calendar_of\n"
        "try: calendar_of('XNYS')\n"
        "except Exception as error: print(error.code, error.fix)"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert found.startswith("NO_CALENDARS") and "inalpha[calendars]" in found


@given(
    name=st.sampled_from([*BUILT_IN, "XNYS", "XTKS"]),
    accepted=st.integers(ns("2005-01-01 00:00"), ns("2026-01-01 00:00")),
)
def test_a_day_ends_later_than_its_order_and_within_a_stretch_without_sessions(
    name: str, accepted: int
) -> None:
    calendar = calendar_of(name)
    end = calendar.day_end(accepted)
    assert accepted < end <= accepted + 12 * DAY
    assert calendar.is_open(end - 1)
