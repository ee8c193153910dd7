"""NO_COLOR: bold, dim, reverse and underline alone, in whatever colours the terminal has."""

from __future__ import annotations

from rich.segment import Segment
from textual.color import Color
from textual.filter import LineFilter


class Uncoloured(LineFilter):
    """Takes every colour out of a line. Textual's own filters leave greys, or name the default colours."""

    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:
        return [
            Segment(text, None if style is None else style.without_color, control)
            for text, style, control in segments
        ]
