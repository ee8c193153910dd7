"""A candidate's evidence as lines of text, none wider than a terminal of 80 columns needs."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping
from typing import Any

from inalpha.cli.output import plain
from inalpha.research.text import sparkline

WIDTH = 78


def evidence_lines(evidence: Mapping[str, Any], *, ascii_only: bool = False) -> list[str]:
    """Checks, findings and warnings, equity beside buy-and-hold, and the parameter table."""
    marks = ("+", "x") if ascii_only else ("✓", "✗")
    lines = []
    for check in evidence.get("checks", []):
        mark = marks[not check["passed"]]
        lines += _wrapped(f"  {mark} {check['name']}: {plain(check['detail'])}", "      ")
    for finding in evidence.get("findings", []):
        lines += _wrapped(f"  line {finding['line']}: {plain(finding['message'])}", "      ")
    for warning in evidence.get("warnings", []):
        lines += _wrapped(f"  ! {plain(warning)}", "    ")
    return [*lines, *_curves(evidence.get("curve"), ascii_only), *_sensitivity(evidence.get("sensitivity"))]


def _wrapped(text: str, indent: str) -> list[str]:
    return textwrap.wrap(text, WIDTH, subsequent_indent=indent, drop_whitespace=True)


def _curves(curve: Mapping[str, Any] | None, ascii_only: bool) -> Iterator[str]:
    if not curve or not curve.get("equity"):
        return
    yield ""
    for name, title in (("equity", "equity"), ("buy_and_hold", "buy and hold")):
        values = curve[name]
        drawn = sparkline(values, 48, ascii_only=ascii_only)
        yield f"  {title:<13}{drawn} {values[-1]:,.2f}"


def _sensitivity(found: Mapping[str, Any] | None) -> Iterator[str]:
    if not found or not found.get("neighbours"):
        return
    yield ""
    yield f"  {'parameter moved':<28}{'total return':>14}{'Sharpe':>10}"
    yield f"  {'as submitted':<28}{_percent(found['total_return']):>14}{_ratio(found['sharpe']):>10}"
    for near in found["neighbours"]:
        name = f"{near['name']} = {near['value']}"[:28]
        figures = f"{_percent(near['total_return']):>14}{_ratio(near['sharpe']):>10}"
        yield f"  {plain(name):<28}{plain(near['error'])[:46] if near['error'] else figures}"


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{value:+.2%}"


def _ratio(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"
