"""report.html: one file, no script, no network, every text escaped."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from inalpha.model.bar import utc_from_ns
from inalpha.model.money import E8
from inalpha.research import returns as series
from inalpha.research.backtest import BacktestResult
from inalpha.research.metrics import Metric, buy_and_hold
from inalpha.research.svg import Line, Mark, chart
from inalpha.research.text import metric_text

MAX_MARKS = 2000
_MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]

_STYLE = """
:root { color-scheme: light dark; }
body { font: 15px/1.45 system-ui, sans-serif; max-width: 960px; margin: 2rem auto; padding: 0 1rem; }
svg { width: 100%; font-size: 11px; margin: .5rem 0; }
svg text { fill: currentColor; } svg .title { font-weight: 600; }
svg line { stroke: currentColor; stroke-opacity: .15; } svg polyline { fill: none; stroke-width: 1.3; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; width: 100%; margin: 1rem 0; }
td, th { padding: .2rem .5rem; text-align: right; border-bottom: 1px solid #8884; }
td:first-child, th:first-child, td.note { text-align: left; } .note { opacity: .7; }
.bad { color: #b3403a; } code { word-break: break-all; }
"""


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
        f"<ul>{notes}</ul>{_charts(result)}{_months(result)}{_table(metrics)}"
        f'<p class="note">Strategy <code>{escape(spec.strategy_sha256)}</code><br>'
        f"data <code>{escape(spec.data_sha256)}</code><br>head <code>{escape(result.head)}</code></p>"
        "</body></html>\n"
    )


def _charts(result: BacktestResult) -> str:
    if not result.times_ns:
        return "<p>No bar was consumed.</p>"
    labels = (f"{utc_from_ns(result.times_ns[0]):%Y-%m-%d}", f"{utc_from_ns(result.times_ns[-1]):%Y-%m-%d}")
    equity = [value / E8 for value in result.equity_e8]
    held = [value / E8 for value in buy_and_hold(result)]
    depth = [value * 100 for value in series.drawdowns(result.equity_e8)]
    tick = result.spec.instrument.tick_e8
    prices = [ticks * tick / E8 for ticks in result.close_ticks]
    marks = [Mark(f.bar, f.price_ticks * tick / E8, f.side > 0) for f in result.fills[:MAX_MARKS]]
    lines = [Line("buy and hold", held, "#8a8f98"), Line("strategy", equity, "#2f6fb3")]
    return (
        chart("Equity", lines, labels)
        + chart("Drawdown, %", [Line("", depth, "#b3403a")], labels)
        + chart("Price and fills", [Line("close", prices, "#6b7280")], labels, marks)
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
    head = "".join(f"<th>{name}</th>" for name in _MONTHS)
    rows = []
    for year in sorted({year for year, _ in found}):
        cells = []
        for month in range(1, 13):
            value = found.get((year, month))
            cells.append(_month_cell(value))
        rows.append(f"<tr><td>{year}</td>{''.join(cells)}</tr>")
    return f"<h2>Monthly returns, %</h2><table><tr><th></th>{head}</tr>{''.join(rows)}</table>"


def _month_cell(value: float | None) -> str:
    if value is None:
        return "<td></td>"
    kind = ' class="bad"' if value < 0 else ""
    return f"<td{kind}>{value * 100:.1f}</td>"


def _table(metrics: Sequence[Metric]) -> str:
    rows = "".join(
        f"<tr><td>{escape(metric.name.replace('_', ' '))}</td><td>{escape(metric_text(metric))}</td>"
        f'<td class="note">{escape(metric.definition)}</td></tr>'
        for metric in metrics
    )
    return f"<h2>Figures</h2><table>{rows}</table>"
