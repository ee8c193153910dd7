"""Closed trades as they happen equal those that statistics find afterwards, whatever the orders were."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from support.bench import Bench, ScriptedRunner, buy, make_bar, make_spec, sell

from inalpha.kernel.gateway import NoRisk
from inalpha.kernel.records import Fill
from inalpha.kernel.trades import is_stop
from inalpha.model.order import Side
from inalpha.research.backtest import run_backtest
from inalpha.research.trades import closed_trades
from inalpha.risk.account import AccountBook
from inalpha.risk.rules import default_rules

ORDER = st.tuples(st.booleans(), st.integers(1, 9)).map(
    lambda drawn: buy(str(drawn[1])) if drawn[0] else sell(str(drawn[1]))
)
SCRIPT = st.dictionaries(st.integers(0, 29), st.lists(ORDER, min_size=1, max_size=2), max_size=20)
LEVELS = st.lists(st.integers(5_000, 15_000), min_size=30, max_size=30)


@given(SCRIPT, LEVELS)
@settings(max_examples=60, deadline=None)
def test_a_fold_of_fills_finds_the_trades_of_the_report(
    script: dict[int, list[object]], levels: list[int]
) -> None:
    bars = [make_bar((level,) * 4, n, "1h") for n, level in enumerate(levels)]
    spec = make_spec(timeframe="1h", allow_short=True)
    result = run_backtest(spec, bars, ScriptedRunner(script), NoRisk())
    made = Bench(spec, script)
    found = [trade for level in levels for trade in made.feed((level,) * 4).closed]
    want = closed_trades(spec, result.fills, bars)
    assert [(t.side, t.closed_ns, t.profit_e8) for t in found] == [
        (t.side, t.exit_ns, t.profit_e8) for t in want
    ]
    assert all(trade.outlay_e8 > 0 for trade in found)


def test_an_outlay_is_the_most_cash_that_a_trade_tied_up() -> None:
    """By hand, ten basis points of fee: 10 at 100 and 10 more at 90 cost 1,000 + 1 + 900 + 0.90, all sold at 95."""
    made = Bench(make_spec(), {0: [buy("10")], 1: [buy("10")], 2: [sell("20")]})
    made.feed((10_000,) * 4, (10_000,) * 4, (9_000,) * 4)
    (trade,) = made.feed((9_500,) * 4).closed
    assert trade.outlay_e8 == 190_190_000_000
    assert trade.profit_e8 == 190_000_000_000 - 190_000_000 - 190_190_000_000


def fill(intent: str, child: str | None, reason: str) -> Fill:
    return Fill(intent, child, 0, Side.SELL, 1, 100, 0, 0, reason, 0, 0, "", 0, True)


def test_a_stop_is_a_bracket_leg_or_the_guards_and_never_a_word_of_the_strategy() -> None:
    assert is_stop(fill("3:0", "stop_loss", "stop_loss"))
    assert is_stop(fill("3:16", None, "HARD_STOP")) and is_stop(fill("3:16", None, "TRAILING_STOP"))
    assert not is_stop(fill("3:16", None, "TAKE_PROFIT"))
    assert not is_stop(fill("3:0", "take_profit", "take_profit"))
    assert not is_stop(fill("3:0", None, "HARD_STOP"))  # whoever writes that as a reason is believed nothing


def test_an_account_sees_the_open_position_of_a_begun_step_only_in_its_own_run() -> None:
    made = Bench(make_spec(), {0: [buy("10")]})
    made.feed((10_000,) * 4)
    account = AccountBook("a", made.spec.opening_cash_e8, default_rules())
    account.open_book("run-1", "X")
    account.open_book("run-2", "Y")
    made.feed((10_000,) * 4)
    account.begin("run-1", made.kernel.mark(), made.kernel.claim)
    assert account.books["run-1"].begun is not None
    assert account.context("run-2").other_value_e8 == 0
    account.settle("run-1")
    assert account.books["run-1"].begun is None
