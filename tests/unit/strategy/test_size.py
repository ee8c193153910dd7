"""A size in whole lots from a share of equity or an amount, never worth more than was asked for."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from unit.strategy.test_driver import FLAT, driver, play

from inalpha.model.instrument import Instrument
from inalpha.model.money import E8
from inalpha.strategy.numbers import wire_text
from inalpha.strategy.session import NoBar
from inalpha.strategy.size import size_of

SHARES = Instrument("GOOG")
COIN = Instrument.from_text("BTC", "0.01", "0.001")
HUNDRED = 10_000  # ticks


@pytest.mark.parametrize(
    ("percent", "value", "instrument", "units"),
    [
        (5, None, SHARES, 50.0),
        (Decimal("0.1"), None, SHARES, 1.0),
        ("2.55", None, SHARES, 25.0),
        (None, 199.99, SHARES, 1.0),
        (None, 200, SHARES, 2.0),
        (None, 99.99, SHARES, 0.0),
        (None, 0, SHARES, 0.0),
        (None, 30, COIN, 0.3),
        (None, np.float64(10), COIN, 0.1),
        (100, None, COIN, 1000.0),
    ],
)
def test_a_size_is_rounded_down_to_a_lot(
    percent: object, value: object, instrument: Instrument, units: float
) -> None:
    assert size_of(percent, value, 100_000 * E8, HUNDRED, instrument) == units


@pytest.mark.parametrize(
    ("percent", "value", "said"),
    [
        (None, None, "neither was given"),
        (5, 100, "both was given"),
        (float("nan"), None, "percent=nan"),
        (None, float("inf"), "value=inf"),
        (-1, None, "percent=-1"),
        (None, "ten", "value='ten'"),
        (True, None, "percent=True"),
        (None, 10**12, "value=1000000000000"),
    ],
)
def test_a_size_of_nothing_sensible_says_what_was_given(percent: object, value: object, said: str) -> None:
    with pytest.raises(ValueError, match="quantity") as error:
        size_of(percent, value, 100_000 * E8, HUNDRED, SHARES)
    assert said in str(error.value)


def test_a_book_that_owes_money_buys_nothing() -> None:
    assert size_of(50, None, -980 * E8, HUNDRED, SHARES) == 0.0


@given(
    value=st.decimals(min_value=0, max_value=10**11, places=6),
    close=st.integers(1, 10**9),
    lot_e8=st.integers(1, 10**10),
    tick_e8=st.sampled_from([1, 100, E8 // 100, E8]),
)
def test_what_is_bought_is_worth_at_most_the_amount_and_less_than_a_lot_below_it(
    value: Decimal, close: int, lot_e8: int, tick_e8: int
) -> None:
    made = Instrument("X", tick_e8, lot_e8)
    units = size_of(None, value, 0, close, made)
    price = Fraction(close * tick_e8, E8)
    exact = Fraction(repr(units))
    assert exact * price <= Fraction(value)
    # Beyond 2**53 steps of 1e-8 a float cannot name each of them; below, not one lot is lost.
    if units * E8 < 2**53 and (text := wire_text(units)) is not None:
        assert (Fraction(text) + Fraction(lot_e8, E8)) * price > Fraction(value)
        assert Fraction(text) % Fraction(lot_e8, E8) == 0


def test_before_the_first_bar_there_is_no_price_to_size_by() -> None:
    with pytest.raises(NoBar, match="NO_BAR"):
        driver("def on_start(self):\n    self.quantity(percent=5)\ndef on_bar(self, bar):\n    pass")


def test_a_strategy_buys_a_share_of_its_own_equity() -> None:
    bench, _ = play("def on_bar(self, bar):\n    self.buy(self.quantity(percent=2.5))", FLAT)
    (decision,) = bench.results[0].decisions
    order = decision.order
    assert order is not None
    spent = order.quantity_lots * 100 * E8
    opening = bench.spec.opening_cash_e8
    assert spent <= opening * 25 // 1000 < spent + 100 * E8


def test_the_instrument_is_read_in_money_and_units_and_cannot_be_changed() -> None:
    body = (
        "def on_bar(self, bar):\n"
        "    of = self.instrument\n"
        "    self.log(f'{of.symbol} {of.tick} {of.lot} {of.currency} {of.calendar}')\n"
        "    self.instrument.lot = 2"
    )
    bench, _ = play(body, FLAT)
    assert bench.results[0].logs == ("TEST 0.01 1.0 USD 24/7",)
    assert "Error" in bench.results[0].error
