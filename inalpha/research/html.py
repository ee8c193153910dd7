"""report.html: one file, no script, no network, every text escaped."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape as escape_html

from inalpha.model.bar import utc_from_ns
from inalpha.model.money import E8
from inalpha.model.plain import plain
from inalpha.research import returns as series
from inalpha.research.backtest import BacktestResult
from inalpha.research.metrics import RISK_FREE_RATE, Metric, buy_and_hold, periods_per_year
from inalpha.research.outcomes import outcomes
from inalpha.research.svg import STYLE, Line, Mark, chart
from inalpha.research.text import metric_text

MAX_MARKS = 2000
_MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]

_STYLE = (
    STYLE
    + """
:root { color-scheme: light dark; }
body { font: 15px/1.45 system-ui, sans-serif; max-width: 960px; margin: 2rem auto; padding: 0 1rem; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; width: 100%; margin: 1rem 0; }
.wide { overflow-x: auto; } .wide table { font-size: 13px; }
td, th { padding: .2rem .5rem; text-align: right; border-bottom: 1px solid #8884; white-space: nowrap; }
td:first-child, th:first-child, td.note { text-align: left; } td.note { white-space: normal; }
.note { opacity: .75; } .bad { color: var(--sell); } .total { font-weight: 600; } code { word-break: break-all; }
@media print { body { max-width: none; margin: 0; } svg, tr { break-inside: avoid; } }
"""
)


def escape(text: str) -> str:
    """A text as a page shows it: no markup, and no character that reorders, hides or ends a line."""
    return escape_html(plain(text))


def report_html(result: BacktestResult, metrics: Sequence[Metric]) -> str:
    """The whole page."""
    spec = result.spec
    title = escape(f"{spec.symbol} {spec.timeframe}: {spec.run}")
    notes = "".join(f"<li>{escape(text)}</li>" for text in result.warnings)
    error = f'<p class="bad">Stopped by: {escape(result.error)}</p>' if result.error else ""
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
        f"<style>{_STYLE}</style></head><body><h1>{title}</h1>"
        f"<p>Fills {spec.fill}, fee {escape(spec.fee.text)}, slippage {escape(spec.slippage.text)}, "
        f"opening cash {spec.opening_cash_e8 / E8:,.2f} {escape(spec.instrument.currency)}.</p>{error}"
        f"<ul>{notes}</ul>{_outcomes(result)}{_charts(result)}{_months(result)}{_table(metrics, result)}"
        f'<p class="note">Strategy <code>{escape(spec.strategy_sha256)}</code><br>'
        f"data <code>{escape(spec.data_sha256)}</code><br>head <code>{escape(result.head)}</code></p>"
        "</body></html>\n"
    )


def _outcomes(result: BacktestResult) -> str:
    rows = "".join(
        f"<tr><td>{'bracket legs' if ended.legs else 'orders'} {escape(ended.state.replace('_', ' '))}</td>"
        f'<td>{ended.count}</td><td class="note">{escape(ended.code)}</td></tr>'
        for ended in outcomes(result)
    )
    return f"<h2>How orders ended</h2><table>{rows}</table>" if rows else "<p>No order was placed.</p>"


def _charts(result: BacktestResult) -> str:
    if not result.times_ns:
        return "<p>No bar was consumed.</p>"
    times, money = result.times_ns, result.spec.instrument.currency
    equity = [value / E8 for value in result.equity_e8]
    held = [value / E8 for value in buy_and_hold(result)]
    depth = [value * 100 for value in series.drawdowns(result.equity_e8)]
    tick = result.spec.instrument.tick_e8
    prices = [ticks * tick / E8 for ticks in result.close_ticks]
    marks = [Mark(f.bar, f.price_ticks * tick / E8, f.side > 0) for f in result.fills[:MAX_MARKS]]
    lines = [Line("buy and hold", held, "held"), Line("strategy", equity, "strategy")]
    left = len(result.fills) - len(marks)
    cut = f'<p class="note">The first {MAX_MARKS} fills are drawn, {left} are not.</p>' if left else ""
    return (
        chart(f"Equity, {money}", lines, times)
        + chart("Drawdown", [Line("", depth, "loss")], times, filled=True, unit=" %")
        + chart(f"Close and fills, {money}", [Line("", prices, "held")], times, marks)
        + cut
    )


def monthly_returns(result: BacktestResult) -> dict[tuple[int, int], float]:
    """Return of each (year, month) that has bars, from the last equity of the month before."""
    ends: dict[tuple[int, int], int] = {}
    for now, equity in zip(result.times_ns, result.equity_e8, strict=True):
        # A bar that closes at the month's first midnight still belongs to the month before.
        when = utc_from_ns(now - 1_000)
        ends[when.year, when.month] = equity
    before = result.spec.opening_cash_e8
    found = {}
    for month, equity in ends.items():
        found[month] = equity / before - 1 if before > 0 else 0.0
        before = equity
    return found


def _months(result: BacktestResult) -> str:
    found = monthly_returns(result)
    head = "".join(f"<th>{name}</th>" for name in [*_MONTHS, "Year"])
    rows = []
    for year in sorted({year for year, _ in found}):
        values = [found.get((year, month)) for month in range(1, 13)]
        total = math.prod(1 + value for value in values if value is not None) - 1
        cells = "".join(map(_month_cell, values)) + _month_cell(total, "total")
        rows.append(f"<tr><td>{year}</td>{cells}</tr>")
    table = f"<table><tr><th></th>{head}</tr>{''.join(rows)}</table>"
    return f'<h2>Monthly returns, %</h2><div class="wide">{table}</div>'


def _month_cell(value: float | None, kind: str = "") -> str:
    if value is None:
        return "<td></td>"
    # A month without a position is 0.0, not -0.0.
    shown = f"{round(value * 100, 1) + 0.0:.1f}".replace("-", "−")
    classes = f"{kind} {'bad' if value < 0 else ''}".strip()
    return f'<td class="{classes}">{shown}</td>' if classes else f"<td>{shown}</td>"


def _table(metrics: Sequence[Metric], result: BacktestResult) -> str:
    rows = "".join(
        f"<tr><td>{escape(metric.name.replace('_', ' '))}</td><td>{escape(metric_text(metric))}</td>"
        f'<td class="note">{escape(metric.definition)}</td></tr>'
        for metric in metrics
    )
    basis = f"{periods_per_year(result):g} periods a year, risk-free rate {RISK_FREE_RATE:g}."
    return f'<h2>Figures</h2><p class="note">{basis} A dash is undefined.</p><table>{rows}</table>'
