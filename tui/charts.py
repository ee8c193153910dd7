"""Own charts in single-cell glyphs: sparkline, braille line, candles with markers below the price."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tui.glyphs import SPARK
from tui.line import Line
from tui.text import pad, price

# What stands in the upper and the lower half of a cell: nothing, a wick, a body.
_HALVES = {
    (0, 0): " ", (1, 1): "│", (2, 2): "┃", (1, 0): "╵", (0, 1): "╷", (2, 0): "╹", (0, 2): "╻", (1, 2): "╽",
    (2, 1): "╿",
}  # fmt: skip
_DOTS = ((0x01, 0x08), (0x02, 0x10), (0x04, 0x20), (0x40, 0x80))
AXIS = 11


@dataclass(frozen=True, slots=True)
class Candle:
    """bar: its number, so that a gap in the numbers leaves an empty column."""

    bar: int
    open: float
    high: float
    low: float
    close: float


def sample(values: Sequence[float], width: int) -> list[float]:
    """At most width values, the last one of each stretch, so that the newest is always drawn."""
    if len(values) <= width:
        return list(values)
    return [values[(column + 1) * len(values) // width - 1] for column in range(width)]


def spark(values: Sequence[float], width: int) -> str:
    """One row of eight heights. Equal values lie in the middle: a flat line is neither high nor low."""
    found = sample(values, width)
    if not found:
        return ""
    low, high = min(found), max(found)
    if high == low:
        return SPARK[3] * len(found)
    return "".join(SPARK[round((value - low) / (high - low) * 7)] for value in found)


def braille(values: Sequence[float], width: int, height: int = 1) -> list[str]:
    """A line of two by four dots a cell, joined between neighbours."""
    found = sample(values, width * 2)
    cells = [[0] * width for _ in range(height)]
    if found:
        low, high = min(found), max(found)
        top = height * 4 - 1
        levels = [top // 2 if high == low else round((value - low) / (high - low) * top) for value in found]
        for column, level in enumerate(levels):
            before = levels[column - 1] if column else level
            start, stop = sorted((level, before + (level > before) - (level < before) if column else level))
            for dot in range(start, stop + 1):
                row = height * 4 - 1 - dot
                cells[row // 4][column // 2] |= _DOTS[row % 4][column % 2]
    return ["".join(chr(0x2800 + cell) if cell else " " for cell in row) for row in cells]


def candles(
    bars: Sequence[Candle], width: int, height: int, marks: Sequence[tuple[int, str, str]] = ()
) -> list[Line]:
    """height rows of candles with a price axis at the right, then one row of markers.

    marks: (bar number, glyph, role). The last close is pointed at.
    """
    room = width - AXIS
    if not bars or room < 4 or height < 2:
        return [Line("no bars yet", "dim")]
    last = bars[-1].bar
    shown = [bar for bar in bars if bar.bar > last - room]
    first = max(last - room + 1, shown[0].bar)
    low, high = min(bar.low for bar in shown), max(bar.high for bar in shown)
    span = (high - low) or max(abs(high), 1.0) * 0.01
    steps = height * 2
    columns: dict[int, tuple[list[int], str]] = {}
    for bar in shown:
        halved = [0] * steps

        def level(value: float) -> int:
            return min(max(int((value - low) / span * steps), 0), steps - 1)

        for at in range(level(bar.low), level(bar.high) + 1):
            halved[at] = 1
        for at in range(level(min(bar.open, bar.close)), level(max(bar.open, bar.close)) + 1):
            halved[at] = 2
        columns[bar.bar - first] = (halved, "good" if bar.close >= bar.open else "bad")
    used = last - first + 1
    close_row = height - 1 - min(int((shown[-1].close - low) / span * steps), steps - 1) // 2
    labels = {0: high, height // 2: low + span * (height - height // 2 - 0.5) / height, height - 1: low}
    lines = []
    for row in range(height):
        line = Line(" " * (room - used))
        for column in range(used):
            halves, role = columns.get(column, ([0] * steps, ""))
            base = (height - 1 - row) * 2
            line.add(_HALVES[halves[base + 1], halves[base]], role if any(halves) else "")
        if row == close_row:
            line.add(pad(f"← {price(shown[-1].close)}", AXIS), "strong")
        elif row in labels and abs(row - close_row) > 0:
            line.add(pad(f"  {price(labels[row])}", AXIS), "dim")
        lines.append(_merge(line).fit(width))
    below = {bar - first: (glyph, role) for bar, glyph, role in marks if first <= bar <= last}
    row_of_marks = Line(" " * (room - used))
    for place in range(used):
        row_of_marks.add(*below.get(place, (" ", "")))
    return [*lines, _merge(row_of_marks).fit(width)]


def _merge(line: Line) -> Line:
    """Neighbours of one role become one span: fewer segments to send to the terminal."""
    out = Line()
    for text, role in line.spans:
        if out.spans and out.spans[-1][1] == role:
            out.spans[-1] = (out.spans[-1][0] + text, role)
        else:
            out.add(text, role)
    return out


def meter(share: float, width: int) -> str:
    """A filled bar of width cells for 0 to 1."""
    full = round(min(max(share, 0.0), 1.0) * width)
    return "█" * full + "░" * (width - full)
