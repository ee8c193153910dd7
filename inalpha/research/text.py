"""The plain-text report: the figures a person asks for first, and the equity as one line of blocks."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

from inalpha.model.bar import utc_from_ns
from inalpha.model.money import text_from_e8
from inalpha.model.plain import plain
from inalpha.research.backtest import BacktestResult
from inalpha.research.metrics import RISK_FREE_RATE, Metric, periods_per_year
from inalpha.research.outcomes import outcome_lines

WIDTH = 78
_BLOCKS = "▁▂▃▄▅▆▇█"
_ASCII = "_.-=^"


def sparkline(values: Sequence[float], width: int = 60, *, ascii_only: bool = False) -> str:
    """values squeezed to at most width characters; each shows the last value of its stretch."""
    if not values:
        return ""
    blocks = _ASCII if ascii_only else _BLOCKS
    count = min(width, len(values))
    picked = [values[(i + 1) * len(values) // count - 1] for i in range(count)]
    low, high = min(picked), max(picked)
    if low == high:
        return blocks[len(blocks) // 2] * count
    return "".join(blocks[int((v - low) / (high - low) * (len(blocks) - 1))] for v in picked)


def metric_text(metric: Metric) -> str:
    """A value as people read it; `-` where it is undefined."""
    value = metric.value
    if value is None:
        return "-"
    if metric.unit == "%":
        return f"{value * 100:.2f} %"
    if metric.unit in ("count", "days"):
        return f"{value:g}"
    return f"{value:,.2f}"


def report_text(result: BacktestResult, metrics: Sequence[Metric], *, ascii_only: bool = False) -> str:
    """The page of `report_lines`."""
    return "\n".join(map(plain, report_lines(result, metrics, ascii_only=ascii_only))) + "\n"


def report_lines(result: BacktestResult, metrics: Sequence[Metric], *, ascii_only: bool = False) -> list[str]:
    """Several lines, none wider than 78 characters."""
    spec = result.spec
    lines = [
        f"{spec.symbol} {spec.timeframe}, {len(result.equity_e8)} bars{_range(result)}",
        f"fills {spec.fill}, fee {spec.fee.text}, slippage {spec.slippage.text}",
        "",
        f"equity  {text_from_e8(spec.opening_cash_e8)} -> {text_from_e8(result.final_equity_e8)} "
        f"{spec.instrument.currency}",
        f"        {sparkline(result.equity_e8, ascii_only=ascii_only)}",
        "",
    ]
    cells = [f"{metric.name.replace('_', ' '):<24}{metric_text(metric):>12}" for metric in metrics]
    half = (len(cells) + 1) // 2
    for index in range(half):
        right = cells[index + half] if index + half < len(cells) else ""
        lines.append(f"{cells[index]}   {right}".rstrip())
    lines.append(
        f"{periods_per_year(result):g} periods a year, risk-free rate {RISK_FREE_RATE:g}; definitions in report.html"
    )
    told = list(outcome_lines(result))
    if result.exits:
        told.append(("exits", ", ".join(f"{name} {count}" for name, count in result.exits.most_common(5))))
    for title, text in told:
        lines.extend(["", *_wrapped(f"{title}: {text}")])
    lines.append("")
    for warning in result.warnings:
        lines.extend(_wrapped(f"note: {warning}"))
    if result.error:
        lines.extend(_wrapped(f"stopped by the strategy's error: {result.error}"))
    lines.append(f"head {result.head}")
    return lines


def _wrapped(text: str) -> list[str]:
    """Lines of the page; a strategy's own line breaks (in its reasons, its error) make none."""
    return textwrap.wrap(plain(text), WIDTH, subsequent_indent="      ", break_on_hyphens=False)


def _range(result: BacktestResult) -> str:
    if not result.times_ns:
        return ""
    first, last = utc_from_ns(result.bars[0].open_time_ns), utc_from_ns(result.times_ns[-1])
    return f", {first:%Y-%m-%d} to {last:%Y-%m-%d}"
