"""What must hold for any bars and any legal or illegal orders."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from support.bench import Bench, Prices, make_spec

from inalpha.kernel.book import Book
from inalpha.kernel.costs import SlippageModel
from inalpha.kernel.gateway import NoRisk
from inalpha.kernel.replay import rebuild
from inalpha.model.instrument import Instrument
from inalpha.model.money import E8, divide_half_even
from inalpha.model.order import ORDER_TRANSITIONS, IllegalTransition, OrderState, next_order_state
from inalpha.model.states import HaltState

SIX_FIGURES = 100_000 * E8


@st.composite
def bars(draw: st.DrawFn) -> Prices:
    open_, close = draw(st.integers(8000, 12000)), draw(st.integers(8000, 12000))
    high = max(open_, close) + draw(st.integers(0, 500))
    low = min(open_, close) - draw(st.integers(0, 500))
    return open_, high, low, close


PRICE = st.none() | st.integers(70, 130).map(str) | st.decimals(70, 130, places=3).map(str)
INTENT = st.fixed_dictionaries(
    {
        "side": st.sampled_from(["buy", "sell"]),
        "quantity": st.sampled_from(["1", "3", "50", "0", "2.5", "10000"]),
        "limit": PRICE,
        "stop": PRICE,
        "tif": st.sampled_from(["GTC", "GTC", "IOC", "DAY"]),
        "reduce_only": st.booleans(),
        "stop_loss": PRICE,
        "take_profit": PRICE,
    }
)
CANCEL = st.builds(lambda bar, n: {"cancel": f"{bar}:{n}"}, st.integers(0, 10), st.integers(0, 2))
SCRIPT = st.dictionaries(st.integers(0, 14), st.lists(INTENT | CANCEL, max_size=4), max_size=12)
RUN = st.fixed_dictionaries(
    {
        "fill": st.sampled_from(["next_open", "same_close"]),
        "limit_fill": st.sampled_from(["touch", "through"]),
        "allow_short": st.booleans(),
        "approval": st.sampled_from(["machine", "machine", "human"]),
        "participation_cap_e8": st.sampled_from([None, E8 // 1_000_000]),
        "slippage": st.sampled_from(
            [SlippageModel(), SlippageModel("bps", 7 * E8), SlippageModel("volume_share")]
        ),
    }
)
COMMANDS = st.dictionaries(
    st.integers(0, 14),
    st.sampled_from(["approve", "reject", "cancel", "REDUCING", "HALTED", "resume", "stop", "end"]),
    max_size=4,
)

Script = Mapping[int, Sequence[Mapping[str, Any]]]


def play(made: Bench, market: Sequence[Prices], commands: Mapping[int, str]) -> Bench:
    for prices in market:
        number = made.kernel.bars
        made.feed(prices)
        kind = commands.get(number)
        if kind in ("REDUCING", "HALTED"):
            made.command("halt", state=HaltState(kind))
        elif kind in ("approve", "reject", "cancel"):
            for order in list(made.kernel.orders):
                made.command(kind, intent=order.id)
        elif kind is not None:
            made.command(kind)
    return made


MARKET = st.lists(bars(), min_size=3, max_size=15)


@settings(max_examples=150, deadline=None)
@given(market=MARKET, script=SCRIPT, spec=RUN, commands=COMMANDS)
def test_books_equal_the_fold_of_fills_and_replay_gives_the_same_head(
    market: list[Prices], script: Script, spec: dict[str, Any], commands: dict[int, str]
) -> None:
    made = play(Bench(make_spec(**spec, opening_cash_e8=SIX_FIGURES), script), market, commands)
    kernel = made.kernel
    book = Book(Instrument("TEST"), SIX_FIGURES)
    for number, fill in enumerate(made.fills):
        book.apply(int(fill.side), fill.quantity_lots, fill.price_ticks, fill.fee_e8)
        assert (fill.n, fill.position_lots, fill.cash_e8) == (number, book.lots, book.cash_e8)
        assert fill.cash_e8 >= 0
        assert spec["allow_short"] or fill.position_lots >= 0
    assert (kernel.book.lots, kernel.book.cash_e8, kernel.book.cost_e8) == (
        book.lots,
        book.cash_e8,
        book.cost_e8,
    )
    assert kernel.equity_e8 == book.cash_e8 + book.value_e8(market[-1][3])
    again = rebuild(made.spec, NoRisk(), made.entries)
    assert again.head == kernel.head
    assert [order.id for order in again.orders] == [order.id for order in kernel.orders]


@settings(max_examples=60, deadline=None)
@given(market=MARKET, script=SCRIPT, spec=RUN, commands=COMMANDS, data=st.data())
def test_a_restart_anywhere_ends_in_the_same_books(
    market: list[Prices], script: Script, spec: dict[str, Any], commands: dict[int, str], data: st.DataObject
) -> None:
    whole = play(Bench(make_spec(**spec), script), market, commands)
    cut = data.draw(st.integers(0, len(market)))
    first = play(Bench(make_spec(**spec), script), market[:cut], commands)
    second = Bench(make_spec(**spec), script)
    second.kernel = rebuild(first.spec, NoRisk(), first.entries)
    play(second, market[cut:], commands)
    assert second.kernel.head == whole.kernel.head
    assert second.kernel.book.cash_e8 == whole.kernel.book.cash_e8


@settings(max_examples=100, deadline=None)
@given(market=MARKET, script=SCRIPT, spec=RUN)
def test_no_fill_is_better_than_its_order_or_outside_its_bar(
    market: list[Prices], script: Script, spec: dict[str, Any]
) -> None:
    made = play(Bench(make_spec(**{**spec, "slippage": SlippageModel()}), script), market, {})
    orders = {d.intent: d.order for result in made.results for d in result.decisions if d.order}
    for fill in made.fills:
        _, high, low, _ = market[fill.bar]
        assert low <= fill.price_ticks <= high
        order = orders[fill.intent]
        if fill.child is None and order.limit_ticks is not None:
            assert fill.price_ticks * fill.side <= order.limit_ticks * fill.side
        if spec["fill"] == "next_open":
            assert fill.bar > int(fill.intent.split(":")[0])


@given(st.sampled_from(OrderState), st.sampled_from(OrderState))
def test_the_state_table_is_the_only_way(current: OrderState, target: OrderState) -> None:
    if target in ORDER_TRANSITIONS[current]:
        assert next_order_state(current, target) is target
    else:
        try:
            next_order_state(current, target)
        except IllegalTransition as error:
            assert current.value in str(error) and target.value in str(error)
        else:
            raise AssertionError("the pair is not in the table")


@given(st.integers(-(10**30), 10**30), st.integers(1, 10**15))
def test_division_is_half_even(numerator: int, denominator: int) -> None:
    quotient = divide_half_even(numerator, denominator)
    distance = abs(2 * (numerator - quotient * denominator))
    assert distance <= denominator
    assert distance < denominator or quotient % 2 == 0
