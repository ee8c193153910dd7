"""Lines of styled text as data: what a screen says, before anything is drawn."""

from __future__ import annotations

from collections.abc import Iterable

from rich.cells import cell_len

from inalpha.client.wholetext import Piece, marked, rows_of
from tui.text import cut, plain

Span = tuple[str, str]  # text, role (a name of tui.theme.ROLES)


class Line:
    """One row: spans of text with a role each. hang: the column below which the rest of a long line continues."""

    __slots__ = ("hang", "spans")

    def __init__(self, text: str = "", role: str = "", hang: int = 0) -> None:
        self.spans: list[Span] = [(text, role)] if text else []
        self.hang = hang

    def add(self, text: str, role: str = "") -> Line:
        if text:
            self.spans.append((text, role))
        return self

    def join(self, other: Line) -> Line:
        self.spans.extend(other.spans)
        return self

    @property
    def text(self) -> str:
        return "".join(text for text, _ in self.spans)

    @property
    def width(self) -> int:
        return cell_len(self.text)

    def to(self, column: int) -> Line:
        """Filled with blanks up to the column."""
        return self.add(" " * (column - self.width))

    def clip(self, width: int) -> Line:
        """At most width cells of a drawing, where an ellipsis would be one more glyph."""
        out = Line()
        for text, role in self.spans:
            out.add(text[: max(width - out.width, 0)], role)
        return out

    def fit(self, width: int) -> Line:
        """Exactly width cells: cut with an ellipsis, or filled."""
        out, used = Line(), 0
        for text, role in self.spans:
            size = cell_len(text)
            if used + size > width:
                out.add(cut(text, width - used), role)
                return out.to(width)
            out.add(text, role)
            used += size
        return out.to(width)

    def quote(self, text: str, role: str = "") -> Line:
        """What somebody else wrote, in quotation marks, with every gap in it marked."""
        self.add("“", role)
        self.pieces(marked(text), role)
        return self.add("”", role)

    def pieces(self, pieces: Iterable[Piece], role: str = "") -> Line:
        for text, is_mark in pieces:
            self.add(text if is_mark else plain(text), "warn" if is_mark else role)
        return self

    def wrap(self, width: int) -> list[Line]:
        """As many rows as it takes: what is signed is never cut."""
        if self.width <= width:
            return [self]
        hang = min(self.hang, max(width - 8, 0))
        found: list[Line] = []
        for start, end in rows_of(self.text, width, width - hang, cell_len):
            row, at = Line(" " * hang if found else ""), 0
            for text, role in self.spans:
                row.add(text[max(start - at, 0) : max(end - at, 0)], role)
                at += len(text)
            found.append(row)
        return found

    def end(self, text: str, width: int, role: str = "") -> Line:
        """With text flush right in width; what stands in its way is cut."""
        found = self.fit(width - cell_len(text))
        return found.add(text, role)

    def __repr__(self) -> str:
        return f"Line({self.text!r})"


def texts(lines: Iterable[Line]) -> list[str]:
    """The bare text, for tests and the clipboard."""
    return [line.text.rstrip() for line in lines]


def whole(lines: Iterable[Line], width: int) -> list[Line]:
    """Every line in as many rows as it takes."""
    return [row for line in lines for row in line.wrap(width)]


def beside(left: list[Line], right: list[Line], left_width: int, width: int) -> list[Line]:
    """Two columns with a rule between."""
    rows = max(len(left), len(right))
    found = []
    for row in range(rows):
        line = (left[row] if row < len(left) else Line()).fit(left_width)
        line.add(" │ ", "rule")
        line.join((right[row] if row < len(right) else Line()).fit(width - left_width - 3))
        found.append(line)
    return found
