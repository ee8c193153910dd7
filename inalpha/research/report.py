"""A backtest's files: figures, fills, orders, equity, page and journal."""

from __future__ import annotations

import csv
import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict
from decimal import Decimal, InvalidOperation
from pathlib import Path
from types import TracebackType
from typing import Any

import msgspec

from inalpha.kernel.records import JournalEntry
from inalpha.kernel.spec import RunSpec
from inalpha.model.bar import utc_from_ns
from inalpha.model.errors import IntegrityError
from inalpha.model.money import text_from_e8
from inalpha.model.plain import cell
from inalpha.model.version import VERSION
from inalpha.research import returns as series
from inalpha.research.backtest import BacktestResult, OrderRecord
from inalpha.research.html import report_html
from inalpha.research.metrics import RISK_FREE_RATE, Metric, compute_metrics, periods_per_year
from inalpha.research.outcomes import outcomes

JOURNAL_NAME = "journal"
_BUFFER = 1 << 18


def time_text(ns: int) -> str:
    """ISO-8601 UTC, seconds where that is enough."""
    when = utc_from_ns(ns)
    return when.strftime("%Y-%m-%dT%H:%M:%SZ") if ns % 1_000_000_000 == 0 else when.isoformat()


def report_dict(result: BacktestResult, metrics: Sequence[Metric]) -> dict[str, Any]:
    """report.json as a value. Undefined figures are null."""
    spec = result.spec
    return {
        "version": VERSION,
        "run": json.loads(spec.header()),
        "convention": spec.fill,
        "models": {"fee": spec.fee.text, "slippage": spec.slippage.text, "limit_fill": spec.limit_fill},
        "periods_per_year": periods_per_year(result),
        "risk_free_rate": RISK_FREE_RATE,
        "metrics": {metric.name: metric.value for metric in metrics},
        "definitions": {metric.name: metric.definition for metric in metrics},
        "orders": [ended.as_dict() for ended in outcomes(result)],
        "denials": dict(result.denials),
        "refusals": _refusals(result),
        "exits": dict(result.exits),
        "warnings": result.warnings,
        "error": result.error,
        "final_equity": text_from_e8(result.final_equity_e8),
        "head": result.head,
    }


def write_report(result: BacktestResult, folder: Path) -> list[Path]:
    """Write report.json, fills.csv, orders.csv, equity.csv and report.html. Answers their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    metrics = compute_metrics(result)
    text = json.dumps(report_dict(result, metrics), indent=2, ensure_ascii=True, allow_nan=False)
    (folder / "report.json").write_text(text + "\n", encoding="utf-8")
    (folder / "report.html").write_text(report_html(result, metrics), encoding="utf-8")
    _write_rows(folder / "fills.csv", FILL_COLUMNS, _fill_rows(result))
    _write_rows(folder / "orders.csv", ORDER_COLUMNS, _order_rows(result))
    _write_rows(folder / "equity.csv", EQUITY_COLUMNS, _equity_rows(result))
    return [folder / n for n in ("report.json", "report.html", "fills.csv", "orders.csv", "equity.csv")]


FILL_COLUMNS = ("sequence", "time", "side", "quantity", "price", "fee", "order", "reason")
ORDER_COLUMNS = (
    "order", "time", "side", "type", "quantity", "limit", "stop", "tif", "state", "code", "reason",
    # Of the refusal that answered; its own limit has another name than the order's.
    "control", "measured", "control_limit", "unit", "setting", "message",
)  # fmt: skip
EQUITY_COLUMNS = ("time", "cash", "position", "price", "equity", "drawdown")


def _write_rows(path: Path, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows(rows)


def _fill_rows(result: BacktestResult) -> Iterator[Sequence[object]]:
    instrument = result.spec.instrument
    for fill in result.fills:
        yield (
            fill.bar,
            time_text(fill.time_ns),
            fill.side.text,
            instrument.quantity_text(fill.quantity_lots),
            instrument.price_text(fill.price_ticks),
            text_from_e8(fill.fee_e8),
            fill.intent if fill.child is None else f"{fill.intent}:{fill.child}",
            cell(fill.reason),
        )


def _order_rows(result: BacktestResult) -> Iterator[Sequence[object]]:
    for row in result.orders.values():
        yield (
            row.order,
            time_text(row.time_ns),
            cell(row.side),
            cell(row.type),
            row.quantity,
            row.limit,
            row.stop,
            cell(row.tif),
            row.state,
            row.code,
            cell(row.reason),
            *_answer(row),
        )


def _answer(row: OrderRecord) -> tuple[str, ...]:
    if not row.refusals:
        return ("",) * 6
    first = row.refusals[0]
    texts = (first.control, first.measured, first.limit, first.unit, first.setting, first.message)
    return tuple(_figure_cell(text or "") for text in texts)


def _figure_cell(text: str) -> str:
    """A figure may be below zero; any other text is as harmless as a strategy's must be."""
    try:
        Decimal(text)
    except InvalidOperation:
        return cell(text)
    return text


def _refusals(result: BacktestResult) -> list[dict[str, object]]:
    """Every way in which orders were refused: its first refusal in full, how often it came and on which order first.

    orders.csv holds the one that answered for each order.
    """
    found: dict[tuple[str, str, str], dict[str, object]] = {}
    counts: Counter[tuple[str, str, str]] = Counter()
    for row in result.orders.values():
        for refusal in row.refusals:
            key = (refusal.code, refusal.control, refusal.setting)
            counts[key] += 1
            found.setdefault(key, {**asdict(refusal), "order": row.order})
    return [{**told, "count": counts[key]} for key, told in found.items()]


def _equity_rows(result: BacktestResult) -> Iterator[Sequence[object]]:
    instrument = result.spec.instrument
    depths = series.drawdowns([result.spec.opening_cash_e8, *result.equity_e8])[1:]
    for index, depth in enumerate(depths):
        yield (
            time_text(result.times_ns[index]),
            text_from_e8(result.cash_e8[index]),
            instrument.quantity_text(result.position_lots[index]),
            instrument.price_text(result.close_ticks[index]),
            text_from_e8(result.equity_e8[index]),
            f"{depth:.6f}",
        )


class JournalFile:
    """A journal as JSON lines; a context manager whose `write` is the kernel's `lines`.

    The file's SHA-256 is the run's head.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def __enter__(self) -> JournalFile:
        self._file = self.path.open("wb", buffering=_BUFFER)
        return self

    def write(self, lines: bytes) -> None:
        self._file.write(lines)

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()


def read_journal(path: Path) -> Iterator[JournalEntry]:
    """The entries of a journal file. Raises IntegrityError for a line that is none."""
    decode = msgspec.json.Decoder(tuple[str, msgspec.Raw, msgspec.Raw]).decode
    sha256 = hashlib.sha256()
    bars = 0
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            try:
                kind, inputs, outputs = decode(line)
                sha256.update(line)
                bars += kind == "bar"
                bar = bars - 1 if bars else None
                texts = bytes(inputs).decode(), bytes(outputs).decode()
                yield JournalEntry(number - 1, kind, bar, *texts, sha256.hexdigest())
            except msgspec.MsgspecError as error:
                raise IntegrityError(
                    "BAD_JOURNAL",
                    f"{path} line {number} is no journal entry: {error}.",
                    detail={"line": number},
                ) from error


def journal_spec(entries: Iterable[JournalEntry]) -> RunSpec:
    """The run that a journal describes. Raises IntegrityError without a readable header."""
    first = next(iter(entries), None)
    if first is None or first.kind != "header":
        raise IntegrityError("BAD_JOURNAL", "the journal does not begin with a header.")
    try:
        return RunSpec.from_header(first.input)
    except (ValueError, KeyError, TypeError) as error:
        raise IntegrityError("BAD_JOURNAL", f"the journal's header is not readable: {error}.") from error
