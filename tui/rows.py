"""Tables as data: columns, rows, the filter and the order."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from tui.text import MISSING

_NUMBER = re.compile(r"[-+]?\d[\d,]*(\.\d+)?", re.ASCII)
_NUMBERS = re.compile(r"(\d+(?:,\d{3})*(?:\.\d+)?)", re.ASCII)
_GLYPHS = "✓✗○●◐◑…·! "
_NOTHING = frozenset({"", "-", MISSING})


@dataclass(frozen=True, slots=True)
class Column:
    """grow: takes what room is left. least: the screen width from which it is shown."""

    title: str
    width: int
    right: bool = False
    grow: bool = False
    least: int = 0


class ByText:
    """A cell that sorts by what it says."""


BY_TEXT = ByText()
Value = Decimal | int | float | str | None


@dataclass(frozen=True, slots=True)
class Cell:
    """value: what it sorts by where that is not its text, such as a time or an unrounded amount; None is missing."""

    text: str
    role: str = ""
    value: Value | ByText = BY_TEXT


@dataclass(frozen=True, slots=True)
class TableRow:
    """key: what the row is, kept under the cursor when rows move. seq: its ledger line. pinned: stays on top."""

    key: str
    cells: tuple[Cell, ...]
    seq: int = 0
    unread: bool = False
    pinned: bool = False


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


SortKey = tuple[int, Decimal, tuple[tuple[int, Decimal, str], ...]]


def sort_key(cell: Cell) -> SortKey | None:
    """Numbers by size, then text with the numbers in it by size; None for what is missing."""
    value = cell.text.strip(_GLYPHS) if isinstance(cell.value, ByText) else cell.value
    if value is None or (isinstance(value, str) and value in _NOTHING):
        return None
    if isinstance(value, str):
        whole = _NUMBER.fullmatch(value.rstrip("%"))
        if whole is None:
            return 1, Decimal(0), _natural(value)
        value = whole.group().replace(",", "")
    found = Decimal(str(value))
    return (0, found, ()) if found.is_finite() else None


def _natural(text: str) -> tuple[tuple[int, Decimal, str], ...]:
    """`run-10` behind `run-9`. The sign in front of a number inside a name is a hyphen."""
    parts = _NUMBERS.split(text.lower())
    return tuple(
        (0, Decimal(part.replace(",", "")), "") if place % 2 else (1, Decimal(0), part)
        for place, part in enumerate(parts)
    )


def arranged(
    rows: Sequence[TableRow], columns: Sequence[Column], wanted: str, by: int | None, flipped: bool
) -> list[TableRow]:
    """The rows that match, in the order that was asked for: pinned ones first, missing values last either way."""
    found = [row for row in rows if not wanted or matches(row, columns, wanted)]
    if by is None:
        found = found[::-1] if flipped else found
    else:
        keyed = [(sort_key(row.cells[by]), row) for row in found]
        known = [(key, row) for key, row in keyed if key is not None]
        known.sort(key=lambda pair: pair[0], reverse=flipped)
        found = [row for _, row in known] + [row for key, row in keyed if key is None]
    return sorted(found, key=lambda row: not row.pinned)
