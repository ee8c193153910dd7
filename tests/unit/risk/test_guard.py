"""The position guard judges closes against cost, at its limit, on both sides."""

from __future__ import annotations

from dataclasses import replace

import pytest
from support.risk import make_bar, make_view

from inalpha.model.money import E8
from inalpha.risk.guard import AverageTrueRange, PositionGuard
from inalpha.risk.rules import default_rules, parse_rules


@pytest.mark.parametrize(
    ("cost", "value", "rule"),
    [
        (5_000, 4_001, ""),
        (5_000, 4_000, "HARD_STOP"),
        (5_000, 9_000, ""),
        (-5_000, -5_999, ""),
        (-5_000, -6_000, "HARD_STOP"),
    ],
)
def test_a_loss_of_a_fifth_of_the_cost_closes_the_position(cost: int, value: int, rule: str) -> None:
    view = make_view(position_lots=50 if cost > 0 else -50, position_value_e8=value * E8)
    assert PositionGuard(default_rules()).trip(view, (cost * E8, view.position_lots)) == rule


def test_a_disabled_guard_is_silent() -> None:
    rules = parse_rules("schema = 1\n[controls.position_guard]\nenabled = false")
    view = make_view(position_lots=50, position_value_e8=1 * E8)
    assert PositionGuard(rules).trip(view, (5_000 * E8, 50)) == ""


def guard(text: str) -> PositionGuard:
    return PositionGuard(parse_rules(f"schema = 1\n[controls.position_guard]\n{text}"))


def tripped(made: PositionGuard, lots: int, average: int, *closes: int, position: int = 1) -> list[str]:
    """What the guard says on each close (ticks) of a position of so many lots at an average price."""
    found = []
    for close in closes:
        bar = make_bar(close)
        made.observe(bar, lots, position)
        view = make_view(bar=bar, position_lots=lots, position_value_e8=lots * close * E8 // 100)
        found.append(made.trip(view, (lots * average * E8 // 100, lots)))
    return found


@pytest.mark.parametrize(
    ("lots", "closes", "said"),
    [
        (50, (9_900, 9_500, 9_100), ["", "", ""]),  # never in profit
        (50, (12_000, 11_401, 11_400), ["", "", "TRAILING_STOP"]),  # 5 % behind 120
        (50, (12_000, 11_399), ["", "TRAILING_STOP"]),
        (50, (12_000, 13_000, 12_351, 12_350), ["", "", "", "TRAILING_STOP"]),  # the best close moves up
        (-50, (8_000, 8_399, 8_400), ["", "", "TRAILING_STOP"]),
        (-50, (10_100, 10_500), ["", ""]),
    ],
)
def test_a_position_once_in_profit_is_closed_a_percentage_behind_its_best_close(
    lots: int, closes: tuple[int, ...], said: list[str]
) -> None:
    assert tripped(guard("trailing_pct = 5"), lots, 10_000, *closes) == said


def test_the_best_close_is_of_the_position_and_not_of_the_one_before() -> None:
    made = guard("trailing_pct = 5")
    assert tripped(made, 50, 10_000, 15_000) == [""]
    assert tripped(made, 50, 10_000, 10_400, 10_000, position=2) == ["", ""]
    assert tripped(made, 50, 10_000, 9_880, position=2) == ["TRAILING_STOP"]


@pytest.mark.parametrize(("close", "said"), [(10_999, ""), (11_000, "TAKE_PROFIT"), (11_001, "TAKE_PROFIT")])
def test_a_gain_is_taken_at_its_limit(close: int, said: str) -> None:
    assert tripped(guard("take_profit_pct = 10"), 50, 10_000, close) == [said]
    assert tripped(guard("take_profit_pct = 10"), -50, 10_000, 20_000 - close) == [said]


def test_three_average_ranges_behind_the_best_close_close_it() -> None:
    """True ranges of 200 ticks throughout: the ATR is 200, three of them are 600."""
    made = guard("atr_multiple = 3")
    for _ in range(22):
        made.observe(make_bar(10_000, high=10_100, low=9_900), 0, 0)
    made.observe(make_bar(10_000, high=10_100, low=9_900), 50, 1)  # the 22nd true range
    made.observe(make_bar(10_200, high=10_200, low=10_000), 50, 1)
    view = make_view(bar=make_bar(9_601), position_lots=50, position_value_e8=50 * 96 * E8)
    average = (50 * 100 * E8, 50)
    assert made.trip(view, average) == ""
    assert made.trip(replace(view, bar=make_bar(9_600)), average) == "ATR_STOP"


def test_the_average_true_range_is_wilders() -> None:
    """By hand: 22 ranges of 10, then one of 32: (10 x 21 + 32) / 22 = 11."""
    atr = AverageTrueRange()
    atr.update(make_bar(100, high=100, low=100))
    for n in range(22):
        assert (atr.value_e8 is None) is (n < 22)
        atr.update(make_bar(100, high=105, low=95))
    assert atr.value_e8 == 10 * E8
    atr.update(make_bar(100, high=132, low=100))
    assert atr.value_e8 == 11 * E8


def test_the_hard_stop_answers_first_and_other_rules_keep_what_was_seen() -> None:
    made = guard("trailing_pct = 5\ntake_profit_pct = 0")
    assert tripped(made, 50, 10_000, 12_000) == [""]
    looser = parse_rules("schema = 1\n[controls.position_guard]\ntrailing_pct = 10").canonical
    assert tripped(made.under(looser), 50, 10_000, 11_400, 10_800) == ["", "TRAILING_STOP"]
    assert tripped(made, 50, 10_000, 8_000) == ["HARD_STOP"]
