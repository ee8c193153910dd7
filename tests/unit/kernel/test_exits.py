"""Whoever may exit can exit: whatever else works, gaps or is limited, with the default rules and the guard on.

The prices come from reported situations: an overnight gap of 6 %, a fall of 24 % beside bracket legs, a short that
is covered after a rise of 220 %.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from support.bench import CONTEXT, Bench, Script, buy, make_spec, sell
from support.risk import CASH

from inalpha.kernel.replay import rebuild
from inalpha.model.money import E8
from inalpha.model.order import OrderRequest, OrderType, Side
from inalpha.model.risk import AccountContext
from inalpha.model.states import HaltState
from inalpha.risk.engine import RiskEngine
from inalpha.risk.guard import PositionGuard
from inalpha.risk.rules import Rules, default_rules, parse_rules

OWN = AccountContext(CASH, day_start_equity_e8=CASH, high_water_e8=CASH)
FLAT = (10_000, 10_010, 9_990, 10_000)
LEGS = {"stop_loss": "50", "take_profit": "150"}


def trading(script: Script, rules: Rules | None = None, context: AccountContext = OWN, **spec: Any) -> Bench:
    """One day a bar, the default rules and the guard, an account of 100,000 that holds this run alone."""
    rules = rules or default_rules()
    made = make_spec(**{"timeframe": "1d", **spec})
    return Bench(made, script, RiskEngine(rules), context, PositionGuard(rules))


def at(price: int) -> tuple[int, int, int, int]:
    return price, price + 10, price - 10, price


@pytest.mark.parametrize(
    "leave",
    [sell("10"), sell("10", reduce_only=True), sell("25", reduce_only=True), sell("4")],
    ids=["untagged", "tagged", "larger", "part"],
)
def test_an_exit_fills_at_the_open_of_a_gap(leave: dict[str, Any]) -> None:
    made = trading({0: [buy("10")], 2: [leave]})
    made.feed(FLAT, FLAT, FLAT, at(9_400))
    assert made.prices() == [(1, 10_000), (3, 9_400)]
    assert made.fills[-1].reduce_only


def test_an_entry_that_gaps_as_far_is_cancelled() -> None:
    made = trading({0: [buy("10")]})
    made.feed(FLAT, at(9_400))
    assert [(end.intent, end.code) for end in made.ends] == [("0:0", "PRICE_COLLAR")]


@pytest.mark.parametrize("opens", [7_800, 7_100], ids=["no gap", "gap of 9 %"])
@pytest.mark.parametrize(
    "beside",
    [{}, {1: [sell("180", stop="55", reduce_only=True)]}, {2: [sell("180", reduce_only=True)]}],
    ids=["legs", "a resting stop", "a close on the same bar"],
)
def test_the_guard_closes_once_and_nothing_is_left_behind(opens: int, beside: Script) -> None:
    made = trading({0: [buy("90", **LEGS)], **beside})
    made.feed(FLAT, FLAT)
    decided = made.feed(at(7_600)).decisions[0]
    assert (decided.intent, decided.outcome, decided.order and decided.order.reason) == (
        "2:16",
        "working",
        "HARD_STOP",
    )
    made.feed(at(opens), at(opens), at(opens))
    closing = [
        (fill.bar, fill.quantity_lots, fill.price_ticks) for fill in made.fills if fill.side is Side.SELL
    ]
    assert closing == [(3, 90, opens)]
    assert made.kernel.orders == () and made.kernel.trips == 1


def test_the_guard_ends_a_resting_entry_and_then_exits_under_reducing_too() -> None:
    made = trading({0: [buy("90", **LEGS)], 1: [buy("5", stop="104")]})
    made.feed(FLAT, FLAT)
    made.context = AccountContext(CASH, halt=HaltState.REDUCING, day_start_equity_e8=CASH, high_water_e8=CASH)
    made.feed((9_900, 9_910, 7_600, 7_600))
    assert ("1:0", "HARD_STOP") in [(end.intent, end.code) for end in made.ends]
    made.feed(at(7_600))
    assert made.kernel.position_lots == 0 and made.kernel.orders == ()


def test_a_tightened_hard_stop_below_the_loss_exits_at_the_next_close() -> None:
    tight = parse_rules("schema = 1\n[controls.position_guard]\nhard_stop_pct = 5")
    made = trading({0: [buy("90", **LEGS)]})
    made.feed(FLAT, FLAT, at(9_000))
    assert made.kernel.trips == 0
    made.command("limits", code=tight.sha256, reason=tight.canonical)
    made.feed(at(9_000), at(9_000))
    assert (made.kernel.trips, made.kernel.position_lots) == (1, 0)


def test_close_beside_legs_and_a_stop_is_not_denied_and_ends_them() -> None:
    made = trading({0: [buy("90", **LEGS)], 1: [sell("90", stop="80")], 2: [sell("90", reduce_only=True)]})
    made.feed(FLAT, FLAT, FLAT, FLAT)
    assert made.kernel.position_lots == 0 and made.kernel.orders == ()
    assert {end.code for end in made.ends if end.code} == {"POSITION_CLOSED"}


def test_m19_a_short_is_covered_beyond_its_cash_and_enters_nothing_more() -> None:
    """A short of 9 at 100 on 1,000 of cash, bought back at 320: 1,000 + 900 - 2,880 = -980."""
    from inalpha.kernel.costs import FeeModel

    script = {0: [sell("9")], 2: [buy("9", reduce_only=True)], 4: [buy("1")]}
    spec = make_spec(timeframe="1d", allow_short=True, opening_cash_e8=1_000 * E8, fee=FeeModel.bps("0"))
    made = Bench(spec, script)
    made.feed(FLAT, FLAT, FLAT, at(32_000), at(32_000))
    assert made.prices() == [(1, 10_000), (3, 32_000)]
    assert made.kernel.book.cash_e8 == -980 * E8
    assert [refusal.code for refusal in made.results[4].decisions[0].refusals] == ["BOOK_NEGATIVE"]


def test_a_cover_fills_although_other_runs_have_spent_the_accounts_cash() -> None:
    rules = parse_rules("schema = 1\n[controls.direction]\nlong_only = false")
    made = trading({0: [sell("90")], 2: [buy("90")], 3: [sell("1")]}, rules, allow_short=True)
    made.feed(FLAT, FLAT)
    made.context = AccountContext(CASH, other_reserved_e8=CASH, day_start_equity_e8=CASH, high_water_e8=CASH)
    made.feed(FLAT, at(10_900), FLAT)
    assert made.prices() == [(1, 10_000), (3, 10_900)]
    assert "ACCOUNT_CASH" in [refusal.code for refusal in made.results[3].decisions[0].refusals]


def test_a_persons_plan_fills_what_is_left_of_the_position() -> None:
    """A plan of 100 whose position shrank to 60 before it was signed sells 60."""
    made = Bench(make_spec(), {0: [buy("100")]})
    made.feed(FLAT, FLAT)
    order = OrderRequest("plan-7", Side.SELL, OrderType.MARKET, 100, reduce_only=True)
    assert made.command("plan", order=order).accepted
    made.runner.script = {2: [sell("40")]}
    made.feed(FLAT, FLAT)
    assert made.kernel.position_lots == 60
    assert made.command("approve", intent="plan-7").accepted
    made.feed(FLAT)
    assert (made.fills[-1].quantity_lots, made.kernel.position_lots) == (60, 0)


def test_where_shorts_are_allowed_working_sells_count_before_an_untagged_one_is_an_exit() -> None:
    made = Bench(
        make_spec(allow_short=True),
        {0: [buy("10")], 1: [sell("6", limit="120"), sell("5"), sell("4")]},
        context=CONTEXT,
    )
    made.feed(FLAT)
    orders = [decision.order for decision in made.feed(FLAT).decisions]
    assert [order.reduce_only for order in orders if order] == [True, True, True]
    made.runner.script = {2: [sell("12"), sell("4")]}
    orders = [decision.order for decision in made.feed(FLAT).decisions]
    assert [order.reduce_only for order in orders if order] == [False, False]


def test_a_caretaker_steps_an_ended_run_on_without_its_strategy() -> None:
    made = trading({0: [buy("90")]})
    made.feed(FLAT, FLAT)
    made.command("halt", state=HaltState.KILLED)
    made.command("end")
    assert made.kernel.ended
    assert made.command("resume", state=HaltState.ACTIVE).accepted
    assert made.command("caretake").accepted
    asked = len(made.runner.requests)
    made.feed(at(7_600), at(7_600))
    assert made.kernel.position_lots == 0 and len(made.runner.requests) == asked


@pytest.mark.parametrize("resumed", [HaltState.ACTIVE, HaltState.REDUCING])
def test_under_halted_the_guards_exit_waits_for_a_person_until_after_the_resume(resumed: HaltState) -> None:
    made = trading({0: [buy("90")]})
    made.feed(FLAT, FLAT)
    made.context = replace(OWN, halt=HaltState.HALTED, halt_scope="run")
    made.command("halt", state=HaltState.HALTED)
    (told,) = made.feed(at(7_600)).decisions
    assert (told.intent, told.outcome, told.refusals) == ("2:16", "pending", ())
    assert made.feed(at(7_500)).decisions == ()  # one plan at a time
    made.context = replace(OWN, halt=resumed)
    made.command("resume" if resumed is HaltState.ACTIVE else "halt", state=resumed)
    approved = made.command("approve", intent="2:16", actor="op:alice")
    assert approved.accepted and not approved.refusals
    made.feed(at(7_500))
    assert made.prices()[-1] == (4, 7_500) and made.kernel.position_lots == 0
    again = rebuild(
        made.spec, RiskEngine(default_rules()), made.entries, guard=PositionGuard(default_rules())
    )
    assert again.head == made.kernel.head


def test_after_a_resume_the_guard_takes_its_plan_back_and_exits_itself() -> None:
    made = trading({0: [buy("90")]})
    made.feed(FLAT, FLAT)
    made.context = replace(OWN, halt=HaltState.HALTED, halt_scope="run")
    made.feed(at(7_600))
    made.context = OWN
    (told,) = made.feed(at(7_600)).decisions
    assert (told.intent, told.outcome) == ("3:16", "working")
    assert [(end.intent, end.code) for end in made.ends] == [("0:0", ""), ("2:16", "HARD_STOP")]
    made.feed(at(7_600))
    assert made.kernel.position_lots == 0 and not made.kernel.orders


def test_under_killed_the_guard_makes_no_plan() -> None:
    made = trading({0: [buy("90")]})
    made.feed(FLAT, FLAT)
    made.context = replace(OWN, halt=HaltState.KILLED, halt_scope="run")
    assert made.feed(at(7_600)).decisions == ()
