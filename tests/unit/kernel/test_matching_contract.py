"""The matching contract, one test per rule and named by it. docs/matching.md lists both.

Prices are ticks. A bar is (open, high, low, close). Orders are placed on bar 0, whose close is 10000.
"""

from __future__ import annotations

import pytest
from support.bench import Bench, bench, buy, make_bar, make_spec, sell

from inalpha.kernel.costs import FeeModel, SlippageModel
from inalpha.kernel.matching import Phase, match
from inalpha.kernel.records import Fill
from inalpha.model.money import E8
from inalpha.model.order import OrderState, OrderType

FLAT = (10000, 10000, 10000, 10000)
NO_FEE = FeeModel("bps", 0)


def holding(*orders: dict[str, object], **spec: object) -> Bench:
    """A run that is long 10 at the close of bar 1 and places orders there."""
    made = Bench(make_spec(fee=NO_FEE, **spec), {0: [buy("10")], 1: list(orders)})
    made.feed(FLAT, FLAT)
    return made


def one(made: Bench) -> Fill:
    assert len(made.fills) == 1
    return made.fills[0]


def test_m1_an_order_is_not_filled_by_the_bar_that_decided_it() -> None:
    made = bench({0: [buy()]}, FLAT)
    assert made.fills == []
    made.feed((10100, 10200, 10000, 10150))
    assert made.prices() == [(1, 10100)]


def test_m1_an_approval_inside_a_bar_works_from_the_next_open() -> None:
    made = Bench(make_spec(approval="human"), {0: [buy()]})
    made.feed(FLAT)
    half_a_bar_later = made.kernel.now_ns + 30_000_000_000
    assert made.command("approve", half_a_bar_later, intent="0:0").accepted
    made.feed((10100, 10200, 10000, 10150), (10300, 10400, 10200, 10300))
    assert made.prices() == [(2, 10300)]


def test_m2_same_close_fills_at_the_deciding_close() -> None:
    made = bench({0: [buy()]}, (10000, 10200, 9900, 10150), fill="same_close")
    assert made.prices() == [(0, 10150)]


@pytest.mark.parametrize(("limit", "filled"), [("101.50", True), ("101.49", False)])
def test_m2_an_ioc_limit_is_tested_against_the_deciding_close(limit: str, filled: bool) -> None:
    script = {0: [buy(limit=limit, tif="IOC")]}
    made = bench(script, (10000, 10200, 9900, 10150), (9000, 9000, 9000, 9000), fill="same_close")
    assert bool(made.fills) is filled
    assert made.ends[0].code == ("" if filled else "IOC_UNFILLED")


def test_m3_one_bar_fills_an_order_once() -> None:
    made = bench(
        {0: [buy("100", limit="100")]}, FLAT, fee=NO_FEE, participation_cap_e8=E8 // 10
    )  # a tenth of a volume of 100 is 10
    made.feed(FLAT, FLAT, volume_e8=100 * E8)
    assert [(fill.bar, fill.quantity_lots) for fill in made.fills] == [(1, 10), (2, 10)]


def test_m4_market_then_gapped_then_stops_then_limits() -> None:
    script = {
        0: [buy("40")],
        1: [
            sell("10", limit="103"),
            sell("10", stop="97"),
            sell("10", limit="100.50"),
            sell("10"),
        ],
    }
    made = bench(script, FLAT, FLAT, (10100, 10400, 9600, 10000), fee=NO_FEE)
    assert [(fill.intent, fill.price_ticks) for fill in made.fills[1:]] == [
        ("1:3", 10100),
        ("1:2", 10100),
        ("1:1", 9700),
        ("1:0", 10300),
    ]


def test_m4_within_a_class_by_order_number() -> None:
    made = bench({0: [buy("1", limit="99"), buy("2", limit="99")]}, FLAT, (10000, 10000, 9800, 9900))
    assert [fill.intent for fill in made.fills] == ["0:0", "0:1"]


def test_m5_market_fills_at_the_open() -> None:
    made = bench({0: [buy()]}, FLAT, (10123, 10400, 9600, 10000))
    assert one(made).price_ticks == 10123


def test_m6_a_limit_improves_at_the_open() -> None:
    made = bench({0: [buy(limit="100")]}, FLAT, (9900, 10100, 9800, 10000))
    assert one(made).price_ticks == 9900


def test_m6_mirrored_a_sell_limit_improves_at_the_open() -> None:
    made = holding(sell("10", limit="100"))
    made.feed((10100, 10200, 9900, 10000))
    assert made.prices()[-1] == (2, 10100)


@pytest.mark.parametrize(("limit_fill", "filled"), [("touch", True), ("through", False)])
def test_m7_a_touch_fills_unless_through_is_asked(limit_fill: str, filled: bool) -> None:
    made = bench({0: [buy(limit="99")]}, FLAT, (10000, 10000, 9900, 9950), limit_fill=limit_fill)
    assert bool(made.fills) is filled
    if filled:
        assert one(made).price_ticks == 9900


def test_m8_limits_never_slip() -> None:
    slippage = SlippageModel("ticks", 50 * E8)
    made = bench({0: [buy(limit="99")]}, FLAT, (10000, 10000, 9800, 9950), slippage=slippage)
    assert one(made).price_ticks == 9900


def test_m8_stop_limits_never_slip() -> None:
    slippage = SlippageModel("ticks", 50 * E8)
    made = bench({0: [buy(stop="101", limit="102")]}, FLAT, (10000, 10300, 10000, 10100), slippage=slippage)
    assert one(made).price_ticks == 10100


def test_m9_gap_through_a_stop_fills_at_the_open() -> None:
    made = bench({0: [buy(stop="101")]}, FLAT, (10500, 10600, 10400, 10500))
    assert one(made).price_ticks == 10500


def test_m9_mirrored_a_long_stopped_by_a_gap_gets_the_open() -> None:
    made = holding(sell("10", stop="97"))
    made.feed((9500, 9600, 9400, 9500))
    assert made.prices()[-1] == (2, 9500)


def test_m10_a_stop_inside_the_bar_fills_at_the_stop() -> None:
    made = bench({0: [buy(stop="101")]}, FLAT, (10000, 10200, 9900, 10150))
    assert one(made).price_ticks == 10100


def test_m11_a_stop_limit_triggered_at_the_open_is_a_limit_at_once() -> None:
    made = bench({0: [buy(stop="101", limit="102")]}, FLAT, (10500, 10600, 10150, 10300))
    assert one(made).price_ticks == 10200


def test_m12_a_stop_limit_triggered_inside_fills_at_the_stop() -> None:
    made = bench({0: [buy(stop="101", limit="102")]}, FLAT, (10000, 10300, 9900, 10200))
    assert one(made).price_ticks == 10100


def test_m12_a_stop_beyond_its_limit_waits_for_the_next_bar() -> None:
    made = bench({0: [buy(stop="102", limit="101")]}, FLAT, (10000, 10300, 9900, 10200))
    assert made.fills == []
    assert made.kernel.orders[0].state is OrderState.TRIGGERED
    made.feed((10200, 10300, 10050, 10200))
    assert made.prices() == [(2, 10100)]


def test_m13_children_exist_from_the_fill_for_the_filled_quantity() -> None:
    made = bench({0: [buy("7", stop_loss="95", take_profit="110")]}, FLAT)
    assert len(made.kernel.orders) == 1
    made.feed(FLAT)
    assert [(order.child, order.remaining_lots) for order in made.kernel.orders] == [
        ("stop_loss", 7),
        ("take_profit", 7),
    ]


def test_m14_after_an_entry_at_the_open_children_may_fill_in_that_bar() -> None:
    made = bench({0: [buy(stop_loss="95")]}, FLAT, (10000, 10000, 9400, 9450))
    assert made.prices() == [(1, 10000), (1, 9500)]


def test_m14_after_an_entry_inside_the_bar_children_wait() -> None:
    made = bench({0: [buy(limit="98", stop_loss="95")]}, FLAT, (10000, 10000, 9400, 9450))
    assert made.prices() == [(1, 9800)]
    made.feed((9450, 9500, 9400, 9450))
    assert made.prices()[-1] == (2, 9450)


def test_m14_an_entry_that_opens_beyond_its_stop_leaves_at_that_open() -> None:
    made = bench({0: [buy(limit="98", stop_loss="95")]}, FLAT, (9400, 9600, 9300, 9450))
    assert made.prices() == [(1, 9400), (1, 9400)]


def test_m15_stop_and_target_in_one_bar_the_stop_fills() -> None:
    made = bench({0: [buy(stop_loss="95", take_profit="105")]}, FLAT, FLAT, (10000, 10600, 9400, 10000))
    assert (made.fills[-1].child, made.fills[-1].price_ticks) == ("stop_loss", 9500)


def test_m15_unless_the_open_is_beyond_the_target() -> None:
    made = bench({0: [buy(stop_loss="95", take_profit="105")]}, FLAT, FLAT, (10700, 10800, 9400, 10000))
    assert (made.fills[-1].child, made.fills[-1].price_ticks) == ("take_profit", 10700)


def test_m16_a_childs_fill_cancels_its_sibling() -> None:
    made = bench({0: [buy(stop_loss="95", take_profit="105")]}, FLAT, FLAT, (10000, 10600, 9800, 10000))
    assert made.kernel.orders == ()
    assert ("take_profit", OrderState.FILLED) in [(end.child, end.state) for end in made.ends]
    assert ("stop_loss", "OCO") in [(end.child, end.code) for end in made.ends]


def test_m16_a_position_closed_otherwise_cancels_both() -> None:
    made = bench({0: [buy(stop_loss="95", take_profit="105")], 1: [sell()]}, FLAT, FLAT, FLAT)
    assert made.kernel.position_lots == 0
    assert [(end.child, end.code) for end in made.ends if end.child] == [
        ("stop_loss", "POSITION_CLOSED"),
        ("take_profit", "POSITION_CLOSED"),
    ]


def test_m17_a_larger_reduce_only_is_clamped() -> None:
    made = holding(sell("25", reduce_only=True))
    made.feed(FLAT)
    assert made.fills[-1].quantity_lots == 10
    assert made.kernel.position_lots == 0
    assert made.kernel.orders == ()


def test_m16_a_position_that_becomes_flat_ends_every_exit() -> None:
    made = holding(sell("10", limit="110", reduce_only=True), sell("5", stop="90"), sell("10"))
    made.feed(FLAT, (11100, 11200, 11000, 11100))
    ended = [(end.intent, end.code) for end in made.ends if end.code]
    assert ended == [("1:0", "POSITION_CLOSED"), ("1:1", "POSITION_CLOSED")]


def test_m17_an_exit_is_refused_where_nothing_is_left_to_reduce() -> None:
    made = Bench(make_spec(), {0: [sell("10", reduce_only=True)]})
    assert [decision.code for decision in made.feed(FLAT).decisions] == ["NOTHING_TO_REDUCE"]


def test_m18_gtd_matches_a_bar_that_closes_at_its_end_and_no_later() -> None:
    two_bars = make_bar(FLAT, 1).close_time_ns
    order = buy(limit="99", tif="GTD", expires=two_bars)
    touched = bench({0: [order]}, FLAT, (10000, 10000, 9900, 9950))
    assert touched.prices() == [(1, 9900)]
    late = bench({0: [order]}, FLAT, FLAT, (10000, 10000, 9900, 9950))
    assert late.fills == []
    assert [(end.state, end.code) for end in late.ends] == [(OrderState.EXPIRED, "EXPIRED")]


def test_m19_cash_short_at_the_fill_cancels_the_whole_order() -> None:
    made = bench({0: [buy("10")]}, FLAT, opening_cash_e8=1_002 * E8)
    made.feed((10050, 10100, 10000, 10050))
    assert made.fills == []
    assert made.ends[0].code == "INSUFFICIENT_CASH"
    assert made.kernel.book.cash_e8 == 1_002 * E8


def test_m20_fills_are_complete_without_a_cap() -> None:
    made = bench({0: [buy("500")]}, FLAT, fee=NO_FEE)
    made.feed(FLAT, volume_e8=E8)
    assert one(made).quantity_lots == 500
    assert one(made).warning == "PARTICIPATION"


def test_m20_a_cap_cancels_the_rest_of_an_ioc() -> None:
    made = bench({0: [buy("100", tif="IOC")]}, FLAT, participation_cap_e8=E8 // 10)
    made.feed(FLAT, volume_e8=100 * E8)
    assert one(made).quantity_lots == 10
    assert made.ends[-1].code == "IOC_UNFILLED"


@pytest.mark.parametrize("kind", list(OrderType))
@pytest.mark.parametrize("side", [1, -1])
@pytest.mark.parametrize("phase", list(Phase))
def test_m21_price_before_slippage_lies_inside_the_bar(kind: OrderType, side: int, phase: Phase) -> None:
    bar = make_bar((100, 104, 97, 101), 0)
    for limit in range(95, 107):
        for stop in range(95, 107):
            found = match(phase, kind, side, limit, stop, bar)
            if found is not None and found.price_ticks is not None:
                assert bar.low_ticks <= found.price_ticks <= bar.high_ticks


def test_m22_fill_time_is_the_open_for_an_open_price_else_the_close() -> None:
    made = bench({0: [buy(), buy(limit="99")]}, FLAT, (10000, 10000, 9800, 9900))
    bar = make_bar(FLAT, 1)
    assert [fill.time_ns for fill in made.fills] == [bar.open_time_ns, bar.close_time_ns]


def test_m24_an_anomaly_fills_nothing() -> None:
    made = bench({0: [buy(limit="99")]}, FLAT)
    head = made.kernel.head
    made.kernel.anomaly("REVISION", "low 9000 instead of 9900")
    assert made.kernel.orders[0].state is OrderState.ACCEPTED
    assert made.kernel.head != head


def test_m25_the_end_cancels_orders_and_leaves_the_position() -> None:
    made = holding(sell("10", limit="120"))
    result = made.command("end")
    assert [(end.intent, end.code) for end in result.ended] == [("1:0", "RUN_ENDED")]
    assert made.kernel.position_lots == 10


def test_m26_an_exit_decided_on_a_stale_bar_works_from_the_first_bar_after_its_arrival() -> None:
    made = Bench(make_spec(fee=NO_FEE), {0: [buy("10")], 2: [sell("10", reduce_only=True)]})
    made.feed(FLAT, FLAT)
    made.feed(FLAT, lag_ns=150_000_000_000)  # two and a half bars late
    made.feed((9900,) * 4, (9800,) * 4, (9700,) * 4, (9600,) * 4)
    assert made.prices()[-1] == (6, 9600)


def test_slippage_goes_against_the_order_and_rounds_against_it() -> None:
    slippage = SlippageModel("bps", 1 * E8)  # 1 bp of 101.23 is a hundredth of a tick over one tick
    made = bench({0: [buy()], 1: [sell()]}, FLAT, (10123,) * 4, (10123,) * 4, slippage=slippage, fee=NO_FEE)
    assert [fill.price_ticks for fill in made.fills] == [10125, 10121]


def test_volume_share_slippage_by_hand() -> None:
    # 10 of 1000 units is 1 %: 0.1 * 0.01^2 = 1e-5 of 10000 ticks, a tenth of a tick, rounded up to one.
    model = SlippageModel("volume_share")
    assert model.slipped_ticks(10_000, 1, 10 * E8, 1000 * E8) == 10_001
    # Capped at 2.5 %: 0.1 * 0.025^2 = 6.25e-5 of 1,000,000 ticks.
    assert model.slipped_ticks(1_000_000, -1, 500 * E8, 1000 * E8) == 1_000_000 - 63


@pytest.mark.parametrize(
    ("fee", "expected"),
    [
        (FeeModel.bps("10"), 10 * E8 // 10),  # 0.1 % of 1000
        (FeeModel("fixed", 3 * E8), 3 * E8),
        (FeeModel("per_unit", E8 // 100), E8 // 10),
    ],
)
def test_fee_models(fee: FeeModel, expected: int) -> None:
    assert fee.fee_e8(1000 * E8, 10 * E8) == expected


def test_m3_a_stop_limit_part_filled_at_its_stop_is_not_filled_again_as_a_limit() -> None:
    made = bench({0: [buy("100", stop="101", limit="102")]}, FLAT, participation_cap_e8=E8 // 10)
    made.feed((10000, 10300, 9900, 10200), volume_e8=100 * E8)
    assert [(fill.quantity_lots, fill.price_ticks) for fill in made.fills] == [(10, 10100)]
