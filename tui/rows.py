"""Tables as data: columns, rows, the filter and the order."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

_NUMBER = re.compile(r"[-+]?\d[\d,]*\.?\d*")


@dataclass(frozen=True, slots=True)
class Column:
    """grow: takes what room is left. least: the screen width from which it is shown."""

    title: str
    width: int
    right: bool = False
    grow: bool = False
    least: int = 0


@dataclass(frozen=True, slots=True)
class Cell:
    text: str
    role: str = ""


@dataclass(frozen=True, slots=True)
class TableRow:
    """key: what the row is, kept under the cursor when rows move. seq: its ledger line."""

    key: str
    cells: tuple[Cell, ...]
    seq: int = 0
    unread: bool = False


def matches(row: TableRow, columns: Sequence[Column], wanted: str) -> bool:
    """Every word must occur; !word must not; title:word looks into that column alone."""
    for word in wanted.lower().split():
        negated, bare = word.startswith("!"), word.removeprefix("!")
        title, colon, rest = bare.partition(":")
        texts = [
            cell.text.lower()
            for cell, column in zip(row.cells, columns, strict=True)
            if not colon or column.title == title
        ]
        if colon and not texts:
            texts, rest = [cell.text.lower() for cell in row.cells], bare
        if any((rest if colon else bare) in text for text in texts) == negated:
            return False
    return True


def sort_key(text: str) -> tuple[int, float, str]:
    """Numbers by size, everything else by letters after them."""
    found = _NUMBER.fullmatch(text.strip("✓✗○● %$"))
    if found:
        return 0, float(found.group().replace(",", "")), ""
    return 1, 0.0, text.lower()


def arranged(
    rows: Sequence[TableRow], columns: Sequence[Column], wanted: str, by: int | None, flipped: bool
) -> list[TableRow]:
    """The rows that match, in the order that was asked for."""
    found = [row for row in rows if not wanted or matches(row, columns, wanted)]
    if by is not None:
        found.sort(key=lambda row: sort_key(row.cells[by].text))
    return found[::-1] if flipped else found
