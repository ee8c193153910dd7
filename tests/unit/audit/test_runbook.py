"""I8: verifier and fold keep a run's book as the kernel does, fill by fill, to the last 1e-8."""

from __future__ import annotations

import random
from decimal import Decimal
from pathlib import Path

import pytest
from support.attacks import load_verifier
from support.ledger_story import LAST_CLOSE, Story

from inalpha.audit.fold.base import Violation, create_scratch, get
from inalpha.audit.fold.runbook import charge
from inalpha.execution import lines
from inalpha.kernel.book import Book
from inalpha.model.instrument import Instrument
from inalpha.model.money import E8, text_from_e8

FILLS, SEEDS = 60, 40


class Three:
    """The kernel's book, the fold's and the standalone verifier's, under the same fills."""

    def __init__(self, instrument: Instrument, allocation: int) -> None:
        self.instrument, self.kernel = instrument, Book(instrument, allocation * E8)
        self.conn = create_scratch()
        self.conn.execute(
            "INSERT INTO run(run, candidate, sha256, account, symbol, timeframe, feed_kind, feed_name, feed_sha256,"
            " approval, allocation, fill, expires, params, mandate, mandate_sha256, owner_account_id, started_by,"
            " started_seq, started_ts, state) VALUES"
            " ('run-1','','','','','','','','','',?,'',0,'','','','','',0,0,'running')",
            (str(allocation),),
        )
        mandate = {"account": "", "symbol": "", "approval": "", "expires": 0, "limits_sha256": "", "fill": "",
                   "allocation": str(allocation)}  # fmt: skip
        self.alone = load_verifier().Run("", mandate, "", 0)

    def is_affordable(self, side: int, lots: int, ticks: int, fee: int) -> bool:
        """What Exchange._affordable asks."""
        book, worth = self.kernel, self._worth(ticks, lots)
        opening = lots if book.lots * side >= 0 else max(0, lots - abs(book.lots))
        if side > 0:
            return worth + fee <= book.cash_e8
        if not opening:
            return fee <= book.cash_e8 + worth
        short = opening + max(0, -book.lots)
        return self._worth(ticks, short) + fee <= book.own_cash_e8()

    def fill(self, side: int, lots: int, ticks: int, fee: int) -> list[bool]:
        """Whether the fold and the standalone verifier take it."""
        quantity, price = self.instrument.quantity_e8(lots), self.instrument.price_e8(ticks)
        taken = []
        try:
            charge(self.conn, "run-1", side, quantity, price, fee, reduce_only=False)
            taken.append(True)
        except Violation:
            taken.append(False)
        try:
            word = "buy" if side > 0 else "sell"
            figures = (Decimal(text_from_e8(amount)) for amount in (quantity, price, fee))
            self.alone.charge(word, *figures, reduce_only=False)
            taken.append(True)
        except load_verifier().Broken:
            taken.append(False)
        return taken

    def take(self, side: int, lots: int, ticks: int, fee: int) -> None:
        self.kernel.apply(side, lots, ticks, fee)
        held = text_from_e8(self.instrument.quantity_e8(self.kernel.lots))
        self.conn.execute("UPDATE run SET position = ?", (held,))
        self.alone.position = Decimal(held)

    def same(self) -> bool:
        ours = get(self.conn, "book:run-1")
        alone = f"{int(self.alone.cash * E8)} {int(self.alone.cost * E8)}"
        return ours == alone == f"{self.kernel.cash_e8} {self.kernel.cost_e8}"

    def _worth(self, ticks: int, lots: int) -> int:
        fresh = Book(self.instrument, 0)
        fresh.apply(1, lots, ticks, 0)
        return -fresh.cash_e8


@pytest.mark.parametrize("tick, lot", [("0.01", "1"), ("0.00000003", "0.00000007")])
def test_three_books_agree_on_what_is_affordable_and_left(tick: str, lot: str) -> None:
    refused = 0
    for seed in range(SEEDS):
        chance = random.Random(seed)
        three = Three(Instrument.from_text("X", tick, lot), 10)
        # Around the allocation, so that fills are refused as well as taken.
        ticks = 10 * E8 // three.instrument.tick_e8 // (1 if tick == "0.01" else 50)
        for _ in range(FILLS):
            side, price = chance.choice((1, -1)), chance.randint(ticks // 9, ticks // 5)
            lots, fee = chance.randint(1, 7 if lot == "1" else 10**9), chance.randint(0, E8 // 100)
            wanted = three.is_affordable(side, lots, price, fee)
            assert three.fill(side, lots, price, fee) == [wanted, wanted]
            refused += not wanted
            if wanted:
                three.take(side, lots, price, fee)
                assert three.same()
    assert refused > SEEDS


def test_gap_above_the_allocation_is_no_sin_of_the_plan_while_the_run_can_pay(story: Story) -> None:
    """A plan of the whole allocation fills dearer after a profit, and never dearer than what the run holds."""
    run = story.start(story.mandate(_sha(story), allocation="32500"))
    plan, order = story.bar(run, 0, 1, lambda txn: story.order(txn, run, 0))
    story.bar(run, 1, 0, lambda txn: lines.record_fill(txn, plan, order, "0.5", LAST_CLOSE, "0"))
    plan, order = story.bar(run, 2, 1, lambda txn: story.order(txn, run, 2, side="sell"))
    story.bar(run, 3, 0, lambda txn: lines.record_fill(txn, plan, order, "0.5", "66000", "0"))
    plan, order = story.bar(run, 4, 1, lambda txn: story.order(txn, run, 4))
    with pytest.raises(Violation, match="I8"):
        story.bar(run, 5, 0, lambda txn: lines.record_fill(txn, plan, order, "0.5", "66000.01", "0"))
    story.bar(run, 5, 0, lambda txn: lines.record_fill(txn, plan, order, "0.5", "66000", "0"))


def test_plan_a_cent_over_the_allocation_cannot_be_written(story: Story) -> None:
    run = story.start(story.mandate(_sha(story), allocation="32499.99"))
    with pytest.raises(Violation, match="I8"):
        story.bar(run, 0, 1, lambda txn: story.order(txn, run, 0))


@pytest.fixture
def story(tmp_path: Path) -> Story:
    return Story(tmp_path / "home").create().prepare()


def _sha(story: Story) -> str:
    return str(story.do(lambda txn: txn.conn.execute("SELECT sha256 FROM candidate").fetchone()[0]))
