"""Line charts as SVG text: no script, no library, readable in any browser and in a mail."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

WIDTH, HEIGHT, MARGIN = 900, 240, 56
MAX_POINTS = 1500


@dataclass(frozen=True, slots=True)
class Line:
    name: str
    values: Sequence[float]
    colour: str


@dataclass(frozen=True, slots=True)
class Mark:
    """index: into the values; up points to a buy."""

    index: int
    value: float
    up: bool


def chart(title: str, lines: Sequence[Line], labels: tuple[str, str], marks: Sequence[Mark] = ()) -> str:
    """One chart; every line has a value per bar. labels: the first and the last date."""
    everything = [value for line in lines for value in line.values]
    if not everything:
        return ""
    low, high = min(everything), max(everything)
    spread = (high - low) or abs(high) or 1.0
    length = max(len(line.values) for line in lines)

    def x(index: int) -> float:
        return MARGIN + index * (WIDTH - 2 * MARGIN) / max(1, length - 1)

    def y(value: float) -> float:
        return HEIGHT - 24 - (value - low) * (HEIGHT - 48) / spread

    parts = [
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(title)}">',
        f'<text x="{MARGIN}" y="14" class="title">{escape(title)}</text>',
    ]
    for value in (low, (low + high) / 2, high):
        parts.append(f'<line x1="{MARGIN}" x2="{WIDTH - MARGIN}" y1="{y(value):.1f}" y2="{y(value):.1f}"/>')
        parts.append(f'<text x="{MARGIN - 6}" y="{y(value) + 4:.1f}" text-anchor="end">{value:,.4g}</text>')
    for position, line in enumerate(lines):
        points = " ".join(f"{x(i):.1f},{y(line.values[i]):.1f}" for i in _picked(len(line.values)))
        parts.append(f'<polyline points="{points}" stroke="{line.colour}"/>')
        left = WIDTH - MARGIN - 150 * (len(lines) - position - 1)
        parts.append(
            f'<text x="{left}" y="14" text-anchor="end" fill="{line.colour}">{escape(line.name)}</text>'
        )
    for mark in marks:
        tip = -5 if mark.up else 5
        at_x, at_y = x(mark.index), y(mark.value)
        corners = (
            f"{at_x:.1f},{at_y + tip:.1f} {at_x - 4:.1f},{at_y - tip:.1f} {at_x + 4:.1f},{at_y - tip:.1f}"
        )
        parts.append(f'<polygon points="{corners}" fill="{"#2a7d4f" if mark.up else "#b3403a"}"/>')
    parts.append(f'<text x="{MARGIN}" y="{HEIGHT - 4}">{escape(labels[0])}</text>')
    parts.append(f'<text x="{WIDTH - MARGIN}" y="{HEIGHT - 4}" text-anchor="end">{escape(labels[1])}</text>')
    parts.append("</svg>")
    return "\n".join(parts)


def _picked(length: int) -> range | list[int]:
    """Every index, or MAX_POINTS of them: more cannot be seen on this width."""
    if length <= MAX_POINTS:
        return range(length)
    return [i * (length - 1) // (MAX_POINTS - 1) for i in range(MAX_POINTS)]
