"""Line charts as SVG text: no script, no library, readable in any browser and in a mail.

Okabe and Ito's palette, told apart by the colour-blind; buys and sells differ in shape too. Attributes carry the
colours of a light page for readers that know no style sheet; STYLE adapts them to a dark one.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape
from itertools import pairwise

from inalpha.model.bar import utc_from_ns

WIDTH, HEIGHT = 900, 250
LEFT, RIGHT, TOP, BOTTOM = 84, 40, 30, 26
MAX_POINTS = 1500
# Beyond this factor between high and low a straight scale would flatten all but the largest.
_LOG_FROM = 4.0
_DATE_TICKS = 6

_COLOURS = {"strategy": "#0072b2", "held": "#767b84", "loss": "#d55e00", "buy": "#00795a", "sell": "#b34700"}

STYLE = """
:root { --strategy: #0072b2; --held: #767b84; --loss: #d55e00; --buy: #00795a; --sell: #b34700; }
@media (prefers-color-scheme: dark) {
  :root { --strategy: #56b4e9; --held: #9aa0a8; --loss: #ff8c42; --buy: #2fc59a; --sell: #ff8c42; } }
svg { width: 100%; height: auto; font: 12px system-ui, sans-serif; margin: .5rem 0; display: block; }
svg text { fill: currentColor; } svg .title { font-weight: 600; font-size: 13px; }
svg .grid { stroke: currentColor; stroke-opacity: .15; }
svg polyline { fill: none; stroke-width: 1.4; } svg .area { stroke: none; fill-opacity: .18; }
svg .strategy { stroke: var(--strategy); } svg .held { stroke: var(--held); } svg .loss { stroke: var(--loss); }
svg .area.loss { fill: var(--loss); } svg .buy { fill: var(--buy); } svg .sell { fill: var(--sell); }
"""


@dataclass(frozen=True, slots=True)
class Line:
    """kind: the class that colours it: strategy, held or loss. name: for the legend, "" for none."""

    name: str
    values: Sequence[float]
    kind: str


@dataclass(frozen=True, slots=True)
class Mark:
    """index: into the values; up points to a buy."""

    index: int
    value: float
    up: bool


def chart(
    title: str,
    lines: Sequence[Line],
    times_ns: Sequence[int],
    marks: Sequence[Mark] = (),
    *,
    filled: bool = False,
    unit: str = "",
) -> str:
    """One chart; every line has a value per time. filled: an area up to zero, for a drawdown in percent."""
    everything = [value for line in lines for value in line.values]
    if not everything:
        return ""
    low, high = min(everything), max(everything)
    if filled:
        low, high = min(low, -1.0), max(high, 0.0)
    is_log = low > 0 and high / low > _LOG_FROM
    scale: Callable[[float], float] = math.log if is_log else float
    ticks = log_ticks(low, high) if is_log else linear_ticks(low, high)
    least, most = scale(min(low, ticks[0])), scale(max(high, ticks[-1]))
    spread = (most - least) or 1.0
    length = max(len(line.values) for line in lines)

    def x(index: int) -> float:
        return LEFT + index * (WIDTH - LEFT - RIGHT) / max(1, length - 1)

    def y(value: float) -> float:
        return HEIGHT - BOTTOM - (scale(value) - least) * (HEIGHT - TOP - BOTTOM) / spread

    heading = title + (" (log scale)" if is_log else "")
    parts = [
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" font-size="12" role="img" aria-label="{escape(heading)}">',
        f'<text x="{LEFT}" y="16" class="title" font-weight="600">{escape(heading)}</text>',
    ]
    for value in ticks:
        at = y(value)
        parts.append(
            '<line class="grid" stroke="#000" stroke-opacity=".15"'
            f' x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{at:.1f}" y2="{at:.1f}"/>'
        )
        parts.append(
            f'<text x="{LEFT - 6}" y="{at + 4:.1f}" text-anchor="end">{tick_text(value, ticks)}{unit}</text>'
        )
    parts += _dates(times_ns, x)
    for line in lines:
        picked = _picked(len(line.values))
        points = " ".join(f"{x(i):.1f},{y(line.values[i]):.1f}" for i in picked)
        if filled:
            base = f"{x(picked[-1]):.1f},{y(0):.1f} {x(picked[0]):.1f},{y(0):.1f}"
            colour = f'fill="{_COLOURS[line.kind]}" fill-opacity=".18"'
            parts.append(f'<polygon class="area {line.kind}" {colour} points="{points} {base}"/>')
        parts.append(_polyline(line.kind, points))
    parts += [_triangle(x(mark.index), y(mark.value), mark.up) for mark in marks]
    named = [(line.name, line.kind) for line in lines if line.name]
    if marks:
        named += [("buy", "buy"), ("sell", "sell")]
    return "\n".join([*parts, *_legend(named), "</svg>"])


def _triangle(at_x: float, at_y: float, up: bool) -> str:
    """A buy points up from below the price, a sell down from above: neither hides it."""
    turn = 1 if up else -1
    near, far = at_y + 3 * turn, at_y + 11 * turn
    points = f"{at_x:.1f},{near:.1f} {at_x - 4:.1f},{far:.1f} {at_x + 4:.1f},{far:.1f}"
    kind = "buy" if up else "sell"
    return f'<polygon class="{kind}" fill="{_COLOURS[kind]}" points="{points}"/>'


def _polyline(kind: str, points: str) -> str:
    return f'<polyline class="{kind}" fill="none" stroke="{_COLOURS[kind]}" points="{points}"/>'


def _legend(named: Sequence[tuple[str, str]]) -> list[str]:
    """Right-aligned on the title's line, a sample before each name."""
    parts, right = [], WIDTH - RIGHT
    for name, kind in reversed(named):
        left = right - 7 * len(name)
        parts.append(f'<text x="{left}" y="16">{escape(name)}</text>')
        if kind in ("buy", "sell"):
            parts.append(_triangle(left - 10, 12 - (7 if kind == "buy" else -7), kind == "buy"))
        else:
            parts.append(_polyline(kind, f"{left - 24},12 {left - 6},12"))
        right = left - 40
    return parts


def _dates(times_ns: Sequence[int], x: Callable[[int], float]) -> list[str]:
    """Dates of evenly spaced bars; with the hour where all lie within three days."""
    count = len(times_ns)
    if not count:
        return []
    is_short = times_ns[-1] - times_ns[0] < 3 * 86_400 * 10**9
    form = "%m-%d %H:%M" if is_short else "%Y-%m-%d"
    number = min(_DATE_TICKS, count)
    picked = sorted({step * (count - 1) // max(1, number - 1) for step in range(number)})
    return [
        f'<text x="{x(index):.1f}" y="{HEIGHT - 6}" text-anchor="middle">'
        f"{utc_from_ns(times_ns[index]).strftime(form)}</text>"
        for index in picked
    ]


def linear_ticks(low: float, high: float) -> list[float]:
    """Four to eight round values, multiples of 1, 2 or 5 times a power of ten, that enclose low and high."""
    if low == high:
        low, high = low - (abs(low) or 1.0) * 0.01, high + (abs(high) or 1.0) * 0.01
    rough = (high - low) / 5
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * factor for factor in (1, 2, 5, 10) if rough <= power * factor * 1.0000001)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [number * step for number in range(first, last + 1)]


def log_ticks(low: float, high: float) -> list[float]:
    """1, 2 and 5 times powers of ten from the one below low to the one above high."""
    powers = range(math.floor(math.log10(low)) - 1, math.ceil(math.log10(high)) + 2)
    every = [factor * 10.0**power for power in powers for factor in (1, 2, 5)]
    below = max(value for value in every if value <= low * 1.0000001)
    above = min(value for value in every if value >= high * 0.9999999)
    return [value for value in every if below <= value <= above]


def tick_text(value: float, ticks: Sequence[float]) -> str:
    """As many decimals as tell the ticks apart."""
    step = min((b - a for a, b in pairwise(ticks)), default=1.0)
    decimals = max(0, -math.floor(math.log10(step) + 1e-9))
    return f"{value + 0.0:,.{decimals}f}"


def _picked(length: int) -> range | list[int]:
    """Every index, or MAX_POINTS of them: more cannot be seen on this width."""
    if length <= MAX_POINTS:
        return range(length)
    return [i * (length - 1) // (MAX_POINTS - 1) for i in range(MAX_POINTS)]
