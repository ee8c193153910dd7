"""Every control just under, at and just over its limit, and without each input that it reads: one table.

Printed as the surfaces print refusals by `python -m pytest tests/unit/risk/test_every_control.py -n0 -s -k table`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields, replace
from decimal import Decimal
from typing import Any

import pytest
from support.risk import DAY, NOW, make_bar, make_order, make_view

from inalpha.cli.output import refusal_text
from inalpha.kernel.gateway import NoRisk
from inalpha.model.bar import Bar
from inalpha.model.instrument import Instrument
from inalpha.model.money import E8
from inalpha.model.order import OrderRequest, OrderType, Side
from inalpha.model.risk import Block, FillTerms, Lock, Refusal, RunView, Stage, WorkingOrder
from inalpha.model.states import HaltState
from inalpha.risk.controls.base import figure
from inalpha.risk.engine import REGISTRY, RiskEngine
from inalpha.risk.inputs import INPUTS
from inalpha.risk.rules import Rules, default_rules, parse_rules

HOUR = DAY // 24
# 2024-10-04 is a Friday; the currency week ends at 17:00 in New York, which is 21:00 UTC then.
FRIDAY_CLOSE = 1_728_075_600_000_000_000
LIMIT = OrderType.LIMIT


def account(view: RunView, **changes: object) -> RunView:
    return replace(view, account=replace(view.account, **changes))  # type: ignore[arg-type]


def sized(lots: int, **changes: object) -> OrderRequest:
    return make_order(lots, **changes)


def hourly(now_ns: int, calendar: str = "fx", **changes: object) -> RunView:
    """An hourly run of that calendar at an instant."""
    market = Instrument("X", calendar=calendar)
    return make_view(timeframe_ns=HOUR, timeframe="1h", instrument=market, now_ns=now_ns, **changes)


def equity(cash_e8: int, **changes: object) -> RunView:
    return account(make_view(), base_cash_e8=cash_e8, **changes)


def returns(*last: int) -> RunView:
    """A hundred closes that go up and down by a thousandth, then these."""
    return make_view(closes_ticks=(*(10_000 + 10 * (index % 2) for index in range(100)), *last))


DEFAULTS = default_rules()
FLAT = (10_000,) * 60
RULES = parse_rules(
    'schema = 1\n[controls.allow_list]\nsymbols = ["X"]\nvenues = ["file"]\ntimeframes = ["1d"]\n'
    'candidates = ["cand-aaaaaaaaaaaa"]\n[controls.instrument]\nmin_notional = 500\n'
    '[controls.direction]\nrestricted = ["BAD"]\n'
)
SIGNED: dict[str, object] = {"venue": "file", "timeframe": "1d", "candidate": "a" * 64}
ABSOLUTE = parse_rules(
    "schema = 1\n[controls.max_order]\nnotional = 5000\n[controls.max_position]\ngross_pct = 90\n"
)


@dataclass(frozen=True)
class Row:
    """One limit: an order and a view just under, at and just over it. at_refuses: of a trigger. under None: no such."""

    name: str
    code: str
    under: tuple[OrderRequest, RunView] | None
    at: tuple[OrderRequest, RunView] | None
    over: tuple[OrderRequest, RunView]
    at_refuses: bool = False
    rules: Rules = DEFAULTS
    stage: Stage = Stage.BINDING


def views(order: OrderRequest, under: RunView, at: RunView, over: RunView) -> tuple[Any, Any, Any]:
    return (order, under), (order, at), (order, over)


def orders(view: RunView, under: OrderRequest, at: OrderRequest, over: OrderRequest) -> tuple[Any, Any, Any]:
    return (under, view), (at, view), (over, view)


def prices(*ticks: int) -> list[OrderRequest]:
    return [make_order(limit_ticks=price, type=LIMIT) for price in ticks]


def counted(count: int) -> tuple[int, ...]:
    return (NOW,) * count


SHARED = make_view(allocation_e8=1_000 * E8)
OTHERS = account(make_view(), other_symbol_value_e8=20_000 * E8, other_gross_e8=20_000 * E8)
TABLE = [
    Row("P1 price_collar", "PRICE_COLLAR", *orders(make_view(), *prices(10_499, 10_500, 10_501))),
    Row("P1 at the fill", "PRICE_COLLAR",
        *views(make_order(), *(make_view(fill=FillTerms(price, 10, 0)) for price in (10_499, 10_500, 10_501))),
        stage=Stage.FILL),
    Row("P2 price_drift", "PRICE_DRIFT",
        *views(make_order(), *(make_view(plan_close_ticks=1_000_000, bar=make_bar(close))
                               for close in (1_009_999, 1_010_000, 1_010_001)))),
    Row("P3 equity_pct", "MAX_ORDER", *orders(make_view(), sized(99), sized(100), sized(101))),
    Row("P3 notional", "MAX_ORDER", *orders(make_view(), sized(49), sized(50), sized(51)), rules=ABSOLUTE),
    Row("P3 allocation", "MAX_ORDER", *orders(SHARED, sized(9), sized(10), sized(11))),
    Row("P4 symbol_pct", "MAX_POSITION", *orders(OTHERS, sized(49), sized(50), sized(51))),
    Row("P4 gross_pct", "MAX_POSITION",
        *orders(account(make_view(), other_gross_e8=85_000 * E8), sized(49), sized(50), sized(51)), rules=ABSOLUTE),
    Row("P4 net_pct", "MAX_POSITION",
        *orders(account(make_view(), other_value_e8=0, other_buys_e8=95_000 * E8), sized(49), sized(50), sized(51))),
    Row("P5 max_open", "MAX_OPEN",
        *views(make_order(), *(make_view(working=tuple(WorkingOrder(f"9:{n}", 1, 1, False, 10_000) for n in range(k)))
                               for k in (3, 4, 5)))),
    Row("P6 per_bar", "ORDER_RATE", *views(make_order(), *(make_view(orders_this_bar=n) for n in (0, 1, 2)))),
    Row("P6 per_hour", "ORDER_RATE",
        *views(make_order(), *(make_view(recent_orders_ns=counted(n)) for n in (10, 11, 12)))),
    Row("P6 per_day", "ORDER_RATE",
        *views(make_order(), *(make_view(recent_orders_ns=(NOW - DAY // 2,) * n) for n in (48, 49, 50)))),
    Row("P8 repeated_execution", "REPEATED_EXECUTION",
        *views(make_order(), *(make_view(entry_fills_ns=((NOW, 1),) * n) for n in (19, 20, 21)))),
    Row("P9 duplicate", "DUPLICATE", (make_order(9), make_view(bar_requests=((1, 10),))), None,
        (make_order(10), make_view(bar_requests=((1, 10),)))),
    Row("P10 symbol of the run", "ALLOW_LIST", (make_order(), make_view()), None,
        (make_order(), make_view(instrument=Instrument("Y")))),
    Row("P10 symbols", "ALLOW_LIST", (make_order(), make_view(**SIGNED)), None,
        (make_order(), make_view(**SIGNED, symbol="Y", instrument=Instrument("Y"))), rules=RULES),
    Row("P10 venues", "ALLOW_LIST", (make_order(), make_view(**SIGNED)), None,
        (make_order(), make_view(**SIGNED | {"venue": "sim"})), rules=RULES),
    Row("P10 timeframes", "ALLOW_LIST", (make_order(), make_view(**SIGNED)), None,
        (make_order(), make_view(**SIGNED | {"timeframe": "1h"})), rules=RULES),
    Row("P10 candidates", "ALLOW_LIST", (make_order(), make_view(**SIGNED)), None,
        (make_order(), make_view(**SIGNED | {"candidate": "b" * 64})), rules=RULES),
    Row("P11 direction", "DIRECTION", (make_order(), make_view()), None, (make_order(1, Side.SELL), make_view())),
    Row("P11 restricted", "DIRECTION", (make_order(), make_view(**SIGNED)), None,
        (make_order(), make_view(**SIGNED, symbol="BAD", instrument=Instrument("BAD"))), rules=RULES),
    Row("P12 cash", "ACCOUNT_CASH",
        *views(make_order(10), *(account(make_view(), other_reserved_e8=98_999 * E8 + n) for n in (-1, 0, 1)))),
    Row("P12 at the fill", "ACCOUNT_CASH",
        *views(make_order(10), *(account(make_view(fill=FillTerms(10_000, 10, E8)), other_reserved_e8=98_999 * E8 + n)
                                 for n in (-1, 0, 1))), stage=Stage.FILL),
    Row("P13 lot", "INSTRUMENT", (sized(2), make_view()), (sized(1), make_view()), (sized(0), make_view())),
    Row("P13 tick", "INSTRUMENT", *((make_order(limit_ticks=ticks, type=LIMIT), make_view(bar=make_bar(1)))
                                    for ticks in (2, 1, 0))),  # type: ignore[arg-type]
    Row("P13 min_notional of the market", "INSTRUMENT",
        *orders(make_view(instrument=Instrument("X", min_notional_e8=500 * E8)), sized(6), sized(5), sized(4))),
    Row("P13 min_notional of the rules", "INSTRUMENT",
        *orders(make_view(**SIGNED), sized(6), sized(5), sized(4)), rules=RULES),
    Row("P14 market_hours", "MARKET_HOURS",
        *views(make_order(), *(hourly(FRIDAY_CLOSE + n) for n in (-HOUR, -1, 0)))),
    Row("P15 max_lag_s", "STALE_BAR", *views(make_order(), *(make_view(lag_ns=DAY // 10 + n) for n in (-1, 0, 1)))),
    Row("P16 sigmas", "SUSPECT_BAR", (make_order(), returns(10_010, 10_018)), None,
        (make_order(), returns(10_010, 10_200))),
    Row("P16 without spread", "SUSPECT_BAR", (make_order(), make_view(closes_ticks=(*FLAT, 10_000))), None,
        (make_order(), make_view(closes_ticks=(*FLAT, 10_001)))),
    Row("T1 daily_loss", "DAILY_LOSS",
        *views(make_order(1), *(equity(98_000 * E8 + n) for n in (1, 0, -1))), at_refuses=True),
    Row("T2 drawdown", "DRAWDOWN",
        *views(make_order(1), *(equity(90_000 * E8 + n, day_start_equity_e8=90_000 * E8) for n in (1, 0, -1))),
        at_refuses=True),
    Row("lock", "LOCKED",
        *views(make_order(), *(account(make_view(now_ns=now), locks=(Lock("Cooldown", "X", "closed", NOW, NOW + DAY),))
                               for now in (NOW + DAY, NOW + DAY - 1, NOW))), at_refuses=True),
    Row("lock MarketHours", "LOCKED",
        *views(make_order(), *(hourly(FRIDAY_CLOSE + n) for n in (-HOUR, -1, 0)))),
    Row("block", "FEED_LOST", (make_order(), make_view()), None,
        (make_order(), account(make_view(), blocks=(Block("FEED_LOST", "T7", "5", "5", "failures"),)))),
    *(Row(f"T6 {state}", state.value, (make_order(), make_view()), None,
          (make_order(), account(make_view(), halt=state, halt_scope="all")))
      for state in (HaltState.REDUCING, HaltState.HALTED, HaltState.KILLED)),
]  # fmt: skip
BY_NAME = {row.name: row for row in TABLE}


def refused(row: Row, case: tuple[OrderRequest, RunView]) -> list[Refusal]:
    """The refusals of this row's code, or of a missing input."""
    order, view = case
    found = RiskEngine(row.rules).check(order, view, row.stage)
    return [one for one in found if one.code in (row.code, "NO_DATA", "RISK_ERROR")]


@pytest.mark.parametrize("name", BY_NAME)
def test_just_under_passes_at_is_as_told_and_just_over_refuses(name: str) -> None:
    row = BY_NAME[name]
    if row.under is not None:
        assert refused(row, row.under) == []
    if row.at is not None:
        assert bool(refused(row, row.at)) is row.at_refuses
    assert [one.code for one in refused(row, row.over)] == [row.code]


@pytest.mark.parametrize("name", BY_NAME)
def test_figures_are_decimal_strings_that_show_why(name: str) -> None:
    row = BY_NAME[name]
    (one,) = refused(row, row.over)
    assert one.control and one.unit and one.setting and one.message
    try:
        measured, limit = Decimal(one.measured or ""), Decimal(one.limit or "")
    except ArithmeticError:
        return  # names and states, and an order that is either equal to another or not
    assert measured != limit or one.code == "FEED_LOST"
    assert "E" not in f"{one.measured}{one.limit}"


def test_every_control_of_the_engine_stands_in_the_table() -> None:
    ids = {one.control for row in TABLE for one in refused(row, row.over)}
    assert {f"P{n}" for n in (1, 2, 3, 4, 5, 6, 8, 9, 10, 11, 12, 13, 14, 15, 16)} | {"T1", "T2", "T6"} <= ids


def spoilt(name: str, value: object, order: OrderRequest, view: RunView) -> tuple[OrderRequest, RunView]:
    """The same with one input replaced."""
    head, _, tail = name.removesuffix("[]").partition(".")
    given = (value,) if name.endswith("[]") and value is not None else value
    if head == "order":
        return replace(order, **{tail: given}), view  # type: ignore[arg-type]
    if not tail:
        return order, replace(view, **{head: given})  # type: ignore[arg-type]
    part: Any = getattr(view, head)
    if isinstance(part, Bar):
        members = {field: getattr(part, field) for field in Bar.__struct_fields__}
        return order, replace(view, bar=Bar(**members | {tail: given}))
    made = object.__new__(type(part))  # an instrument's own check would refuse it before anybody asks
    for field in fields(part):
        object.__setattr__(made, field.name, given if field.name == tail else getattr(part, field.name))
    return order, replace(view, **{head: made})


@pytest.mark.parametrize("value", [math.nan, None], ids=["NaN", "missing"])
@pytest.mark.parametrize("section", INPUTS)
def test_an_input_that_is_missing_or_no_number_refuses(section: str, value: float | None) -> None:
    for name in INPUTS[section]:
        order, view = spoilt(name, value, make_order(), make_view(working=()))
        found = RiskEngine(default_rules()).check(order, view, Stage.BINDING)
        assert (section, "NO_DATA") in {(one.setting, one.code) for one in found}, name


@pytest.mark.parametrize("section", [section for section, _ in REGISTRY if section not in INPUTS])
def test_what_reads_no_number_is_asked_for_its_names(section: str) -> None:
    """max_open counts orders. allow_list reads names: each that a list asks for must be known."""
    if section != "allow_list":
        return
    for name in ("venue", "timeframe", "candidate"):
        for value in ("", None):
            view = make_view(**SIGNED | {name: value})
            assert "NO_DATA" in {
                one.code for one in RiskEngine(RULES).check(make_order(), view, Stage.BINDING)
            }


@pytest.mark.parametrize("calendar", ["nowhere", ""])
def test_an_unknown_calendar_refuses(calendar: str) -> None:
    found = RiskEngine(default_rules()).check(make_order(), hourly(NOW, calendar), Stage.BINDING)
    assert {(one.code, one.setting) for one in found} == {
        ("NO_DATA", "market_hours"),
        ("NO_DATA", "MarketHours"),
    }


@pytest.mark.parametrize("calendar", ["24/7", "weekdays", "fx", "XNYS"])
def test_bars_of_a_day_pass_a_closed_market(calendar: str) -> None:
    sunday = FRIDAY_CLOSE + 36 * HOUR
    view = make_view(instrument=Instrument("X", calendar=calendar), now_ns=sunday)
    assert RiskEngine(default_rules()).check(make_order(), view, Stage.BINDING) == ()


def test_a_halt_that_cannot_be_read_stops_exits_too() -> None:
    view = account(make_view(position_lots=50), halt=None)
    exit_order = make_order(50, Side.SELL, reduce_only=True)
    assert [one.code for one in RiskEngine(default_rules()).check(exit_order, view, Stage.BINDING)] == [
        "RISK_ERROR"
    ]


def test_a_minimum_never_stops_a_reduction_and_a_lot_does() -> None:
    view = make_view(instrument=Instrument("X", min_notional_e8=500 * E8), position_lots=5)
    leaving = make_order(1, Side.SELL, reduce_only=True)
    engine = RiskEngine(default_rules())
    assert engine.check(leaving, view, Stage.BINDING) == ()
    assert [one.code for one in engine.check(replace(leaving, quantity_lots=0), view, Stage.BINDING)] == [
        "INSTRUMENT"
    ]


@pytest.mark.parametrize("name", [row.name for row in TABLE if row.name[:2] not in ("T6",)])
def test_a_reduction_passes_every_limit_of_entries(name: str) -> None:
    row = BY_NAME[name]
    if row.name in ("P13 lot", "P13 tick") or row.stage is Stage.FILL:
        return
    order, view = row.over
    leaving = replace(order, side=Side.SELL, reduce_only=True)
    assert RiskEngine(row.rules).check(leaving, replace(view, position_lots=10_000), Stage.BINDING) == ()


def test_without_risk_nothing_of_the_engine_is_asked() -> None:
    assert all(NoRisk().check(row.over[0], row.over[1], Stage.BINDING) == () for row in TABLE)


@pytest.mark.parametrize(
    ("numerator", "denominator", "limit", "below", "text"),
    [
        (10, 1, "10", False, "10"),
        (100_000_001, 10_000_000, "10", False, "10.0000001"),
        (360_000_000_001, 10**9, "360", False, "360.000000001"),
        (12_341, 1000, "10", False, "12.35"),
        (4_999_999, 10**6, "5", True, "4.999999"),
        (42_349, 10**4, "5", True, "4.23"),
        (1, 3, "0", False, "0.34"),
        (1, 10**30, "0", False, "0.000000000000000001"),
    ],
)
def test_a_figure_never_prints_like_a_limit_that_it_missed(
    numerator: int, denominator: int, limit: str, below: bool, text: str
) -> None:
    assert figure(numerator, denominator, limit, below=below) == text


def test_table_prints_what_a_person_reads_of_each(request: pytest.FixtureRequest) -> None:
    """With -s, for the record."""
    told = []
    for row in TABLE:
        for place, case in (("under", row.under), ("at", row.at), ("over", row.over)):
            found = refused(row, case) if case is not None else None
            text = "-" if found is None else "pass" if not found else refusal_text(vars_of(found[0]))
            told.append(f"{row.name:32} {place:6} {text}")
    assert len(told) == 3 * len(TABLE)
    if request.config.getoption("capture") == "no":
        print("\n".join(told))  # noqa: T201


def vars_of(one: Refusal) -> dict[str, Any]:
    return {field.name: getattr(one, field.name) for field in fields(one)}
