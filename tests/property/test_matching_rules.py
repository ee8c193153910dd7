"""Each matching rule as a property over random bars; docs/matching.md lists the rules.

An order is placed on a flat bar 0 at 100.00 and meets random bars. Every rule is written for buys;
`test_sells_mirror_buys` carries all of them over to sells. Prices are ticks of 0.01.
"""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from support.bench import START_NS, Bench, Prices, buy, make_spec, sell

from inalpha.kernel.costs import FeeModel, SlippageModel
from inalpha.model.money import E8
from inalpha.model.order import OrderState

FLAT: Prices = (10000, 10000, 10000, 10000)
NO_FEE = FeeModel("bps", 0)
MIRROR = 20000


@st.composite
def bar(draw: st.DrawFn) -> Prices:
    open_, close = draw(st.integers(9000, 11000)), draw(st.integers(9000, 11000))
    return (
        open_,
        max(open_, close) + draw(st.integers(0, 400)),
        min(open_, close) - draw(st.integers(0, 400)),
        close,
    )


LEVEL = st.integers(9000, 11000)
BARS = st.lists(bar(), min_size=1, max_size=4)


def text(ticks: int) -> str:
    return f"{ticks / 100:.2f}"


def play(bars: list[Prices], *orders: dict[str, Any], held: str = "", **spec: Any) -> Bench:
    """Orders placed on bar 0; with held, they come a bar later and that many are long by then."""
    script = {0: [buy(held)], 1: list(orders)} if held else {0: list(orders)}
    members = {"fee": NO_FEE, "allow_short": True, "opening_cash_e8": 10**7 * E8, **spec}
    made = Bench(make_spec(**members), script)
    made.feed(*[FLAT] * (2 if held else 1))
    made.feed(*bars)
    return made


def first(made: Bench, before: int = 0) -> tuple[int, int] | None:
    """(bar after the deciding one, price) of the first fill behind the `before` ones."""
    fills = made.prices()[before:]
    return (fills[0][0] - before - 1, fills[0][1]) if fills else None


@given(bars=BARS, limit=LEVEL, stop=LEVEL, kind=st.sampled_from(["market", "limit", "stop", "stop_limit"]))
def test_sells_mirror_buys(bars: list[Prices], limit: int, stop: int, kind: str) -> None:
    """Turned upside down around 100.00 a sell meets the same bars at the same distances."""
    turned = [(MIRROR - o, MIRROR - low, MIRROR - high, MIRROR - c) for o, high, low, c in bars]
    prices = (
        {"limit": limit, "stop": stop}
        if kind == "stop_limit"
        else {kind: {"limit": limit, "stop": stop}.get(kind)}
    )
    wanted = {name: value for name, value in prices.items() if value is not None and name != "market"}
    bought = play(bars, buy(**{name: text(value) for name, value in wanted.items()}))
    sold = play(turned, sell(**{name: text(MIRROR - value) for name, value in wanted.items()}))
    assert [(at, MIRROR - price) for at, price in sold.prices()] == bought.prices()


@given(bars=BARS)
def test_m1_m5_m22_a_market_order_gets_the_next_open_at_its_time(bars: list[Prices]) -> None:
    made = play(bars, buy())
    assert made.prices() == [(1, bars[0][0])]
    assert made.fills[0].time_ns == made.results[1].bar.open_time_ns


@given(close=LEVEL, bars=BARS)
def test_m2_under_same_close_the_deciding_close_pays(close: int, bars: list[Prices]) -> None:
    made = Bench(make_spec(fee=NO_FEE, fill="same_close"), {0: [buy()]})
    made.feed((10000, max(10000, close), min(10000, close), close), *bars)
    assert made.prices() == [(0, close)]


@given(bars=BARS, limit=LEVEL, stop=st.none() | LEVEL, cap=st.integers(1, 9), volume=st.integers(0, 200))
def test_m3_m20_one_fill_a_bar_within_the_cap_until_whole(
    bars: list[Prices], limit: int, stop: int | None, cap: int, volume: int
) -> None:
    order = buy("50", limit=text(limit), **({} if stop is None else {"stop": text(stop)}))
    made = Bench(make_spec(fee=NO_FEE, participation_cap_e8=cap * E8 // 10), {0: [order]})
    made.feed(FLAT)
    made.feed(*bars, volume_e8=volume * E8)
    at = [fill.bar for fill in made.fills]
    assert len(at) == len(set(at))
    assert all(fill.quantity_lots <= cap * volume // 10 for fill in made.fills)
    assert sum(fill.quantity_lots for fill in made.fills) <= 50
    uncapped = play(bars, order)
    assert all(fill.quantity_lots == 50 for fill in uncapped.fills)


@given(bars=BARS, levels=st.lists(st.tuples(st.sampled_from(["limit", "stop", "market"]), LEVEL), max_size=5))
def test_m4_phases_come_in_order_and_older_orders_first(
    bars: list[Prices], levels: list[tuple[str, int]]
) -> None:
    made = play(bars, *(buy(**({} if kind == "market" else {kind: text(level)})) for kind, level in levels))

    def phase(kind: str, level: int, open_: int) -> int:
        at_open = (kind == "limit" and open_ <= level) or (kind == "stop" and open_ >= level)
        return 0 if kind == "market" else 1 if at_open else 2 if kind == "stop" else 3

    seen: dict[int, list[tuple[int, int]]] = {}
    for fill in made.fills:
        number = int(fill.intent.partition(":")[2])
        kind, level = levels[number]
        seen.setdefault(fill.bar, []).append((phase(kind, level, bars[fill.bar - 1][0]), number))
    assert all(order == sorted(order) for order in seen.values())


@given(bars=BARS, limit=LEVEL, through=st.booleans())
def test_m6_m7_m8_a_limit_gets_the_better_of_open_and_limit_when_reached(
    bars: list[Prices], limit: int, through: bool
) -> None:
    made = play(
        bars, buy(limit=text(limit)), limit_fill="through" if through else "touch",
        slippage=SlippageModel("bps", 50 * E8),
    )  # fmt: skip
    want = next(
        (
            (at, min(open_, limit))
            for at, (open_, _, low, _) in enumerate(bars)
            if open_ <= limit or low < limit or (low == limit and not through)
        ),
        None,
    )
    assert first(made) == want


@given(bars=BARS, stop=LEVEL)
def test_m9_m10_a_stop_gets_the_worse_of_open_and_stop_when_reached(bars: list[Prices], stop: int) -> None:
    reached = ((at, max(open_, stop)) for at, (open_, high, _, _) in enumerate(bars) if high >= stop)
    assert first(play(bars, buy(stop=text(stop)))) == next(reached, None)


@given(bars=BARS, stop=LEVEL, limit=LEVEL)
def test_m11_m12_a_stop_limit_is_a_limit_from_its_trigger_on(
    bars: list[Prices], stop: int, limit: int
) -> None:
    want, triggered = None, False
    for at, (open_, high, low, _) in enumerate(bars):
        at_open = triggered or open_ >= stop
        if at_open and low <= limit:
            want = (at, min(open_, limit))
        elif not at_open and high >= stop and stop <= limit:
            want = (at, stop)
        if want:
            break
        triggered = triggered or high >= stop
    assert first(play(bars, buy(stop=text(stop), limit=text(limit)))) == want


@given(bars=BARS, loss=st.integers(8600, 9990), gain=st.integers(10010, 11400))
def test_m13_m14_m15_m16_a_bracket_ends_by_one_leg_the_stop_before_the_target(
    bars: list[Prices], loss: int, gain: int
) -> None:
    made = play([FLAT, *bars], buy("3", stop_loss=text(loss), take_profit=text(gain)))
    want = None
    for at, (open_, high, low, _) in enumerate(bars, start=2):
        if open_ <= loss or open_ >= gain:
            want = (at, open_)
        elif low <= loss:
            want = (at, loss)
        elif high >= gain:
            want = (at, gain)
        if want:
            break
    assert made.prices()[:1] == [(1, 10000)]
    assert (made.prices()[1:] or [None])[0] == want
    assert len(made.fills) == (2 if want else 1)
    assert len(made.kernel.orders) == (0 if want else 2)
    assert made.kernel.position_lots == (0 if want else 3)


@given(bars=BARS, level=st.integers(9000, 11000), kind=st.sampled_from(["limit", "stop"]))
def test_m14_legs_of_an_entry_filled_inside_a_bar_wait_for_the_next(
    bars: list[Prices], level: int, kind: str
) -> None:
    legs = {"stop_loss": text(level - 20), "take_profit": text(level + 20)}
    made = play(bars, buy(**{kind: text(level)}, **legs))
    if len(made.fills) == 2 and made.fills[0].time_ns == made.results[made.fills[0].bar].bar.close_time_ns:
        assert made.fills[1].bar > made.fills[0].bar


@given(bars=BARS, held=st.integers(1, 5), size=st.integers(1, 9), stop=LEVEL)
def test_m17_a_reduce_only_order_never_turns_the_position(
    bars: list[Prices], held: int, size: int, stop: int
) -> None:
    made = play(bars, sell(str(size), stop=text(stop), reduce_only=True), held=str(held))
    assert made.kernel.position_lots in (held, held - min(held, size))


@given(bars=st.lists(bar(), min_size=4, max_size=4), limit=LEVEL, life=st.integers(1, 250))
def test_m18_an_order_meets_only_bars_that_close_by_its_end(
    bars: list[Prices], limit: int, life: int
) -> None:
    """life: seconds, so that the end lies inside bars as well as between them."""
    expires = START_NS + (60 + life) * 10**9
    made = play(bars, buy(limit=text(limit), tif="GTD", expires=expires))
    free = first(play(bars, buy(limit=text(limit))))
    assert first(made) == (free if free is not None and free[0] < life // 60 else None)
    if first(made) is None:
        assert {end.state for end in made.ends} <= {OrderState.EXPIRED}


@given(bars=BARS, cash=st.integers(1, 400), size=st.integers(1, 4))
def test_m19_a_fill_that_cash_does_not_cover_is_none(bars: list[Prices], cash: int, size: int) -> None:
    made = play(
        bars, buy(str(size)), opening_cash_e8=cash * E8, fee=FeeModel("bps", 10 * E8), allow_short=False
    )
    cost = size * bars[0][0] * 10**6
    affordable = cost + cost // 1000 <= cash * E8
    submitted = size * 10**10 + size * 10**7 <= cash * E8
    assert bool(made.fills) is (affordable and submitted)
    assert made.kernel.book.cash_e8 >= 0


@settings(max_examples=50)
@given(bars=BARS, bps=st.integers(0, 300))
def test_m21_prices_lie_in_the_bar_before_slippage_and_slip_against_the_order(
    bars: list[Prices], bps: int
) -> None:
    plain = play(bars, buy()).fills[0].price_ticks
    slipped = play(bars, buy(), slippage=SlippageModel("bps", bps * E8)).fills[0].price_ticks
    _, high, low, _ = bars[0]
    assert low <= plain <= high
    assert slipped - plain == -(-plain * bps // 10_000)


@given(bars=BARS, limit=LEVEL, held=st.booleans())
def test_m25_the_end_cancels_what_works_and_keeps_the_position(
    bars: list[Prices], limit: int, held: bool
) -> None:
    made = play(bars, buy(limit=text(limit)), held="2" if held else "")
    lots, waiting = made.kernel.position_lots, len(made.kernel.orders)
    ended = made.command("end").ended
    assert (len(ended), made.kernel.position_lots, made.kernel.orders) == (waiting, lots, ())


@given(bars=st.lists(bar(), min_size=5, max_size=5), late=st.integers(31, 200))
def test_m26_a_decision_on_a_late_bar_meets_only_bars_that_open_after_it_arrived(
    bars: list[Prices], late: int
) -> None:
    made = Bench(make_spec(fee=NO_FEE), {0: [buy()]})
    made.feed(FLAT, lag_ns=late * 10**9)
    made.feed(*bars)
    at = -(-late // 60)  # whole bars until one opens at or after the arrival
    assert made.prices() == [(1 + at, bars[at][0])]
