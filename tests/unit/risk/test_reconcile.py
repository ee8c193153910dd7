"""C1: the book is the sum of its fills to the last 1e-8, or the run ends; at just under, at and just over."""

from __future__ import annotations

import random

import pytest
from support.bench import Bench, buy, make_bar, make_spec, sell

from inalpha.kernel.book import Book
from inalpha.kernel.gateway import NoRisk
from inalpha.model.instrument import Instrument
from inalpha.model.money import E8
from inalpha.model.order import Side
from inalpha.research.backtest import run_backtest
from inalpha.risk.reconcile import FillFold, mismatch

FLAT = (10_000, 10_010, 9_990, 10_000)


@pytest.mark.parametrize("off", [-1, 0, 1])
def test_cash_and_position_must_agree_exactly(off: int) -> None:
    instrument, fold = Instrument("X"), FillFold(100 * E8, 5)
    cash = mismatch(5, 100 * E8 + off, fold, instrument)
    held = mismatch(5 + off, 100 * E8, fold, instrument)
    assert (cash is None, held is None) == (off == 0, off == 0)
    if cash and held:
        assert (cash.code, cash.control, cash.limit) == ("RECONCILE", "C1", "100")
        assert (held.measured, held.limit) == (str(5 + off), "5") and "No repair" in held.message


@pytest.mark.parametrize(("tick", "lot"), [("0.01", "1"), ("0.00000003", "0.00000007")])
def test_the_fold_agrees_with_the_kernels_book_through_any_fills(tick: str, lot: str) -> None:
    for seed in range(40):
        chance = random.Random(seed)
        instrument = Instrument.from_text("X", tick, lot)
        book, fold = Book(instrument, 10**14), FillFold(10**14)
        for _ in range(30):
            side, lots = chance.choice((Side.BUY, Side.SELL)), chance.randint(1, 10**9)
            ticks, fee = chance.randint(1, 10**6), chance.randint(0, E8)
            book.apply(side, lots, ticks, fee)
            fold.take(instrument, [(side, lots, ticks, fee)])
            assert mismatch(book.lots, book.cash_e8, fold, instrument) is None


def test_a_backtest_whose_book_is_not_its_fills_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    apply = Book.apply

    def wrong(self: Book, side: int, lots: int, price_ticks: int, fee_e8: int) -> None:
        apply(self, side, lots, price_ticks, fee_e8)
        self.cash_e8, self.realised_e8 = self.cash_e8 + 1, self.realised_e8 + 1

    bars = [make_bar(FLAT, n) for n in range(5)]
    script = {0: [buy("10")], 2: [sell("10")]}
    good = run_backtest(make_spec(), bars, Bench(make_spec(), script).runner, NoRisk())
    assert not good.error and len(good.fills) == 2
    monkeypatch.setattr(Book, "apply", wrong)
    bad = run_backtest(make_spec(), bars, Bench(make_spec(), script).runner, NoRisk())
    assert bad.error.startswith("RECONCILE: the book's cash is 98999.00000001 USD, its fills add up to 98999")
    assert len(bad.fills) == 1
