"""Every verdict of the gate, and what passes behind it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from inalpha.market.bargate import BarGate, VerdictKind
from inalpha.market.rawbar import RawBar
from inalpha.market.timeframes import infer_timeframe, parse_timeframe
from inalpha.model.calendar import calendar_of
from inalpha.model.errors import ConfigError
from inalpha.model.instrument import Instrument
from inalpha.model.timeframe import DAY_NS, TIMEFRAMES_NS

HOUR = 3_600_000_000_000
MONDAY = 1_578_268_800_000_000_000  # 2020-01-06
LATE = MONDAY + 100 * DAY_NS


def raw(hours: int, **values: str) -> RawBar:
    texts = {"open": "10", "high": "11", "low": "9", "close": "10.5", "volume": "100", **values}
    return RawBar(MONDAY + hours * HOUR, **texts)


def gate(calendar: str = "24/7", **options: object) -> BarGate:
    return BarGate("1h", Instrument("X", calendar=calendar), **options)  # type: ignore[arg-type]


def test_a_good_bar_passes_in_ticks_with_its_sequence() -> None:
    made = gate()
    made.offer(raw(0), LATE)
    bar = made.offer(raw(1), LATE).bar
    assert bar is not None
    assert (bar.sequence, bar.open_ticks, bar.close_ticks, bar.close_time_ns) == (
        1,
        1000,
        1050,
        MONDAY + 2 * HOUR,
    )


@pytest.mark.parametrize(
    ("values", "kind", "field"),
    [
        ({"low": "10.2"}, VerdictKind.BAD_OHLC, "low"),
        ({"high": "10.4"}, VerdictKind.BAD_OHLC, "high"),
        ({"close": "nan"}, VerdictKind.NOT_FINITE, "close"),
        ({"open": "inf"}, VerdictKind.NOT_FINITE, "open"),
        ({"volume": ""}, VerdictKind.NOT_FINITE, "volume"),
        ({"low": "0"}, VerdictKind.NOT_POSITIVE, "low"),
        ({"low": "-1"}, VerdictKind.NOT_POSITIVE, "low"),
        ({"volume": "-1"}, VerdictKind.NOT_POSITIVE, "volume"),
        ({"close": "10.505"}, VerdictKind.OFF_TICK, "close"),
    ],
)
def test_a_bad_value_is_named(values: dict[str, str], kind: VerdictKind, field: str) -> None:
    verdict = gate().offer(raw(0, **values), LATE)
    assert (verdict.kind, verdict.field, verdict.bar) == (kind, field, None)
    assert verdict.value == values[field]


def test_zero_volume_is_a_value() -> None:
    assert gate().offer(raw(0, volume="0"), LATE).kind is VerdictKind.ACCEPTED


def test_off_grid() -> None:
    bar = replace(raw(0), open_ns=MONDAY + 60_000_000_000)
    assert gate().offer(bar, LATE).kind is VerdictKind.OFF_GRID


def test_weeks_stand_on_mondays() -> None:
    week = parse_timeframe("1w")
    assert week.is_on_grid(MONDAY)
    assert not week.is_on_grid(MONDAY + 3 * DAY_NS)


@pytest.mark.parametrize(("late_ns", "kind"), [(-1, VerdictKind.FORMING), (0, VerdictKind.ACCEPTED)])
def test_closed_is_the_end_plus_grace(late_ns: int, kind: VerdictKind) -> None:
    grace = 2_000_000_000
    verdict = gate(grace_ns=grace).offer(raw(0), MONDAY + HOUR + grace + late_ns)
    assert verdict.kind is kind
    assert verdict.anomalies == ()


def test_duplicate_revision_and_out_of_order() -> None:
    made = gate()
    made.offer(raw(0), LATE)
    made.offer(raw(1), LATE)
    assert made.offer(raw(1), LATE).kind is VerdictKind.DUPLICATE
    revision = made.offer(raw(1, close="10.4"), LATE)
    assert revision.kind is VerdictKind.REVISION
    assert "1050" in revision.detail and "1040" in revision.detail
    assert revision.bar is None and revision.revised is not None
    assert (revision.revised.close_ticks, revision.revised.sequence) == (1040, 1)
    assert made.offer(raw(0), LATE).kind is VerdictKind.OUT_OF_ORDER
    assert made.offer(raw(2), LATE).kind is VerdictKind.ACCEPTED


def test_a_gap_passes_with_its_count_and_cause() -> None:
    made = gate()
    made.offer(raw(0), LATE)
    verdict = made.offer(raw(5), LATE)
    assert (verdict.kind, verdict.missing, verdict.cause) == (VerdictKind.GAP, 4, "unknown")
    assert verdict.bar is not None and verdict.bar.sequence == 1
    assert verdict.anomalies == (("GAP", "4 bars missing (unknown)"),)


def test_a_weekend_is_no_gap_of_ours() -> None:
    made = gate("weekdays")
    made.offer(raw(4 * 24 + 23), LATE)  # Friday 23:00
    verdict = made.offer(raw(7 * 24), LATE)
    assert (verdict.kind, verdict.cause) == (VerdictKind.GAP, "holiday")


def test_causes_downtime_and_no_trades() -> None:
    away = BarGate("1h", Instrument("X"), MONDAY)
    assert away.offer(raw(3), LATE).cause == "downtime"
    assert away.offer(raw(6), LATE).cause == "unknown"
    quiet = gate(omits_empty=True)
    quiet.offer(raw(0), LATE)
    assert quiet.offer(raw(3), LATE).cause == "no_trades"


def test_behind_a_restart_old_bars_do_not_pass() -> None:
    made = BarGate("1h", Instrument("X"), MONDAY + 2 * HOUR)
    assert made.offer(raw(1), LATE).kind is VerdictKind.OUT_OF_ORDER
    assert made.offer(raw(2), LATE).kind is VerdictKind.DUPLICATE
    verdict = made.offer(raw(3), LATE, 7)
    assert verdict.bar is not None and verdict.bar.sequence == 7


@pytest.mark.parametrize("name", ["2m", "1M", "", "1D", "60"])
def test_unknown_timeframes_are_refused(name: str) -> None:
    with pytest.raises(ConfigError, match="UNKNOWN_TIMEFRAME"):
        parse_timeframe(name)


@pytest.mark.parametrize("name", list(TIMEFRAMES_NS))
def test_known_timeframes_are_inferred(name: str) -> None:
    length = TIMEFRAMES_NS[name]
    found = infer_timeframe([0, length, 2 * length, 7 * length])
    assert found is not None and found.name == name


@pytest.mark.parametrize(
    ("name", "hours", "is_open"),
    [
        ("24/7", 5 * 24, True),
        ("weekdays", 4 * 24 + 23, True),
        ("weekdays", 5 * 24, False),
        ("weekdays", 6 * 24 + 23, False),
        ("fx", 4 * 24 + 21, True),  # Friday 16:00 in New York
        ("fx", 4 * 24 + 22, False),
        ("fx", 6 * 24 + 21, False),
        ("fx", 6 * 24 + 22, True),
    ],
)
def test_calendars(name: str, hours: int, is_open: bool) -> None:
    assert calendar_of(name).is_open(MONDAY + hours * HOUR) is is_open


def test_unknown_calendars_are_refused() -> None:
    with pytest.raises(ConfigError, match="UNKNOWN_CALENDAR"):
        calendar_of("XXXX")
