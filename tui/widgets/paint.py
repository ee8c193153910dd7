"""From lines of roles to strips of cells: the only place where roles become styles."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from rich.segment import Segment
from rich.style import Style
from textual.strip import Strip

from tui.glyphs import to_ascii
from tui.line import Line


@dataclass(frozen=True, slots=True)
class Paint:
    """The styles of the theme in force, and whether glyphs are drawn in ascii."""

    styles: Mapping[str, Style]
    as_ascii: bool = False

    def strip(self, line: Line, width: int, base: Style, over: str = "") -> Strip:
        """Exactly width cells. over: a role laid over the whole row, such as the cursor."""
        top = self.styles.get(over) if over else None
        ground = base + self.styles[""]
        segments = []
        for text, role in line.fit(width).spans:
            style = ground + self.styles.get(role, Style.null())
            segments.append(Segment(to_ascii(text) if self.as_ascii else text, style + top if top else style))
        return Strip(segments, width)
