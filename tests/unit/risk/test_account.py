"""The account's book over its runs: context without the own book, day starts, locks, trips."""

from __future__ import annotations

from inalpha.model.money import E8
from inalpha.model.risk import Mark
from inalpha.model.states import HaltState
from inalpha.risk.account import AccountBook
from inalpha.risk.rules import default_rules

HOUR = 3_600_000_000_000
DAY = 24 * HOUR
MIDNIGHT = 20_000 * DAY


def make_account() -> AccountBook:
    account = AccountBook("a", 100_000 * E8, default_rules())
    account.open_book("run-1", "X")
    account.open_book("run-2", "Y")
    return account


def test_a_context_leaves_the_own_book_out() -> None:
    account = make_account()
    account.mark("run-1", Mark(MIDNIGHT, -1_000 * E8, 1_100 * E8))
    account.mark("run-2", Mark(MIDNIGHT, -2_000 * E8, 1_900 * E8))
    context = account.context("run-1")
    assert context.base_cash_e8 == 98_000 * E8
    assert (context.other_value_e8, context.other_symbol_value_e8) == (1_900 * E8, 0)
    assert account.cash_e8 == 97_000 * E8 and account.equity_e8 == 100_000 * E8


def test_a_daily_loss_locks_until_the_next_midnight() -> None:
    account = make_account()
    account.mark("run-1", Mark(MIDNIGHT, 0, 0))
    account.mark("run-1", Mark(MIDNIGHT + HOUR, -50_000 * E8, 48_000 * E8))
    (lock,) = account.context("run-1").locks
    assert (lock.rule, lock.from_ns, lock.until_ns) == ("daily_loss", MIDNIGHT + HOUR, MIDNIGHT + DAY)
    account.mark("run-1", Mark(MIDNIGHT + 2 * HOUR, -50_000 * E8, 50_000 * E8))
    assert account.context("run-1").locks == (lock,)
    account.mark("run-1", Mark(MIDNIGHT + DAY, -50_000 * E8, 50_000 * E8))
    assert account.context("run-1").locks == ()


def test_a_day_starts_with_the_equity_at_midnight() -> None:
    account = make_account()
    account.mark("run-1", Mark(MIDNIGHT - HOUR, 0, 10 * E8))
    account.mark("run-1", Mark(MIDNIGHT + HOUR, 0, 30 * E8))
    assert account.context("run-1").day_start_equity_e8 == 100_010 * E8
    account.mark("run-1", Mark(MIDNIGHT + DAY, 0, 40 * E8))
    assert account.context("run-1").day_start_equity_e8 == 100_040 * E8


def test_a_drawdown_trips_reducing_from_the_high_water_mark() -> None:
    account = make_account()
    assert account.mark("run-1", Mark(MIDNIGHT, 0, 10_000 * E8))[0] == []
    (trip,), _ = account.mark("run-1", Mark(MIDNIGHT + HOUR, 0, -1_000 * E8))
    assert (trip.rule, trip.state) == ("drawdown", HaltState.REDUCING)
    account.rebase()
    assert account.mark("run-1", Mark(MIDNIGHT + 2 * HOUR, 0, -1_000 * E8))[0] == []


def test_the_strictest_halt_of_all_scopes_binds() -> None:
    context = make_account().context("run-1", [("run-1", HaltState.REDUCING), ("all", HaltState.HALTED)])
    assert (context.halt, context.halt_scope) == (HaltState.HALTED, "all")
