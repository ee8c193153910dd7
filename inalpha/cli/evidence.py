"""A candidate's evidence as lines of text, none wider than a terminal of 80 columns needs."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping
from typing import Any

from inalpha.cli.output import plain
from inalpha.research.outcomes import Ended, counted
from inalpha.research.text import sparkline

WIDTH = 78


def verdict(state: str, evidence: Mapping[str, Any]) -> dict[str, Any]:
    """The members of `candidate submit --json` that come from the evidence."""
    return {
        "state": state,
        "findings": evidence.get("findings", []),
        "error": evidence.get("error"),
        "checks": evidence.get("checks", []),
        "orders": evidence.get("orders", []),
        "warnings": evidence.get("warnings", []),
        "data": evidence.get("data"),
    }


def verdict_lines(found: Mapping[str, Any]) -> Iterator[str]:
    """What an author needs beside the verdict: what it was judged as, what failed and why, what lint saw."""
    if not found["is_new"]:
        text = "  judged before: a file's bytes are its id, so change the file to have it judged again"
        yield from wrapped(text, "    ")
    yield from _judged_as(found)
    if found["error"]:
        yield from wrapped(f"  {plain(found['error'])}", "    ")
    for check in found["checks"]:
        if not check["passed"]:
            yield from wrapped(f"  failed {check['name']}: {plain(check['detail'])}", "    ")
    for finding in found["findings"]:
        text = f"  line {finding['line']}: {plain(finding['message'])} {plain(finding.get('fix', ''))}"
        yield from wrapped(text.rstrip(), "    ")
    for warning in found["warnings"]:
        yield from wrapped(f"  note: {plain(warning)}", "    ")


def _judged_as(evidence: Mapping[str, Any]) -> Iterator[str]:
    """The instrument and how orders on it ended; nothing where the evidence is older than these members."""
    data = evidence.get("data") or {}
    if "lot" in data:
        text = (
            f"  judged as {plain(data['symbol'])} {data['timeframe']}, {data['bars']} bars, tick {data['tick']},"
            f" lot {data['lot']}, {plain(data['calendar'])}"
        )
        yield from wrapped(text, "    ")
    for title, told in counted(Ended(**group) for group in evidence.get("orders", [])):
        yield from wrapped(f"  {title}: {told}", "    ")


def evidence_lines(evidence: Mapping[str, Any], *, ascii_only: bool = False) -> list[str]:
    """What it was judged as, checks, findings and warnings, equity beside buy-and-hold, and the parameter table."""
    marks = ("+", "x") if ascii_only else ("✓", "✗")
    lines = [*_judged_as(evidence)]
    for check in evidence.get("checks", []):
        mark = marks[not check["passed"]]
        lines += wrapped(f"  {mark} {check['name']}: {plain(check['detail'])}", "      ")
    for finding in evidence.get("findings", []):
        lines += wrapped(f"  line {finding['line']}: {plain(finding['message'])}", "      ")
    for warning in evidence.get("warnings", []):
        lines += wrapped(f"  ! {plain(warning)}", "    ")
    return [*lines, *_curves(evidence.get("curve"), ascii_only), *_sensitivity(evidence.get("sensitivity"))]


def wrapped(text: str, indent: str) -> list[str]:
    """Lines that fit, those behind the first indented."""
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
