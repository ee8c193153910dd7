"""Figures against hand calculations; undefined is None."""

from __future__ import annotations

import math
import statistics

import pytest
from support.bench import CONTEXT, Bench, ScriptedRunner, buy, make_bar, make_spec, sell

from inalpha.kernel.costs import FeeModel
from inalpha.kernel.gateway import NoRisk
from inalpha.kernel.replay import rebuild
from inalpha.model.money import E8
from inalpha.model.timeframe import DAY_NS
from inalpha.research import returns as series
from inalpha.research.backtest import BacktestResult, run_backtest
from inalpha.research.metrics import buy_and_hold, compute_metrics
from inalpha.research.trades import closed_trades

RETURNS = [0.01, -0.02, 0.03, 0.0, -0.01, 0.015]


def test_ratios_by_hand() -> None:
    mean, spread = statistics.mean(RETURNS), statistics.stdev(RETURNS)
    downside = math.sqrt(sum(min(r, 0) ** 2 for r in RETURNS) / len(RETURNS))
    assert series.sharpe(RETURNS, 252) == pytest.approx(mean / spread * math.sqrt(252))
    assert series.sortino(RETURNS, 252) == pytest.approx(mean / downside * math.sqrt(252))
    assert series.volatility(RETURNS, 252) == pytest.approx(spread * math.sqrt(252))
    # 1.6448536 is the 95 % point of the normal distribution.
    assert series.value_at_risk(RETURNS) == pytest.approx(mean - 1.6448536269514722 * spread)
    # 0.1031356 is the normal density at that point.
    expected = mean - 0.10313564037537128 / 0.05 * spread
    assert series.conditional_value_at_risk(RETURNS) == pytest.approx(expected)


def test_drawdowns_by_hand() -> None:
    values = [100, 120, 90, 108, 130, 117]
    assert series.drawdowns(values) == pytest.approx([0, 0, -0.25, -0.1, 0, -0.1])
    assert series.longest_drawdown(values) == 2
    expected = math.sqrt((0.25**2 + 0.1**2 + 0.1**2) / 4)
    assert series.ulcer_index(values) == pytest.approx(expected)


def test_cagr_doubles_in_two_years() -> None:
    assert series.cagr(100, 400, 730) == pytest.approx(1.0)


@pytest.mark.parametrize("returns", [[], [0.01], [0.01, 0.01]])
def test_undefined_is_none(returns: list[float]) -> None:
    assert series.sharpe(returns, 252) is None
    assert series.sortino(returns, 252) is None
    assert series.value_at_risk(returns) is None


def test_a_bar_that_closes_at_midnight_ends_its_day() -> None:
    times = [DAY_NS // 2, DAY_NS, DAY_NS + DAY_NS // 2, 2 * DAY_NS, 2 * DAY_NS + 1]
    assert series.day_ends(times, [1, 2, 3, 4, 5], 9) == [9, 2, 4, 5]


def backtest(
    script: dict[int, list[dict[str, object]]], *prices: tuple[int, int, int, int]
) -> BacktestResult:
    spec = make_spec(fee=FeeModel("bps", 0), timeframe="1d")
    bars = [make_bar(one, n, "1d") for n, one in enumerate(prices)]
    return run_backtest(spec, bars, ScriptedRunner(script), NoRisk())


def level(price: int) -> tuple[int, int, int, int]:
    return (price, price, price, price)


def test_trades_are_flat_to_flat_with_their_extremes() -> None:
    script = {0: [buy("10")], 1: [buy("10")], 3: [sell("20", reason="done")]}
    result = backtest(
        script, level(10000), level(10000), level(11000), (10000, 12000, 9000, 11000), level(12000)
    )
    (trade,) = closed_trades(result.spec, result.fills, result.bars)
    assert trade.profit_e8 == (20 * 120 - 10 * 100 - 10 * 110) * E8
    assert (trade.entry_bar, trade.exit_bar, trade.reason) == (1, 4, "done")
    assert trade.mfe_e8 == (20 * 120 - 2100) * E8
    assert trade.mae_e8 == (20 * 90 - 2100) * E8


def test_a_turn_closes_one_trade_and_opens_the_next() -> None:
    spec = make_spec(fee=FeeModel("bps", 0), timeframe="1d", allow_short=True)
    script = {0: [buy("10")], 1: [sell("15")], 2: [buy("5")]}
    bars = [make_bar(level(p), n, "1d") for n, p in enumerate([10000, 10000, 11000, 10000])]
    result = run_backtest(spec, bars, ScriptedRunner(script), NoRisk())
    profits = [trade.profit_e8 // E8 for trade in closed_trades(spec, result.fills, bars)]
    assert profits == [100, 50]


def test_figures_of_a_small_run() -> None:
    script = {0: [buy("100")], 2: [sell("100", reason="up")]}
    result = backtest(script, level(10000), level(10000), level(11000), level(11000))
    found = {metric.name: metric.value for metric in compute_metrics(result)}
    assert found["total_return"] == pytest.approx(0.01)
    assert (found["trades"], found["win_rate"], found["profit_factor"]) == (1, 1.0, None)
    assert found["expectancy"] == 1000.0
    assert found["exposure_time"] == 0.5
    assert found["buy_and_hold"] == pytest.approx(0.1)
    assert found["sqn"] is None
    assert result.exits == {"up": 1}


def test_an_idle_run_has_no_ratios() -> None:
    result = backtest({}, level(10000), level(10000), level(10000))
    found = {metric.name: metric.value for metric in compute_metrics(result)}
    assert [found[name] for name in ("sharpe", "sortino", "calmar", "win_rate", "expectancy")] == [None] * 5
    assert "no order was filled: the strategy placed none" in result.warnings


def test_buy_and_hold_pays_its_fee_and_stays_solvent() -> None:
    spec = make_spec(timeframe="1d")
    bars = [make_bar(level(p), n, "1d") for n, p in enumerate([333, 400])]
    result = run_backtest(spec, bars, ScriptedRunner({}), NoRisk())
    lots = 30000  # 100,000 / (3.33 * 1.001) is 30,000.03
    cash = 100_000 * E8 - lots * 333 * E8 // 100 - lots * 333 * E8 // 100_000
    assert buy_and_hold(result) == [cash + lots * 333 * E8 // 100, cash + lots * 400 * E8 // 100]


def test_a_backtest_is_the_kernel_and_its_journal_replays() -> None:
    entries = []
    spec = make_spec(timeframe="1d")
    bars = [make_bar(level(10000 + 10 * n), n, "1d") for n in range(6)]
    script = {1: [buy("3", stop_loss="90")]}
    result = run_backtest(spec, bars, ScriptedRunner(script), NoRisk(), journal=entries.append)
    assert rebuild(spec, NoRisk(), entries).head == result.head
    states = {row.order: (row.state, row.code) for row in result.orders.values()}
    assert states == {"1:0": ("filled", ""), "1:0:stop_loss": ("cancelled", "RUN_ENDED")}
    bench = Bench(spec, script, context=CONTEXT)
    bench.feed(*[level(10000 + 10 * n) for n in range(6)])
    assert [fill.price_ticks for fill in bench.fills] == [fill.price_ticks for fill in result.fills]
