"""How verbs speak: one JSON object or plain lines on stdout, errors on stderr, exit codes as fixed."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, NoReturn

import click

from inalpha.execution.rationale import HIDING
from inalpha.model.errors import InalphaError
from inalpha.model.timeframe import is_daily, session_us

SCHEMA = 1


def plain(text: object) -> str:
    """Text that others wrote, unable to move the cursor or to hide: such characters become visible."""
    return HIDING.sub(lambda match: f"\\x{ord(match.group()):02x}", str(text)).replace("\n", " ")


def emit_json(body: dict[str, object]) -> None:
    """One object, `schema` first."""
    click.echo(json.dumps({"schema": SCHEMA, **body}, ensure_ascii=False, default=str))


def emit_items(items: Iterable[dict[str, object]]) -> None:
    emit_json({"items": list(items)})


def iso(microseconds: int | None) -> str | None:
    """Microseconds since 1970 as ISO-8601 UTC; None stays None."""
    if microseconds is None:
        return None
    when = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=microseconds)
    return when.isoformat(timespec="seconds" if microseconds % 1_000_000 == 0 else "microseconds").replace(
        "+00:00", "Z"
    )


def bar_words(close_us: int | None, timeframe: str) -> str | None:
    """A bar as a person calls it: by its close, or from a day on by the date of its session."""
    if close_us is None or not is_daily(timeframe):
        return iso(close_us)
    return (iso(session_us(close_us, timeframe)) or "")[:10]


def table(rows: Sequence[Sequence[object]], header: Sequence[str]) -> None:
    """Aligned columns; nothing but the header when there are no rows."""
    texts = [[plain("-" if cell is None else cell) for cell in row] for row in rows]
    widths = [max([len(name), *(len(row[column]) for row in texts)]) for column, name in enumerate(header)]
    for line in [list(header), *texts]:
        padded = (cell.ljust(width) for cell, width in zip(line, widths, strict=True))
        click.echo("  ".join(padded).rstrip())


def fail(error: InalphaError, as_json: bool) -> NoReturn:
    """Print the error in its fixed form and leave with its code."""
    if as_json:
        emit_json({"error": error.as_dict()})
    else:
        fix = f" {error.fix}" if error.fix else ""
        click.echo(f"error: {error.code}: {error.message}{fix}", err=True)
    sys.exit(error.exit_code)


def on_terminal() -> bool:
    """Progress bars only where a person watches."""
    return sys.stderr.isatty()


def refusal_text(refusal: Mapping[str, Any]) -> str:
    """A refusal on one line: `MAX_ORDER P3 20 against 10 % of equity (max_order.equity_pct): …`."""
    figures = [refusal["control"]]
    if refusal["measured"] is not None and refusal["limit"] is not None:
        figures.append(f"{refusal['measured']} against {refusal['limit']} {refusal['unit']}")
    setting = f" ({refusal['setting']})" if refusal["setting"] else ""
    return plain(f"{refusal['code']} {' '.join(figures)}{setting}: {refusal['message']}")
