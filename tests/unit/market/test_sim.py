"""The simulated market: equal texts give equal bars, and each accident is what it says."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inalpha.market.bargate import BarGate, Verdict, VerdictKind
from inalpha.market.sources.sim import ACCIDENTS, SimMarket, parse_sim
from inalpha.market.timeframes import parse_timeframe
from inalpha.model.errors import InalphaError
from inalpha.model.instrument import Instrument

HOUR_NS = 3_600_000_000_000


def market(text: str, calendar: str = "24/7", timeframe: str = "1h") -> SimMarket:
    return SimMarket(parse_sim(text), Instrument("SIM", calendar=calendar), parse_timeframe(timeframe))


def verdicts(text: str, calendar: str = "24/7") -> list[Verdict]:
    """Every delivery through a gate, with the one backfill request per gap."""
    made = market(text, calendar)
    gate = BarGate("1h", Instrument("SIM", calendar=calendar))
    found = []
    for delivery in made.deliveries:
        gap = gate.gap_before(delivery.bar)
        for bar in made.backfill(*gap) if gap else ():
            found.append(gate.offer(bar, delivery.now_ns))
        found.append(gate.offer(delivery.bar, delivery.now_ns))
    return found


def odd(text: str, calendar: str = "24/7") -> list[tuple[str, int, str]]:
    """(kind, bars missing, cause) of every verdict that is no plain acceptance."""
    return [
        (verdict.kind.value, verdict.missing, verdict.cause)
        for verdict in verdicts(text, calendar)
        if verdict.kind is not VerdictKind.ACCEPTED
    ]


def test_equal_texts_give_equal_bars_and_other_seeds_others() -> None:
    assert market("7?bars=50").deliveries == market("7?bars=50").deliveries
    assert market("7?bars=50").bars != market("8?bars=50").bars
    # Fixed for good: a run that was recorded on this market must find it again.
    last = market("7?bars=50").bars[-1]
    assert (last.open, last.close, last.volume) == LAST_OF_SEED_7


LAST_OF_SEED_7 = ("99.91", "99.79", "13638")


@given(seed=st.integers(0, 2**40), bps=st.integers(1, 1000))
def test_every_bar_passes_the_gate(seed: int, bps: int) -> None:
    assert odd(f"{seed}?bars=60&bps={bps}") == []


@pytest.mark.parametrize(
    ("script", "found"),
    [
        ("gap=20:3", [("GAP", 3, "unknown")]),
        ("backfill=20:3", []),
        ("late=20:2", [("GAP", 1, "unknown"), ("OUT_OF_ORDER", 0, "late")]),
        ("out_of_order=20", [("GAP", 1, "unknown"), ("OUT_OF_ORDER", 0, "late")]),
        ("duplicate=20", [("DUPLICATE", 0, "")]),
        ("revision=20", [("REVISION", 0, "")]),
        ("bad=20", [("BAD_OHLC", 0, "")]),
        ("forming=20", [("FORMING", 0, "")]),
        ("downtime=20:5", []),
        ("skew=20:-5", []),
        ("outlier=20:50", []),
        ("error=20:2", []),
    ],
)
def test_each_accident_meets_its_verdict(script: str, found: list[tuple[str, int, str]]) -> None:
    assert odd(f"1?bars=40&{script}") == found


def test_a_silence_ends_with_all_its_bars_late() -> None:
    made = market("1?bars=40&downtime=20:5").deliveries[20:26]
    lags = [(each.received_ns - (each.bar.open_ns or 0)) // HOUR_NS - 1 for each in made]
    assert lags == [5, 4, 3, 2, 1, 0]


def test_skew_moves_the_arrival_and_nothing_else() -> None:
    plain, skewed = (market(f"1?bars=40{more}").deliveries[20] for more in ("", "&skew=20:-5"))
    assert skewed == replace(plain, received_ns=plain.received_ns - 5 * 10**9)


@pytest.mark.parametrize("turn", ["spring", "autumn"])
def test_new_yorks_clock_change_leaves_no_gap_in_the_currency_week(turn: str) -> None:
    assert {cause for _, _, cause in odd(f"1?bars=100&dst={turn}", "fx")} == {"holiday"}
    opens = [bar.open_ns or 0 for bar in market(f"1?bars=100&dst={turn}", "fx").bars]
    weekend = max(after - before for before, after in pairwise(opens))
    assert weekend // HOUR_NS - 1 == (47 if turn == "spring" else 49)


@pytest.mark.parametrize(
    "text", ["", "x", "1?gap", "1?gap=", "1?gap=a", "1?duplicate=3:1", "1?bars=0", "1?nonsense=1",
             "1?speed=0", "1?speed=nan", "1?start=yesterday", "1?dst=winter", "1?price=-1",
             "1?price=1e30", "1?bars=10&gap=10"],
)  # fmt: skip
def test_a_wrong_script_is_refused_with_what_is_allowed(text: str) -> None:
    with pytest.raises(InalphaError) as caught:
        parse_sim(text)
    assert caught.value.code == "FEED_SPEC" and all(key in caught.value.fix for key in ACCIDENTS)
