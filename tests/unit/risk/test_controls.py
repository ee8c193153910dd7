"""Each control: just at the limit passes, just over refuses, missing input refuses, reductions pass."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest
from support.risk import DAY, NOW, make_bar, make_order, make_view

from inalpha.model.money import E8
from inalpha.model.order import OrderRequest, OrderType, Side
from inalpha.model.risk import Block, FillTerms, Lock, RunView, Stage, WorkingOrder
from inalpha.model.states import HaltState
from inalpha.risk.engine import RiskEngine
from inalpha.risk.rules import default_rules, parse_rules


def codes(order: OrderRequest, view: RunView, stage: Stage = Stage.BINDING) -> list[str]:
    return [refusal.code for refusal in RiskEngine(default_rules()).check(order, view, stage)]


def with_account(view: RunView, **changes: object) -> RunView:
    return replace(view, account=replace(view.account, **changes))  # type: ignore[arg-type]


LONG_50 = {"position_lots": 50, "position_value_e8": 5_000 * E8, "own_cash_flow_e8": -5_000 * E8}
NOISE = tuple(10_000 + 10 * (index % 2) for index in range(100))

# order and view that just pass; order and view that are refused; the code.
EDGES = [
    ("price_collar", make_order(limit_ticks=10_500, type=OrderType.LIMIT), make_view(),
     make_order(limit_ticks=10_501, type=OrderType.LIMIT), make_view(), "PRICE_COLLAR"),
    ("price_drift", make_order(), make_view(plan_close_ticks=10_101, bar=make_bar(10_000)),
     make_order(), make_view(plan_close_ticks=10_102, bar=make_bar(10_000)), "PRICE_DRIFT"),
    ("max_order", make_order(100), make_view(), make_order(101), make_view(), "MAX_ORDER"),
    ("allocation", make_order(10), make_view(allocation_e8=1_000 * E8),
     make_order(11), make_view(allocation_e8=1_000 * E8), "MAX_ORDER"),
    ("max_position", make_order(50), with_account(make_view(), other_symbol_value_e8=20_000 * E8,
     other_gross_e8=20_000 * E8, other_value_e8=0),
     make_order(51), with_account(make_view(), other_symbol_value_e8=20_000 * E8,
     other_gross_e8=20_000 * E8, other_value_e8=0), "MAX_POSITION"),
    ("max_open", make_order(), make_view(working=tuple(WorkingOrder(f"9:{n}", 1, 1, False, 10_000)
     for n in range(4))), make_order(), make_view(working=tuple(WorkingOrder(f"9:{n}", 1, 1, False, 10_000)
     for n in range(5))), "MAX_OPEN"),
    ("per_bar", make_order(), make_view(orders_this_bar=1), make_order(), make_view(orders_this_bar=2),
     "ORDER_RATE"),
    ("per_hour", make_order(), make_view(recent_orders_ns=(NOW,) * 11), make_order(),
     make_view(recent_orders_ns=(NOW,) * 12), "ORDER_RATE"),
    ("per_day", make_order(), make_view(recent_orders_ns=(NOW - DAY // 2,) * 49), make_order(),
     make_view(recent_orders_ns=(NOW - DAY // 2,) * 50), "ORDER_RATE"),
    ("repeated", make_order(), make_view(entry_fills_ns=((NOW, 1),) * 20), make_order(),
     make_view(entry_fills_ns=((NOW, 1),) * 21), "REPEATED_EXECUTION"),
    ("duplicate", make_order(10), make_view(bar_requests=((1, 11),)), make_order(10),
     make_view(bar_requests=((1, 10),)), "DUPLICATE"),
    ("direction", make_order(50, Side.SELL, reduce_only=True), make_view(**LONG_50), make_order(51, Side.SELL),
     make_view(**LONG_50), "DIRECTION"),
    ("stale", make_order(), make_view(lag_ns=DAY // 10), make_order(), make_view(lag_ns=DAY // 10 + 1),
     "STALE_BAR"),
    ("daily_loss", make_order(1), with_account(make_view(), base_cash_e8=98_001 * E8),
     make_order(1), with_account(make_view(), base_cash_e8=98_000 * E8), "DAILY_LOSS"),
    ("drawdown", make_order(1), with_account(make_view(), base_cash_e8=90_001 * E8,
     day_start_equity_e8=90_001 * E8), make_order(1), with_account(make_view(), base_cash_e8=90_000 * E8,
     day_start_equity_e8=90_000 * E8), "DRAWDOWN"),
    ("cash", make_order(10), with_account(make_view(), other_reserved_e8=98_999 * E8), make_order(10),
     with_account(make_view(), other_reserved_e8=98_999 * E8 + 1), "ACCOUNT_CASH"),
    ("other runs' entries", make_order(50), with_account(make_view(), other_symbol_buys_e8=20_000 * E8),
     make_order(51), with_account(make_view(), other_symbol_buys_e8=20_000 * E8), "MAX_POSITION"),
    ("other runs' gross", make_order(50), with_account(make_view(), other_gross_e8=90_000 * E8,
     other_sells_e8=5_000 * E8), make_order(51), with_account(make_view(), other_gross_e8=90_000 * E8,
     other_sells_e8=5_000 * E8), "MAX_POSITION"),
    ("sanity", make_order(1), make_view(closes_ticks=(*NOISE, 10_010)), make_order(1),
     make_view(closes_ticks=(*NOISE, 10_200)), "SUSPECT_BAR"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "passing", "calm", "refused", "hit", "code"), EDGES, ids=[e[0] for e in EDGES]
)
def test_a_limit_passes_at_equality_and_refuses_just_above(
    name: str, passing: OrderRequest, calm: RunView, refused: OrderRequest, hit: RunView, code: str
) -> None:
    assert codes(passing, calm) == []
    assert code in codes(refused, hit)


@pytest.mark.parametrize("missing", ["day_start_equity_e8", "high_water_e8"])
def test_missing_input_refuses(missing: str) -> None:
    assert codes(make_order(), with_account(make_view(), **{missing: None})) == ["NO_DATA"]


def test_a_reduction_passes_limits_that_refuse_entries() -> None:
    view = with_account(make_view(**LONG_50, lag_ns=DAY, orders_this_bar=9), halt=HaltState.REDUCING)
    assert codes(make_order(50, Side.SELL, reduce_only=True), view) == []


def test_the_tag_alone_answers_as_every_fill_of_it_is_clamped() -> None:
    exits = (WorkingOrder("8:0", -1, 50, True, 10_000),)
    view = with_account(make_view(**LONG_50, working=exits), halt=HaltState.REDUCING)
    assert codes(make_order(51, Side.SELL, reduce_only=True), view) == []
    assert "REDUCING" in codes(make_order(50, Side.SELL), view)


@pytest.mark.parametrize("state", [HaltState.HALTED, HaltState.KILLED])
def test_halted_refuses_exits_too(state: HaltState) -> None:
    view = with_account(make_view(**LONG_50), halt=state, halt_scope="run-1")
    assert codes(make_order(50, Side.SELL, reduce_only=True), view) == [state.value]


def test_a_lock_binds_from_its_start_until_before_its_end() -> None:
    lock = Lock("daily_loss", "run-1", "lost", NOW, NOW + 1)
    assert codes(make_order(), with_account(make_view(), locks=(lock,))) == ["LOCKED"]
    assert codes(make_order(), with_account(make_view(now_ns=NOW + 1), locks=(lock,))) == []


def test_a_block_refuses_entries_and_lets_exits_run() -> None:
    view = with_account(make_view(**LONG_50), blocks=(Block("STALE_FEED"),))
    assert codes(make_order(), view) == ["STALE_FEED"]
    assert codes(make_order(50, Side.SELL, reduce_only=True), view) == []


def test_a_waiting_plan_is_not_counted_against_itself() -> None:
    own = WorkingOrder("0:0", 1, 100, False, 10_000)
    assert codes(make_order(100), make_view(working=(own,))) == []


def test_a_broken_control_refuses() -> None:
    view = make_view(closes_ticks=(0,) * 40)  # a return over a zero close cannot be computed
    assert "RISK_ERROR" in codes(make_order(), view)


def test_every_refusal_is_kept_and_the_first_answers() -> None:
    view = make_view(bar_requests=((1, 200),))
    refusals = RiskEngine(default_rules()).check(make_order(200), view, Stage.BINDING)
    assert [r.code for r in refusals] == ["MAX_ORDER", "DUPLICATE"]
    first = refusals[0]
    assert (first.measured, first.limit, first.setting) == ("20", "10", "max_order.equity_pct")


def test_advice_leaves_binding_controls_out() -> None:
    view = make_view(lag_ns=DAY, orders_this_bar=9)
    assert codes(make_order(), view, Stage.ADVICE) == []


def test_a_market_entry_that_gaps_past_the_collar_is_refused_at_the_fill() -> None:
    near, far = FillTerms(10_500, 10, 0), FillTerms(10_501, 10, 0)
    assert codes(make_order(), make_view(fill=near), Stage.FILL) == []
    assert codes(make_order(), make_view(fill=far), Stage.FILL) == ["PRICE_COLLAR"]
    leaving = make_order(50, Side.SELL, reduce_only=True)
    assert codes(leaving, make_view(**LONG_50, fill=FillTerms(20_000, 50, 0)), Stage.FILL) == []


def test_an_entry_is_paid_at_its_fill_by_what_the_account_has_left() -> None:
    held = make_view(fill=FillTerms(10_000, 10, E8))
    assert codes(make_order(), with_account(held, other_reserved_e8=98_999 * E8), Stage.FILL) == []
    over = with_account(held, other_reserved_e8=98_999 * E8 + 1)
    assert codes(make_order(), over, Stage.FILL) == ["ACCOUNT_CASH"]
    found = RiskEngine(default_rules()).check(make_order(), over, Stage.FILL)[0]
    assert (found.measured, found.limit) == ("1001", "1000.99999999")


def test_a_short_ties_up_own_cash_and_its_cover_frees_it() -> None:
    """Short 50 at 100: 5,000 of proceeds are owed and 5,000 of own cash stand behind them."""
    short = make_view(position_lots=-50, position_value_e8=-5_000 * E8, own_cash_flow_e8=5_000 * E8,
                      short_proceeds_e8=5_000 * E8, fill=FillTerms(10_000, 10, 0))  # fmt: skip
    spendable = 100_000 + 5_000 - 10_000
    more = make_order(10, Side.SELL)
    room = with_account(short, other_reserved_e8=(spendable - 1_000) * E8)
    assert codes(more, room, Stage.FILL) == []
    assert codes(more, with_account(short, other_reserved_e8=(spendable - 1_000) * E8 + 1), Stage.FILL) == [
        "ACCOUNT_CASH"
    ]


def test_accounts_are_independent() -> None:
    poor = with_account(
        make_view(), base_cash_e8=500 * E8, day_start_equity_e8=500 * E8, high_water_e8=500 * E8
    )
    assert "MAX_ORDER" in codes(make_order(10), poor)
    assert codes(make_order(10), make_view()) == []


def test_percentages_are_decimals_not_floats() -> None:
    rules = default_rules()
    assert isinstance(rules.controls.max_order.equity_pct, Decimal)


def test_the_mandate_binds_where_max_order_is_switched_off() -> None:
    engine = RiskEngine(parse_rules("schema = 1\n[controls.max_order]\nenabled = false"))
    view = make_view(allocation_e8=1_000 * E8)
    assert engine.check(make_order(10), view, Stage.BINDING) == ()
    assert [found.setting for found in engine.check(make_order(11), view, Stage.BINDING)] == [
        "mandate.allocation"
    ]
