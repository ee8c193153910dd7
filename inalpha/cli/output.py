"""How verbs speak: one JSON object or plain lines on stdout, errors on stderr, exit codes as fixed.

The one printer of the command line. What strategies, agents and files say passes through it like everything else, so
no verb can forget to make it harmless.
"""

from __future__ import annotations

import sys
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any, NoReturn, TextIO, cast

import click

from inalpha.model.errors import InalphaError
from inalpha.model.plain import json_text, plain
from inalpha.model.timeframe import is_daily, session_us

__all__ = ["plain"]

SCHEMA = 1
_LETTERS = "".join(map(chr, [*range(0x09), *range(0x0B, 0x20), *range(0x7F, 0xA0)]))
_VISIBLE = str.maketrans({letter: plain(letter) for letter in _LETTERS})


class _Guarded:
    """A stream for whatever does not come through `say`: a library's warning, a traceback, a forgotten print."""

    def __init__(self, stream: TextIO) -> None:
        self.stream = stream

    def write(self, text: str) -> int:
        self.stream.write(text.translate(_VISIBLE))
        return len(text)

    def writelines(self, lines: Iterable[str]) -> None:
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)


@contextmanager
def guarded() -> Iterator[None]:
    """While it lasts, no control character but a line break leaves by stdout or stderr, however it is written."""
    before = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = cast(TextIO, _Guarded(sys.stdout)), cast(TextIO, _Guarded(sys.stderr))
    try:
        yield
    finally:
        sys.stdout, sys.stderr = before


def say(*lines: object, err: bool = False, red: bool = False) -> None:
    """Print each argument as one line, whatever it holds. red: on a terminal that shows colours."""
    stream = sys.stderr if err else sys.stdout
    raw = getattr(stream, "stream", stream)
    for line in lines:
        click.secho(plain(line), file=raw, fg="red" if red else None)


def say_exactly(text: str) -> None:
    """Signed bytes as they are, for whoever keeps them; to a person at a terminal in lines of plain text."""
    if sys.stdout.isatty():
        say(*text.split("\n")[: -1 if text.endswith("\n") else None])
    else:
        click.echo(text, nl=False, file=getattr(sys.stdout, "stream", sys.stdout))


@contextmanager
def progress_bar(length: int, label: str) -> Iterator[Callable[[int], None]]:
    """A bar on stderr that is told how far the work is; it draws over its own line, so it writes unguarded."""
    raw = getattr(sys.stderr, "stream", sys.stderr)
    with click.progressbar(length=length, label=plain(label), file=raw) as shown:
        yield lambda done: shown.update(done - shown.pos)


def emit_json(body: dict[str, object]) -> None:
    """One object, `schema` first."""
    say(json_text({"schema": SCHEMA, **body}))


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
        say("  ".join(padded).rstrip())


def fail(error: InalphaError, as_json: bool) -> NoReturn:
    """Print the error in its fixed form and leave with its code."""
    if as_json:
        emit_json({"error": error.as_dict()})
    else:
        fix = f" {error.fix}" if error.fix else ""
        say(f"error: {error.code}: {error.message}{fix}", err=True)
    sys.exit(error.exit_code)


def show_trouble(error: BaseException) -> None:
    """An error that nobody expected: where it happened, and its text on one line, whoever wrote that."""
    below = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    if below is not None:
        show_trouble(below)
        say("which led to:", err=True)
    for frame in traceback.extract_tb(error.__traceback__):
        say(f'  File "{frame.filename}", line {frame.lineno}, in {frame.name}', err=True)
    say(f"{type(error).__name__}: {error}", err=True)


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
