"""Every lock rule just under, at and over its trigger; whom a lock binds, and for how long."""

from __future__ import annotations

from dataclasses import replace

import pytest
from support.risk import make_order, make_view

from inalpha.model.errors import ConfigError
from inalpha.model.money import E8
from inalpha.model.order import Side
from inalpha.model.risk import ClosedTrade, Lock, Mark, OpenTrade, Stage
from inalpha.risk.account import AccountBook
from inalpha.risk.engine import RiskEngine
from inalpha.risk.rules import default_rules, parse_rules

MINUTE = 60_000_000_000
HOUR = 60 * MINUTE
T0 = 20_000 * 24 * HOUR + 10 * HOUR  # ten in the morning of a day
CASH = 100_000 * E8


def make_account(text: str = "") -> AccountBook:
    rules = parse_rules("schema = 1\n" + text) if text else default_rules()
    account = AccountBook("a", CASH, rules)
    for run, symbol in (("run-1", "X"), ("run-2", "X"), ("run-3", "Y")):
        account.open_book(run, symbol)
        account.mark(run, Mark(T0, 0, 0))
    return account


def trade(
    at_ns: int, profit: int = -1, *, is_stop: bool = False, side: int = 1, outlay: int = 100
) -> ClosedTrade:
    return ClosedTrade(side, at_ns, profit * E8, outlay * E8, is_stop)


def locks(account: AccountBook, run: str, now_ns: int) -> list[str]:
    return [lock.rule for lock in account.locks_of(run, now_ns)]


@pytest.mark.parametrize(
    ("equity", "rules"), [(95_001, []), (95_000, ["MaxDrawdown"]), (94_999, ["MaxDrawdown"])]
)
def test_equity_five_percent_under_its_peak_of_a_day_locks_the_account(equity: int, rules: list[str]) -> None:
    account = make_account("[controls.daily_loss]\npct = 50")
    account.mark("run-1", Mark(T0 + HOUR, (equity - 100_000) * E8, 0))
    for run in ("run-1", "run-2", "run-3"):
        assert locks(account, run, T0 + HOUR) == rules
    assert locks(account, "run-1", T0 + 5 * HOUR - 1) == rules
    assert locks(account, "run-1", T0 + 5 * HOUR) == []


def test_a_peak_older_than_the_lookback_is_forgotten() -> None:
    account = make_account("[controls.daily_loss]\npct = 50\n[controls.drawdown]\npct = 50")
    account.mark("run-1", Mark(T0 + 1, 0, 0))
    account.mark("run-1", Mark(T0 + HOUR, -3_000 * E8, 0))
    account.mark("run-1", Mark(T0 + 24 * HOUR + 1, -5_500 * E8, 0))  # 2.6 % under what is left in the window
    assert locks(account, "run-1", T0 + 24 * HOUR + 1) == []
    account.mark("run-1", Mark(T0 + 24 * HOUR + 2, -7_850 * E8, 0))
    assert locks(account, "run-1", T0 + 24 * HOUR + 2) == ["MaxDrawdown"]


@pytest.mark.parametrize(("stops", "binds"), [(4, False), (5, True), (6, True)])
def test_five_stops_of_a_symbol_within_an_hour_lock_it_for_two(stops: int, binds: bool) -> None:
    account = make_account()
    for n in range(stops):
        at = T0 + 10 * MINUTE * (n + 1)
        account.mark(("run-1", "run-2")[n % 2], Mark(at, 0, 0, (trade(at, is_stop=True),)))
    at = T0 + 50 * MINUTE
    for run in ("run-1", "run-2"):
        assert ("StoplossGuard" in locks(account, run, at + HOUR)) is binds
        assert "StoplossGuard" not in locks(account, run, at + 2 * HOUR)
    assert locks(account, "run-3", at) == []  # another symbol


def test_stops_an_hour_apart_do_not_count_together_and_other_exits_not_at_all() -> None:
    account = make_account()
    for n in range(4):
        at = T0 + (n + 1) * MINUTE
        account.mark("run-1", Mark(at, 0, 0, (trade(at, is_stop=True), trade(at))))
    at = T0 + 61 * MINUTE
    account.mark("run-1", Mark(at, 0, 0, (trade(at, is_stop=True),)))
    assert "StoplossGuard" not in locks(account, "run-1", at)


def test_stops_of_a_whole_account_can_be_counted_together() -> None:
    account = make_account('[controls.StoplossGuard]\nper = "account"\nstops = 2')
    account.mark("run-1", Mark(T0 + 1, 0, 0, (trade(T0 + 1, is_stop=True),)))
    account.mark("run-3", Mark(T0 + 2, 0, 0, (trade(T0 + 2, is_stop=True),)))
    assert "StoplossGuard" in locks(account, "run-2", T0 + 2)


def test_a_position_past_the_guards_stop_counts_as_a_stop() -> None:
    account = make_account("[controls.StoplossGuard]\nstops = 1\n[controls.daily_loss]\npct = 90\n")
    held = OpenTrade(1, 0, 1_000 * E8)
    account.mark("run-1", Mark(T0 + 1, -1_000 * E8, 801 * E8, (), held))
    assert locks(account, "run-1", T0 + 1) == []
    account.mark("run-1", Mark(T0 + 2, -1_000 * E8, 800 * E8, (), held))
    assert locks(account, "run-1", T0 + 2) == ["StoplossGuard"]


def test_a_closed_position_cools_its_symbol_down_for_five_minutes() -> None:
    account = make_account()
    at = T0 + HOUR
    account.mark("run-1", Mark(at, 0, 0, (trade(at, profit=5),)))
    assert locks(account, "run-2", at) == ["Cooldown"]
    assert locks(account, "run-1", at + 5 * MINUTE - 1) == ["Cooldown"]
    assert locks(account, "run-1", at + 5 * MINUTE) == []


def test_the_run_itself_sees_the_lock_on_the_bar_that_closed_its_position() -> None:
    account = make_account()
    at = T0 + HOUR
    account.begin("run-1", Mark(at, 0, 0, (trade(at),)), account.books["run-1"].claim)
    assert locks(account, "run-1", at) == ["Cooldown"] and locks(account, "run-2", at) == []
    account.settle("run-1")  # the step was void
    assert locks(account, "run-1", at) == []


@pytest.mark.parametrize(
    ("profits", "binds"),
    [([-1, -1, -2], False), ([-1, -1, -1, -1], False), ([-1, -1, -2, -1], True), ([-5, -5, 9, -4], True)],
)
def test_trades_that_lost_five_percent_in_sum_lock_their_side(profits: list[int], binds: bool) -> None:
    account = make_account()
    for n, profit in enumerate(profits):
        at = T0 + 20 * MINUTE * (n + 1)
        account.mark("run-1", Mark(at, 0, 0, (trade(at, profit, side=-1),)))
    at += 6 * MINUTE  # behind the last Cooldown
    found = account.locks_of("run-2", at)
    assert [(lock.rule, lock.side) for lock in found] == ([("LowProfit", -1)] if binds else [])


def test_a_loser_that_is_still_open_counts_as_one_trade() -> None:
    account = make_account()
    for n in range(3):
        at = T0 + 20 * MINUTE * (n + 1)
        account.mark("run-1", Mark(at, 0, 0, (trade(at, -1),)))
    held = OpenTrade(1, 0, 100 * E8)
    account.mark("run-1", Mark(at + HOUR, -100 * E8, 99 * E8, (), held))
    assert locks(account, "run-1", at + HOUR) == []  # four in a sum of four
    account.mark("run-1", Mark(at + HOUR + 1, -100 * E8, 98 * E8, (), held))
    assert locks(account, "run-1", at + HOUR + 1) == ["LowProfit"]


def test_a_hit_under_a_lock_makes_no_second_one() -> None:
    account = make_account()
    first = T0 + HOUR
    account.mark("run-1", Mark(first, 0, 0, (trade(first),)))
    account.mark("run-2", Mark(first + MINUTE, 0, 0, (trade(first + MINUTE),)))
    (lock,) = account.locks_of("run-1", first + MINUTE)
    assert lock.until_ns == first + 5 * MINUTE


def test_a_lock_may_end_at_an_hour_of_the_zone() -> None:
    account = make_account('[controls.Cooldown]\nstop_for = ""\nunlock_at = "09:30"')
    account.mark("run-1", Mark(T0, 0, 0, (trade(T0),)))
    (lock,) = account.locks_of("run-1", T0)
    assert lock.until_ns == T0 + 23 * HOUR + 30 * MINUTE


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ('[controls.Cooldown]\nunlock_at = "08:00"', "not both"),
        ('[controls.Cooldown]\nstop_for = ""', "not both"),
        ('[controls.Cooldown]\nstop_for = "soon"', "no duration"),
        ('[controls.Cooldown]\nstop_for = "31d"', "no duration"),
        ('[controls.LowProfit]\nlookback = "0h"', "no duration"),
        ('[controls.MaxDrawdown]\nstop_for = ""\nunlock_at = "24:00"', "HH:MM|unlock_at"),
        ('[controls.StoplossGuard]\nper = "venue"', "per"),
    ],
)
def test_a_lock_that_cannot_be_read_is_refused(text: str, named: str) -> None:
    with pytest.raises(ConfigError, match=named):
        parse_rules("schema = 1\n" + text)


@pytest.mark.parametrize(
    ("own", "is_looser"),
    [
        ('Cooldown]\nstop_for = "4m"', True),
        ('Cooldown]\nstop_for = "6m"', False),
        ('Cooldown]\nstop_for = ""\nunlock_at = "08:00"', True),
        ('StoplossGuard]\nlookback = "30m"', True),
        ('StoplossGuard]\nlookback = "2h"', False),
        ('StoplossGuard]\nper = "account"', False),
        ("loss_streak]\nbars = 11", True),
        ("loss_streak]\nbars = 13", False),
        ("position_guard]\ntrailing_pct = 9", False),
    ],
)
def test_an_account_may_lock_longer_and_look_back_further_only(own: str, is_looser: bool) -> None:
    text = f"schema = 1\n[controls.Cooldown]\n[account.a.controls.{own}"
    if is_looser:
        with pytest.raises(ConfigError, match="loosens"):
            parse_rules(text, "a")
    else:
        parse_rules(text, "a")


@pytest.mark.parametrize(
    ("now", "side", "passes"),
    [
        (-1, Side.BUY, True),
        (0, Side.BUY, False),
        (9, Side.BUY, False),
        (10, Side.BUY, True),
        (5, Side.SELL, True),
    ],
)
def test_a_lock_refuses_entries_of_its_side_within_its_time(now: int, side: Side, passes: bool) -> None:
    view = make_view()
    lock = Lock(
        "LowProfit", "X", "why", view.now_ns, view.now_ns + 10, "X", 1, "5.1", "5", "%", "LowProfit.pct"
    )
    account = make_view().account
    view = replace(view, now_ns=view.now_ns + now, account=replace(account, locks=(lock,)))
    rules = parse_rules("schema = 1\n[controls.direction]\nlong_only = false")
    found = [
        r for r in RiskEngine(rules).check(make_order(side=side), view, Stage.ADVICE) if r.code == "LOCKED"
    ]
    assert (found == []) is passes
    if found:
        refusal = found[0]
        assert (refusal.control, refusal.measured, refusal.limit, refusal.setting) == (
            "LowProfit", "5.1", "5", "LowProfit.pct",
        )  # fmt: skip
        assert "until" in refusal.message and "Exits run" in refusal.message
    reduce = make_order(side=side, reduce_only=True)
    assert RiskEngine(rules).check(reduce, view, Stage.ADVICE) == ()


def test_a_lock_that_the_owner_lifted_for_a_run_binds_the_others() -> None:
    account = make_account()
    account.mark("run-1", Mark(T0, 0, 0, (trade(T0),)))
    assert account.context("run-1", lifted=frozenset({"Cooldown"})).locks == ()
    assert [lock.rule for lock in account.context("run-2").locks] == ["Cooldown"]


def test_a_long_lock_is_not_pushed_out_by_many_short_ones() -> None:
    account = make_account('[controls.StoplossGuard]\nstops = 1\nstop_for = "30d"')
    account.mark("run-3", Mark(T0 + 1, 0, 0, (trade(T0 + 1, is_stop=True),)))
    for n in range(300):
        at = T0 + (n + 1) * 6 * MINUTE
        account.mark("run-1", Mark(at, 0, 0, (trade(at, profit=1),)))
    assert "StoplossGuard" in locks(account, "run-3", at)
    assert len(account.locks) < 10


def test_a_run_that_starts_within_a_day_is_judged_from_the_days_start() -> None:
    account = make_account()
    account.mark("run-1", Mark(T0 + HOUR, -2_500 * E8, 0))
    assert locks(account, "run-1", T0 + HOUR) == ["daily_loss"]
    account.open_book("run-4", "Z")
    account.begin("run-4", Mark(T0 + HOUR + 1, 0, 0), account.books["run-4"].claim)
    assert account.day_start_e8("run-4") == CASH
    assert locks(account, "run-4", T0 + HOUR + 1) == ["daily_loss"]


@pytest.mark.parametrize(("zone", "first"), [("Africa/Cairo", 1714082400), ("Asia/Beirut", 1711836000)])
def test_where_clocks_go_forward_at_midnight_the_day_begins_at_one(zone: str, first: int) -> None:
    rules = parse_rules(f'schema = 1\nzone = "{zone}"\n[controls.daily_loss]\n')
    account = AccountBook("a", CASH, rules)
    account.open_book("run-1", "X")
    account.mark("run-1", Mark((first - 3600) * 10**9, 111 * E8, 0))
    account.mark("run-1", Mark(first * 10**9, 222 * E8, 0))
    assert account.day_start_e8("run-1") == CASH + 222 * E8
