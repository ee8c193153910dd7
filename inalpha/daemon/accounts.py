"""The accounts' books in memory, folded from the ledger at start, marked inside each step's transaction."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable

from inalpha.model.money import e8_from_text, multiply_e8
from inalpha.model.risk import AccountContext
from inalpha.model.states import HaltState
from inalpha.risk.account import AccountBook, Trip
from inalpha.risk.rules import Rules


class Accounts:
    """One AccountBook per account. Mutated on the ledger's writer thread only."""

    def __init__(self) -> None:
        self._books: dict[str, AccountBook] = {}
        self._halts: dict[str, HaltState] = {}
        self.blocks: dict[str, tuple[str, ...]] = {}
        self.blocks_of_all: tuple[str, ...] = ()

    def __getitem__(self, account: str) -> AccountBook:
        return self._books[account]

    def __contains__(self, account: str) -> bool:
        return account in self._books

    def fold(self, conn: sqlite3.Connection, rules_of: Callable[[str], Rules]) -> None:
        """Books, day starts, marks and halts as the ledger's lines make them, in their order."""
        for account, cash in conn.execute("SELECT account, cash FROM account").fetchall():
            self._books[account] = AccountBook(account, _put_in(conn, account, cash), rules_of(account))
        runs = conn.execute("SELECT run, account, symbol FROM run ORDER BY started_seq").fetchall()
        openings: dict[str, tuple[str, int, int, int]] = {}
        for run, account, symbol in runs:
            self._books[account].open_book(run, symbol)
            header = conn.execute("SELECT input FROM journal WHERE run = ? AND n = 0", (run,)).fetchone()
            if header is not None:
                body = json.loads(header[0])
                instrument = body["instrument"]
                openings[run] = (
                    account, body["opening_cash_e8"], instrument["tick_e8"], instrument["lot_e8"]
                )  # fmt: skip
        steps = conn.execute(
            "SELECT journal.run, journal.input, journal.output FROM step JOIN journal"
            " ON journal.run = step.run AND journal.bar = step.bar AND journal.kind = 'bar' ORDER BY step.seq"
        )
        for run, inputs, outputs in steps:
            account, opening_e8, tick_e8, lot_e8 = openings[run]
            bar = json.loads(inputs)["bar"]
            cash, lots, *_ = json.loads(outputs)["book"]
            value = multiply_e8(bar[5] * tick_e8, lots * lot_e8)
            self._books[account].mark(run, bar[1], cash - opening_e8, value)
        self._halts = {
            key: HaltState(state)
            for key, state in conn.execute("SELECT scope_key, state FROM halt").fetchall()
        }

    def open_account(self, account: str, cash_e8: int, rules: Rules) -> None:
        self._books.setdefault(account, AccountBook(account, cash_e8, rules))

    def set_halt(self, scope_key: str, state: HaltState) -> None:
        self._halts[scope_key] = state
        if state is HaltState.ACTIVE:
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

    def context(self, account: str, run: str) -> AccountContext:
        """The account as this run's checks read it now."""
        blocks = self.blocks_of_all + self.blocks.get(run, ())
        return self._books[account].context(run, self.halts_of(account, run), blocks)

    def mark(self, account: str, run: str, now_ns: int, cash_flow_e8: int, value_e8: int) -> list[Trip]:
        return self._books[account].mark(run, now_ns, cash_flow_e8, value_e8)


def _put_in(conn: sqlite3.Connection, account: str, cash: str) -> int:
    """Opening cash and deposits: what the fills did not move of the present cash."""
    fills = conn.execute("SELECT side, quantity, price, fee FROM fill WHERE account = ?", (account,))
    moved = 0
    for side, quantity, price, fee in fills:
        worth = multiply_e8(e8_from_text(quantity), e8_from_text(price))
        moved += (worth if side == "sell" else -worth) - e8_from_text(fee)
    return e8_from_text(cash) - moved


def position_value_e8(close_ticks: int, lots: int, tick_e8: int, lot_e8: int) -> int:
    """Signed market value of a position at a close, in 1e-8 money."""
    return multiply_e8(close_ticks * tick_e8, lots * lot_e8)
