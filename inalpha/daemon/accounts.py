"""The accounts' books in memory, folded from the ledger at start, marked inside each step's transaction."""

from __future__ import annotations

import json
import sqlite3
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from inalpha.kernel.costs import FeeModel
from inalpha.kernel.records import Fill
from inalpha.kernel.trades import TradeFold
from inalpha.model.instrument import Instrument
from inalpha.model.money import e8_from_text, multiply_e8
from inalpha.model.risk import AccountContext, Block, Lock, Mark, RunClaim, Trip
from inalpha.model.states import HaltState
from inalpha.risk.account import AccountBook
from inalpha.risk.rules import Rules


class Accounts:
    """One AccountBook per account. Commits move it on the ledger's writer thread, begun steps reserve on the loop's.

    lock: held from reading what an account can spend to reserving it, so that two runs never spend it both.
    """

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self._books: dict[str, AccountBook] = {}
        self._halts: dict[str, HaltState] = {}
        self.blocks: dict[str, tuple[Block, ...]] = {}
        self.blocks_of_all: tuple[Block, ...] = ()
        self._waived: dict[str, dict[str, int]] = {}

    def __getitem__(self, account: str) -> AccountBook:
        return self._books[account]

    def __contains__(self, account: str) -> bool:
        return account in self._books

    def fold(
        self,
        conn: sqlite3.Connection,
        rules_of: Callable[[str], Rules],
        rules_of_run: Callable[[str, str], Rules],
    ) -> None:
        """Books, day starts, marks, locks and halts as the ledger's lines make them, in their order.

        rules_of: of an account; rules_of_run: what binds a run, by its account and name.
        """
        for account, cash in conn.execute("SELECT account, cash FROM account").fetchall():
            self._books[account] = AccountBook(account, _put_in(conn, account, cash), rules_of(account))
        openings: dict[str, _Opening] = {}
        for run, account, symbol in conn.execute(
            "SELECT run, account, symbol FROM run ORDER BY started_seq"
        ).fetchall():
            self._books[account].open_book(run, symbol, rules_of_run(account, run))
            header = conn.execute("SELECT input FROM journal WHERE run = ? AND n = 0", (run,)).fetchone()
            if header is not None:
                openings[run] = _Opening.read(account, json.loads(header[0]))
        trades = {run: TradeFold(opening.instrument, opening.cash_e8) for run, opening in openings.items()}
        resumes = conn.execute("SELECT seq, scope_key FROM resumed ORDER BY seq").fetchall()
        steps = conn.execute(
            "SELECT journal.run, journal.input, journal.output, step.seq FROM step JOIN journal"
            " ON journal.run = step.run AND journal.bar = step.bar AND journal.kind = 'bar' ORDER BY step.seq"
        )
        closes: dict[str, int] = {}
        shorts: dict[str, int] = {}
        for run, inputs, outputs, seq in steps:
            while resumes and resumes[0][0] < seq:  # a resume rebases the mark at its place in the record
                self._rebase(resumes.pop(0)[1])
            opening = openings[run]
            bar = json.loads(inputs)["bar"]
            output = json.loads(outputs)
            cash, lots, cost, *_ = output["book"]
            fills = msgspec.convert(output.get("fills", ()), tuple[Fill, ...])
            closed = tuple(trade for trade in map(trades[run].take, fills) if trade is not None)
            closes[run], shorts[run] = bar[5] * opening.instrument.tick_e8, 2 * max(0, -cost)
            value = multiply_e8(closes[run], lots * opening.instrument.lot_e8)
            mark = Mark(bar[1], cash - opening.cash_e8, value, closed, trades[run].open)
            self._books[opening.account].follow(run, mark)
        for _, scope_key in resumes:
            self._rebase(scope_key)
        for account, book in self._books.items():  # as they were set: a deposit since then shrank no loss
            book.add_locks(_locks(conn, account))
        for run, opening in openings.items():
            claim = _claim(conn, run, opening.fee, closes.get(run, 0), shorts.get(run, 0))
            self._books[opening.account].claim(run, claim)
        for rule, run, expires in conn.execute("SELECT rule, run, expires FROM opt_out ORDER BY seq"):
            self.waive(run, rule, expires)
        self._halts = {
            key: HaltState(state)
            for key, state in conn.execute("SELECT scope_key, state FROM halt").fetchall()
        }

    def open_account(self, account: str, cash_e8: int, rules: Rules) -> None:
        self._books.setdefault(account, AccountBook(account, cash_e8, rules))

    def set_halt(self, scope_key: str, state: HaltState) -> None:
        self._halts[scope_key] = state
        if state is HaltState.ACTIVE:
            with self.lock:
                self._rebase(scope_key)

    def _rebase(self, scope_key: str) -> None:
        """A person resumed: the high-water mark of the accounts in that scope starts again from here."""
        for account, book in self._books.items():
            if scope_key in ("all", account):
                book.rebase()

    def scope_state(self, scope_key: str) -> HaltState:
        """The state that was set on exactly this scope."""
        return self._halts.get(scope_key, HaltState.ACTIVE)

    def halts_of(self, account: str, run: str) -> list[tuple[str, HaltState]]:
        """(scope, state) of every scope that covers this run."""
        keys = (("all", "all"), (account, "account"), (run, run))
        return [(name, self._halts.get(key, HaltState.ACTIVE)) for key, name in keys]

    def halt_of(self, account: str, run: str) -> HaltState:
        return max((state for _, state in self.halts_of(account, run)), key=lambda state: state.severity)

    def halt_of_run(self, run: str) -> HaltState:
        """The strictest state that covers a run, by its name alone; ACTIVE for one that nobody knows."""
        for account, book in self._books.items():
            if run in book.books:
                return self.halt_of(account, run)
        return HaltState.ACTIVE

    def context(self, account: str, run: str, now_ns: int = 0) -> AccountContext:
        """The account as this run's checks read it now. now_ns: market time of a check between two bars."""
        blocks = self.blocks_of_all + self.blocks.get(run, ())
        with self.lock:
            return self._books[account].context(
                run,
                self.halts_of(account, run),
                blocks,
                now_ns=now_ns,
                lifted=self._lifted(run),
            )

    def waive(self, run: str, rule: str, expires_us: int) -> None:
        """The owner's last word about a rule and a run: a lock of that rule does not bind it until then, host time."""
        self._waived.setdefault(run, {})[rule] = expires_us

    def _lifted(self, run: str) -> frozenset[str]:
        waived = self._waived.get(run)
        if not waived:
            return frozenset()
        now_us = time.time_ns() // 1000
        return frozenset(rule for rule, expires_us in waived.items() if expires_us > now_us)

    def bind(self, account: str, run: str, rules: Rules) -> None:
        """The rules that bind a run from now on: its account's, or its mandate's where those are tighter."""
        with self.lock:
            self._books[account].books[run].rules = rules

    def begin(self, account: str, run: str, mark: Mark, claim: RunClaim) -> None:
        """A step has matched its orders: reserve what it has spent and show its run what follows, until `mark` or
        `void`.
        """
        with self.lock:
            self._books[account].begin(run, mark, claim)

    def void(self, account: str, run: str) -> None:
        """The begun step does not count: its reservation ends."""
        with self.lock:
            self._books[account].settle(run)

    def claim(self, account: str, run: str, claim: RunClaim) -> None:
        """What a run's working entries, plans and short hold of its account, as just committed."""
        with self.lock:
            self._books[account].claim(run, claim)

    def affords(self, account: str, run: str, opening_cash_e8: int, fills: Sequence[Fill]) -> bool:
        """Whether no entry among a run's new fills takes the account's committed cash below zero (I13)."""
        with self.lock:
            book = self._books[account]
            others = book.cash_e8 - book.books[run].cash_flow_e8
        return all(fill.reduce_only or others + fill.cash_e8 - opening_cash_e8 >= 0 for fill in fills)

    def mark(self, account: str, run: str, mark: Mark, claim: RunClaim) -> tuple[list[Trip], list[Lock]]:
        """Take a committed step: the run's book at its bar's close, and what it still holds of the account."""
        with self.lock:
            book = self._books[account]
            book.claim(run, claim)
            return book.mark(run, mark)


@dataclass(frozen=True, slots=True)
class _Opening:
    """What a run's journal header fixes: its account, opening cash, instrument and fee."""

    account: str
    cash_e8: int
    instrument: Instrument
    fee: FeeModel

    @classmethod
    def read(cls, account: str, header: Mapping[str, Any]) -> _Opening:
        instrument = header["instrument"]
        return cls(
            account,
            header["opening_cash_e8"],
            Instrument(**instrument),
            FeeModel(*header["fee"]),
        )


def _locks(conn: sqlite3.Connection, account: str) -> list[Lock]:
    """An account's locks in the order in which its steps set them."""
    rows = conn.execute(
        'SELECT rule, scope, reason, from_ns, until_ns, symbol, side, measured, "limit", unit, setting FROM lock'
        " WHERE account = ? ORDER BY id",
        (account,),
    )
    return [Lock(*row) for row in rows]


def _claim(conn: sqlite3.Connection, run: str, fee: FeeModel, close_e8: int, short_e8: int) -> RunClaim:
    """What a run holds of its account by the ledger's own projections, so that one still recovering counts too."""
    rows = conn.execute(
        'SELECT o.side, o.quantity, o.filled, p."limit", p.stop FROM orders o JOIN plan p ON p.plan = o.plan'
        " WHERE o.run = ? AND o.state = 'working' AND o.child IS NULL AND NOT p.reduce_only"
        " UNION ALL SELECT side, quantity, '0', \"limit\", stop FROM plan"
        " WHERE run = ? AND state = 'pending' AND NOT reduce_only",
        (run, run),
    ).fetchall()
    sums = {"buy": 0, "sell": 0}
    fees = 0
    for side, quantity, filled, limit, stop in rows:
        price = limit or stop
        rest = e8_from_text(quantity) - e8_from_text(filled)
        worth = multiply_e8(e8_from_text(price) if price else close_e8, rest)
        sums[side] += worth
        fees += fee.fee_e8(worth, rest)
    return RunClaim(sums["buy"], sums["sell"], fees, short_e8)


def _put_in(conn: sqlite3.Connection, account: str, cash: str) -> int:
    """Opening cash and deposits: what the fills did not move of the present cash."""
    fills = conn.execute("SELECT side, quantity, price, fee FROM fill WHERE account = ?", (account,))
    moved = 0
    for side, quantity, price, fee in fills:
        worth = multiply_e8(e8_from_text(quantity), e8_from_text(price))
        moved += (worth if side == "sell" else -worth) - e8_from_text(fee)
    return e8_from_text(cash) - moved
