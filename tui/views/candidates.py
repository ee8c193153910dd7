"""Candidates: what models proposed, and the evidence for it. Reading only."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from inalpha.client.wholetext import hidden_words, marked, source_rows
from tui.book import Book, CandidateDetail
from tui.charts import spark
from tui.line import Line, whole
from tui.rows import Cell, Column, TableRow
from tui.text import moment, number, plain

COLUMNS = (
    Column("candidate", 17), Column("state", 12), Column("by", 16, grow=True), Column("at", 9, right=True),
    Column("runs", 5, right=True),
)  # fmt: skip
_STATE = {
    "submitted": ("◐", "accent"), "passed": ("…", "warn"), "failed": ("✗", "bad"), "promoted": ("✓", "good"),
    "rejected": ("✗", "bad"), "revoked": ("✗", "bad"),
}  # fmt: skip
_METRICS = (
    ("total_return", "return", True), ("max_drawdown", "max dd", True), ("buy_and_hold", "buy & hold", True),
    ("sharpe", "sharpe", False), ("win_rate", "win rate", True), ("trades", "trades", False),
    ("exposure_time", "exposure", True), ("turnover", "turnover", False),
)  # fmt: skip


def candidate_rows(book: Book, now_us: int) -> list[TableRow]:
    found = []
    for row in book.candidates:
        glyph, role = _STATE.get(row["state"], ("·", ""))
        runs = sum(1 for view in book.runs if view.row["sha256"] == row["sha256"])
        cells = (
            Cell(row["candidate"], "strong"),
            Cell(f"{glyph} {row['state']}", role),
            Cell(plain(row["submitted_by"])),
            Cell(moment(row["ts"], now_us), "dim", row["ts"]),
            Cell(number(runs) if runs else "", "dim", runs),
        )
        found.append(TableRow(row["candidate"], cells, row["submitted_seq"]))
    return found


def candidate_lines(detail: CandidateDetail, now_us: int, width: int) -> list[Line]:
    """Who, why, the gate's checks, the figures, then the source as stored."""
    row, evidence = detail.row, detail.evidence
    glyph, role = _STATE.get(row["state"], ("·", ""))
    lines = [
        Line(f"{row['candidate']}  ", "strong").add(f"{glyph} {row['state']}", role)
        .add(f"  {plain(row['submitted_by'])} {moment(row['ts'], now_us)}", "dim"),
        Line("SHA256 ", "title", 7).add(row["sha256"]).add(f"  {number(row['size'])} bytes", "dim"),
        Line("WHY    ", "title", 7).quote(detail.rationale or "missing"),
    ]  # fmt: skip
    if row["decided_by"]:
        decided = Line("DECIDED ", "title", 8).add(f"{plain(row['decided_by'])} ")
        lines.append(decided.quote(detail.reason or ""))
    lines.append(Line())
    lines.append(Line("GATE", "title"))
    for check in evidence.get("checks", []):
        mark = ("✓", "good") if check.get("passed") else ("✗", "bad")
        lines.append(
            Line("  ", hang=19)
            .add(mark[0], mark[1])
            .add(f" {plain(check.get('name')):14}")
            .add(plain(check.get("detail")), "dim")
        )
    if not evidence:
        lines.append(Line("  no evidence yet", "dim"))
    for finding in evidence.get("findings", []):
        where = f"line {finding['line']}: " if isinstance(finding, Mapping) else ""
        told = finding["message"] if isinstance(finding, Mapping) else finding
        lines.append(Line("  ! ", "warn", 4).add(where).pieces(marked(str(told))))
    lines += _metrics(evidence)
    lines += _curves(evidence.get("curve"))
    lines += _neighbours(evidence.get("sensitivity"))
    return whole([*lines, Line(), *source_lines(detail.source)], width)


def source_lines(source: str) -> list[Line]:
    """The file as stored, with the interpreter's line numbers; what would be hidden is marked and counted."""
    rows = list(source_rows(source))
    warned = hidden_words(source)
    lines = [Line("SOURCE", "title").add(f"  {warned}" if warned else "", "warn")]
    for row in rows:
        line = Line(f"{row.number:4} ", "dim", 7)
        for text, is_mark in row.pieces:
            # A tab is drawn as what it is: code that stands deeper than it looks is another block.
            line.add(text if is_mark else plain(text.replace("\t", "⇥   ")), "warn" if is_mark else "")
        lines.append(line)
    return [*lines, Line("     end of the source", "dim")]


def _metrics(evidence: Mapping[str, Any]) -> list[Line]:
    metrics, data = evidence.get("metrics"), evidence.get("data")
    if not isinstance(metrics, Mapping):
        return []
    name = (
        f" on {plain(data.get('name'), 24)}, {number(data.get('bars'))} bars"
        if isinstance(data, Mapping)
        else ""
    )
    lines = [Line(), Line(f"BACKTEST{name}", "title")]
    shown = [
        (label, f"{number(metrics[key] * 100, 1, sign=True)}%" if share else number(metrics[key], 2))
        for key, label, share in _METRICS
        if isinstance(metrics.get(key), int | float)
    ]
    for at in range(0, len(shown), 2):
        line = Line("  ")
        for label, value in shown[at : at + 2]:
            line.add(f"{label:11}", "dim").add(f"{value:>9}   ")
        lines.append(line)
    for warning in evidence.get("warnings", []):
        lines.append(Line("  ! ", "warn", 4).add(plain(warning)))
    return lines


def _curves(curve: Mapping[str, Any] | None) -> list[Line]:
    """Equity of the backtest beside buying once and holding."""
    if not curve or not curve.get("equity"):
        return []
    names = (("equity", "equity"), ("buy_and_hold", "buy & hold"))
    return [
        Line("  ").add(f"{title:11}", "dim").add(spark(curve[name], 40)).add(f" {number(curve[name][-1], 2)}")
        for name, title in names
    ]


def _neighbours(found: Mapping[str, Any] | None) -> list[Line]:
    """What a small change of each parameter does to the figures."""
    if not found or not found.get("neighbours"):
        return []
    lines = [Line(), Line("PARAMETERS MOVED", "title"), _moved("as submitted", found)]
    return [*lines, *(_moved(f"{near['name']} = {near['value']}", near) for near in found["neighbours"])]


def _moved(name: str, figures: Mapping[str, Any]) -> Line:
    line = Line("  ").add(f"{plain(name, 26):26}", "dim")
    if figures.get("error"):
        return line.add(plain(figures["error"]), "warn")
    total, sharpe = figures["total_return"], figures["sharpe"]
    line.add("-" if total is None else f"{number(total * 100, 1, sign=True)}%")
    return line.add("  sharpe ", "dim").add("-" if sharpe is None else number(sharpe, 2))
