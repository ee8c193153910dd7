"""T1, T3, T4 and P8's trip at their edges, through a real kernel: what a row of losses, refusals or entries brings."""

from __future__ import annotations

from dataclasses import replace

import pytest
from support.bench import CONTEXT, Bench, Script, buy, make_spec, sell
from support.risk import make_order, make_view

from inalpha.model.money import E8
from inalpha.model.risk import Mark, Stage
from inalpha.model.states import HaltState
from inalpha.risk.account import AccountBook
from inalpha.risk.controls import loss_streak, reject_streak, repeated_execution
from inalpha.risk.engine import RiskEngine
from inalpha.risk.guard import PositionGuard
from inalpha.risk.rules import default_rules, parse_rules
from inalpha.risk.settings import LossStreak, RejectStreak, RepeatedExecution

HOUR = 3_600_000_000_000
MIDNIGHT = 20_000 * 24 * HOUR
KNOWN = replace(CONTEXT, day_start_equity_e8=10**14, high_water_e8=10**14)
LOOSE = """schema = 1
[controls.order_rate]
per_bar = 9
per_hour = 999
per_day = 999
[controls.repeated_execution]
entries = 2
[controls.direction]
long_only = false
"""


@pytest.mark.parametrize(
    ("losses", "since", "refused"),
    [(3, 0, False), (4, 0, True), (5, 11, True), (4, 11, True), (4, 12, False), (0, 0, False)],
)
def test_four_lost_trades_lock_twelve_bars(losses: int, since: int, refused: bool) -> None:
    view = make_view(losses=losses, bars_since_loss=since)
    found = loss_streak.check(make_order(), view, LossStreak(), Stage.ADVICE)
    assert (found is not None) is refused
    if found is not None:
        assert (found.code, found.control, found.measured, found.limit) == (
            "LOSS_STREAK",
            "T3",
            str(losses),
            "4",
        )
        assert f"wait for {12 - since} more" in found.message


def test_a_row_of_losses_is_counted_in_the_kernel_and_ended_by_a_trade_that_does_not_lose() -> None:
    script: Script = {n: [buy("1") if n % 2 == 0 else sell("1")] for n in range(12)}
    made = Bench(make_spec(), script)
    levels = [10_000 - 10 * n for n in range(9)]
    for level in levels:
        made.feed((level,) * 4)
    assert (made.kernel.activity.losses, made.kernel.activity.loss_bar) == (4, 8)
    assert made.kernel.run_view(CONTEXT).bars_since_loss == 0
    made.feed((20_000,) * 4)  # the next entry fills here
    assert made.kernel.run_view(CONTEXT).bars_since_loss == 1
    made.feed((30_000,) * 4)  # and is closed above it
    assert made.kernel.activity.losses == 0


@pytest.mark.parametrize(("refusals", "trips"), [(4, False), (5, True), (6, True)])
def test_five_refusals_in_a_row_trip(refusals: int, trips: bool) -> None:
    trip = reject_streak.trip(make_view(refusals=refusals), RejectStreak())
    assert (trip is not None) is trips
    if trip is not None:
        assert trip.state is HaltState.REDUCING
        assert trip.reason == f"reject_streak tripped: {refusals} orders refused in a row, it trips at 5"


def test_the_kernel_trips_on_the_fifth_refusal_and_an_order_taken_begins_anew() -> None:
    script: Script = {n: [sell("1")] for n in range(10)}  # no shorts: DIRECTION, each time
    script = {**script, 4: [buy("1", limit="98")]}
    made = Bench(make_spec(), script, risk=RiskEngine(default_rules()), context=KNOWN)
    rules = [[trip.rule for trip in made.feed((10_000,) * 4).trips] for _ in range(10)]
    assert rules == [[]] * 9 + [["reject_streak"]]
    made.command("resume", state=HaltState.ACTIVE)
    assert made.kernel.activity.refusals == 0


def test_what_a_halt_or_a_lock_refuses_is_no_fault_of_the_strategy() -> None:
    halted = replace(KNOWN, halt=HaltState.REDUCING)
    script: Script = {n: [buy("1")] for n in range(9)}
    made = Bench(make_spec(), script, risk=RiskEngine(default_rules()), context=halted)
    for _ in range(9):
        result = made.feed((10_000,) * 4)
        assert (result.trips, result.decisions[0].code) == ((), "REDUCING")
    assert made.kernel.activity.refusals == 0


@pytest.mark.parametrize(("filled", "trips"), [(20, False), (21, True)])
def test_more_than_twenty_entries_of_one_side_in_a_day_trip(filled: int, trips: bool) -> None:
    view = make_view()
    view = make_view(entry_fills_ns=tuple((view.now_ns - n, 1) for n in range(filled)))
    trip = repeated_execution.trip(view, RepeatedExecution())
    assert (trip is not None) is trips
    if trip is not None:
        assert (trip.measured, trip.limit) == ("21", "more than 20")


def test_entries_on_two_sides_or_a_day_ago_are_not_added_up() -> None:
    now = make_view().now_ns
    old = tuple((now - 24 * HOUR - n, 1) for n in range(20))
    view = make_view(entry_fills_ns=(*old, *((now, 1),) * 11, *((now, -1),) * 12))
    assert repeated_execution.trip(view, RepeatedExecution()) is None


def test_an_entry_over_the_limit_trips_in_the_kernel_when_it_fills() -> None:
    script: Script = {n: [buy("1")] for n in range(6)}
    made = Bench(make_spec(), script, risk=RiskEngine(parse_rules(LOOSE)), context=KNOWN)
    rules = [[trip.rule for trip in made.feed((10_000,) * 4).trips] for _ in range(4)]
    assert rules == [[], [], [], ["repeated_execution"]]  # filled at the opens of bars 1, 2 and 3


def test_the_day_begins_at_midnight_exactly_for_what_is_decided_then() -> None:
    account = AccountBook("a", 100_000 * E8, default_rules())
    account.open_book("run-1", "X")
    account.mark("run-1", Mark(MIDNIGHT - 2 * HOUR, 0, 0))
    account.mark("run-1", Mark(MIDNIGHT - HOUR, -50_000 * E8, 47_900 * E8))
    assert [lock.rule for lock in account.locks_of("run-1")] == ["daily_loss"]
    at_midnight = Mark(MIDNIGHT, -50_000 * E8, 47_800 * E8)
    account.begin("run-1", at_midnight, account.books["run-1"].claim)
    context = account.context("run-1")
    assert context.locks == () and context.day_start_equity_e8 == 97_800 * E8
    view = make_view(account=context, own_cash_flow_e8=-50_000 * E8, position_value_e8=47_800 * E8,
                     position_lots=1, now_ns=MIDNIGHT)  # fmt: skip
    assert "DAILY_LOSS" not in {
        r.code for r in RiskEngine(default_rules()).check(make_order(), view, Stage.ADVICE)
    }


def test_an_approval_after_midnight_and_before_the_next_bar_is_of_the_new_day() -> None:
    account = AccountBook("a", 100_000 * E8, default_rules())
    account.open_book("run-1", "X")
    account.mark("run-1", Mark(MIDNIGHT - 2 * HOUR, 0, 0))
    account.mark("run-1", Mark(MIDNIGHT - 1, -3_000 * E8, 0))
    assert account.context("run-1", now_ns=MIDNIGHT - 1).day_start_equity_e8 == 100_000 * E8
    after = account.context("run-1", now_ns=MIDNIGHT)
    assert (after.day_start_equity_e8, after.locks) == (97_000 * E8, ())


def test_a_row_within_one_bar_trips_although_an_order_passes_after_it() -> None:
    asked = [sell("1") for _ in range(7)] + [buy("1")]
    made = Bench(
        make_spec(),
        {0: asked},
        risk=RiskEngine(parse_rules(LOOSE.replace("long_only = false", ""))),
        context=KNOWN,
    )
    result = made.feed((10_000,) * 4)
    assert [trip.rule for trip in result.trips] == ["reject_streak"]
    assert [d.code for d in result.decisions][-1] == "REJECT_STREAK"  # the rest of the bar is refused


def test_a_fresh_bar_after_a_disconnect_ends_no_row() -> None:
    script: Script = {n: [sell("1")] for n in range(9)}
    made = Bench(make_spec(), script, risk=RiskEngine(default_rules()), context=KNOWN)
    for _ in range(4):
        made.feed((10_000,) * 4)
    made.command("resume", state=HaltState.ACTIVE, code="RECONNECTED")
    assert [trip.rule for trip in made.feed((10_000,) * 4).trips] == ["reject_streak"]


def test_turns_through_zero_are_entries() -> None:
    script: Script = {n: [sell("2") if n % 2 else buy("2")] for n in range(1, 8)}
    script = {**script, 0: [buy("1")]}
    rules = parse_rules(LOOSE.replace("entries = 2", "entries = 3"))
    made = Bench(make_spec(allow_short=True), script, risk=RiskEngine(rules), context=KNOWN)
    for _ in range(5):
        made.feed((10_000,) * 4)
    assert [side for _, side in made.kernel.activity.entry_fills] == [1, -1, 1, -1]


def test_what_closes_and_enters_on_one_bar_meets_the_cooldown() -> None:
    """same_close fills within the bar's own decisions, so the account cannot know of the close yet."""
    script: Script = {0: [buy("2")], 1: [{"side": "sell", "quantity": "2"}, buy("1")], 2: [buy("1")]}
    made = Bench(make_spec(fill="same_close"), script, risk=RiskEngine(default_rules()), context=KNOWN)
    made.feed((10_000,) * 4)
    codes = [decision.code for decision in made.feed((10_000,) * 4).decisions]
    assert codes == ["", "LOCKED"]
    assert [decision.code for decision in made.feed((10_000,) * 4).decisions] == [
        ""
    ]  # the account's lock is its own


def test_a_plan_of_the_guard_stops_entries_and_ends_when_nothing_trips() -> None:
    halted = replace(KNOWN, halt=HaltState.HALTED)
    rules = default_rules()
    made = Bench(make_spec(), {0: [buy("10")], 4: [buy("1")], 5: [buy("1")]}, risk=RiskEngine(rules), context=KNOWN,
                 guard=PositionGuard(rules))  # fmt: skip
    made.feed((10_000,) * 4, (10_000,) * 4)
    made.context = halted
    (decision,) = made.feed((7_000,) * 4).decisions
    assert decision.outcome == "pending"
    made.feed((10_000,) * 4)
    assert len(made.kernel.pending) == 1
    made.context = KNOWN
    result = made.feed((10_000,) * 4)
    assert [(end.intent, end.code) for end in result.ended] == [("2:16", "GUARD_QUIET")]
