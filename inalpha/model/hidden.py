"""Where a text keeps a part of itself out of a reader's sight: far to the right, far below, or in blank letters.

Nothing here judges; the linter names these places and every screen that shows what a person signs marks them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

MANY_BLANKS = 40  # a gap that reads as the end of the line
MANY_INDENT = 80  # in front of a line less is usual: arguments are aligned below an opening bracket
MANY_LINES = 10  # a gap that reads as the end of the file
TAB = 8

# Letters without ink that str.isspace() does not know: fillers, the empty braille cell, joiners, selectors, a note
# without a head. Python takes most of them inside of names.
_INKLESS = (
    "\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180d\u180f\u2800\u3164\ufe00-\ufe0f\uffa0\U00013441\U00013442"
    "\U00016fe4\U0001d159\U000e0100-\U000e01ef"
)
INKLESS = re.compile(f"[{_INKLESS}]")
_GAP = re.compile(rf"[\s{_INKLESS}]+")
# What Python's tokenizer takes for the end of a line. A form feed or U+2028 ends none, whatever an editor shows.
_LINE_END = re.compile(r"\r\n|\r|\n")


@dataclass(frozen=True, slots=True)
class Gap:
    """A run of blanks inside a text: its letters, and how many columns they push the rest away."""

    start: int
    end: int
    columns: int


def source_lines(source: str) -> list[str]:
    """The lines as the interpreter counts them, so that a number means the same line everywhere."""
    lines = _LINE_END.split(source)
    return lines[:-1] if lines[-1] == "" else lines


def is_blank_line(line: str) -> bool:
    return _GAP.fullmatch(line) is not None or not line


def gaps(text: str) -> Iterator[Gap]:
    """The runs of blanks that hide what stands behind them; blanks at the end hide nothing."""
    for match in _GAP.finditer(text):
        if match.end() == len(text):
            return
        columns = _columns(text[: match.end()]) - _columns(text[: match.start()])
        if columns >= (MANY_BLANKS if match.start() else MANY_INDENT):
            yield Gap(match.start(), match.end(), columns)


def _columns(text: str) -> int:
    return len(text.expandtabs(TAB))
