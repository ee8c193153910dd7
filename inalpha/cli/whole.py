"""What a person signs, printed whole: gaps marked, and at a terminal wrapped with line numbers."""

from __future__ import annotations

import difflib
import os
import shutil
import sys
import unicodedata
from collections.abc import Iterable, Iterator
from itertools import groupby

from inalpha.cli.output import plain
from inalpha.client.wholetext import Piece, hidden_words, marked, rows_of, source_rows
from inalpha.model.hidden import MANY_LINES, is_blank_line, source_lines

_UNWRAPPED = 10**9


def width() -> int:
    """Columns to wrap at; none where nobody's terminal says them."""
    is_told = sys.stdout.isatty() or "COLUMNS" in os.environ
    return max(shutil.get_terminal_size().columns, 20) if is_told else _UNWRAPPED


def _cell(letter: str) -> int:
    if unicodedata.combining(letter):
        return 0
    return 2 if unicodedata.east_asian_width(letter) in "WF" else 1


def rows(first: str, pieces: Iterable[Piece], columns: int) -> Iterator[str]:
    """One line behind its first words, in as many rows as it takes."""
    text = "".join(piece if is_mark else plain(piece.replace("\t", "    ")) for piece, is_mark in pieces)
    for start, end in rows_of(text, columns - len(first), columns - len(first), _cell):
        yield (first + text[start:end]).rstrip()
        first = " " * len(first)


def quoted(first: str, text: str, columns: int) -> Iterator[str]:
    """Somebody else's words in quotation marks."""
    return rows(first, (("“", True), *marked(text), ("”", True)), columns)


def source(text: str, columns: int) -> Iterator[str]:
    """A file; numbered where it is wrapped, so that no rest of a line looks like a line."""
    for row in source_rows(text):
        number = "" if columns == _UNWRAPPED else f"{row.number:4} "
        yield from rows(number, row.pieces, columns)


def diff(before: str, after: str, names: tuple[str, str], columns: int) -> Iterator[str]:
    """A unified diff by the interpreter's lines; many blank ones in a row are told by their number."""
    lines = difflib.unified_diff(source_lines(before), source_lines(after), *names, lineterm="")
    for (sign, is_blank), group in groupby(lines, lambda line: (line[:1], is_blank_line(line[1:]))):
        found = list(group)
        if is_blank and len(found) >= MANY_LINES:
            yield f"{sign}┆ {len(found)} blank lines ┆"
        else:
            for line in found:
                yield from rows(sign, marked(line[1:]), columns)


def warning(text: str) -> Iterator[str]:
    """The lines of a file that hide a part of themselves, whole, behind one sentence that counts them."""
    told = hidden_words(text)
    if told:
        yield f"note: {told}"
    for row in source_rows(text):
        if any(is_mark for _, is_mark in row.pieces):
            yield from rows(f"  line {row.number}: ", row.pieces, 80)
