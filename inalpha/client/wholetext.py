"""A text that somebody signs, shown whole: gaps are marked, long lines wrap, nothing is left out.

The console and the verbs that print a card, a source or a diff cut their lines by this one module.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import groupby

from inalpha.model.hidden import MANY_LINES, gaps, is_blank_line, source_lines
from inalpha.model.plain import escape, unseen

FAR = 200
Piece = tuple[str, bool]  # text, and whether it is a mark of ours in the place of blanks


def marked(text: str) -> list[Piece]:
    """The text with a mark in the place of each run of blanks that would hide what follows it, and of each letter
    that no screen shows."""
    found: list[Piece] = []
    at = 0
    for gap in gaps(text):
        found += [*_spelled(text[at : gap.start]), (f" ┆ {gap.columns} blanks ┆ ", True)]
        at = gap.end
    return [piece for piece in (*found, *_spelled(text[at:])) if piece[0]]


def _spelled(text: str) -> Iterator[Piece]:
    at = 0
    for place, letter in _unseen(text):
        yield text[at:place], False
        yield escape(letter), True
        at = place + 1
    yield text[at:], False


def _unseen(text: str) -> list[tuple[int, str]]:
    """Tabs and the ends of lines are layout: they are shown, and nobody is warned of them."""
    return (
        [] if text.isascii() and text.isprintable() else [it for it in unseen(text) if it[1] not in "\t\r\n"]
    )


@dataclass(frozen=True, slots=True)
class SourceRow:
    """A line of a file with its number; many blank lines are one row, numbered by the first."""

    number: int
    pieces: tuple[Piece, ...]


def source_rows(source: str) -> Iterator[SourceRow]:
    """Every line of a file, gaps to the right and downward marked."""
    number = 1
    for is_blank, group in groupby(source_lines(source), is_blank_line):
        lines = list(group)
        if is_blank and len(lines) >= MANY_LINES:
            yield SourceRow(number, ((f"┆ {len(lines)} blank lines ┆", True),))
        else:
            for place, line in enumerate(lines):
                yield SourceRow(number + place, tuple(marked(line)))
        number += len(lines)


def hidden_words(source: str) -> str:
    """What a reader of this file is warned of: `1 line hides text behind blanks, 2 long lines`."""
    lines = source_lines(source)
    behind = sum(1 for line in lines if any(gaps(line)))
    without_ink = sum(1 for line in lines if _unseen(line))
    far = sum(1 for line in lines if len(line.expandtabs()) > FAR)
    below = sum(
        1 for is_blank, group in groupby(lines, is_blank_line) if is_blank and len(list(group)) >= MANY_LINES
    )
    told = [
        f"{count} {one if count == 1 else many}"
        for count, one, many in (
            (behind, "line hides text behind blanks", "lines hide text behind blanks"),
            (without_ink, "line with letters that cannot be seen", "lines with letters that cannot be seen"),
            (far, "long line", "long lines"),
            (below, "gap of blank lines", "gaps of blank lines"),
        )
        if count
    ]
    return ", ".join(told)


def rows_of(text: str, first: int, rest: int, cell: Callable[[str], int]) -> list[tuple[int, int]]:
    """Where to cut a text into rows, the first one `first` cells wide and the others `rest`.

    Rows end behind a blank where one is near. Every letter stands in a row, but for the one blank that a row's end
    takes the place of. cell: how wide one letter is drawn.
    """
    rows: list[tuple[int, int]] = []
    start = 0
    while start < len(text):
        width = max(rest if rows else first, 2)
        end, used, behind_blank = start, 0, start
        while end < len(text) and used + cell(text[end]) <= width:
            used += cell(text[end])
            end += 1
            if text[end - 1] == " ":
                behind_blank = end
        if end < len(text) and text[end] != " " and (behind_blank - start) * 2 > end - start:
            end = behind_blank
        rows.append((start, end))
        start = end + 1 if end < len(text) and text[end] == " " else end
    return rows or [(0, 0)]
