"""VirtualTable: draws the rows that are in sight and nothing else, so its length costs nothing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar, cast

from textual import events
from textual.binding import Binding, BindingType
from textual.geometry import Region, Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip

from tui.line import Line
from tui.rows import Column, TableRow, arranged
from tui.text import pad

if TYPE_CHECKING:
    from tui.app import ConsoleApp


class VirtualTable(ScrollView, can_focus=True):
    """The cursor belongs to a row's key: rows may move, the choice does not.

    Row 0 is the header and stays. Pinned rows stand below it in a zone that never scrolls away, above a line that
    counts them: at most half of the list's height, with a scroll of its own. Selecting never decides anything.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("j,down", "move(1)", show=False),
        Binding("k,up", "move(-1)", show=False),
        Binding("pagedown,space", "page(1)", show=False),
        Binding("pageup", "page(-1)", show=False),
        Binding("g,home", "edge(0)", show=False),
        Binding("G,end", "edge(-1)", show=False),
    ]

    class Moved(Message):
        """The cursor is on another row, or the rows changed under it."""

    class Opened(Message):
        """A row was clicked while it was chosen already."""

    def __init__(
        self,
        columns: Sequence[Column],
        *,
        id: str | None = None,
        empty: str = "nothing yet",
        pinned_as: str = "",
    ) -> None:
        """pinned_as: what the pinned rows are called on the line below them."""
        super().__init__(id=id)
        self.columns = tuple(columns)
        self.all_rows: Sequence[TableRow] = ()
        self.shown: list[TableRow] = []
        self.chosen: str | None = None
        self.wanted = ""
        self.sort_by: int | None = None
        self.flipped = False
        self.empty, self.pinned_as = empty, pinned_as
        self._pinned = self._all_pinned = 0
        self._pin_from = 0

    # What is shown.

    def show(self, rows: Sequence[TableRow]) -> None:
        """Other rows; the chosen one stays chosen, and a vanished one gives way to what took its place."""
        if rows == self.all_rows:
            return
        self.all_rows = rows
        self._arrange()

    def filter(self, wanted: str) -> None:
        self.wanted = wanted
        self._arrange()

    def sort(self) -> str:
        """By the next column, after the last one by nothing; says which."""
        last = len(self.columns) - 1
        self.sort_by = 0 if self.sort_by is None else None if self.sort_by == last else self.sort_by + 1
        self._arrange()
        return "as recorded" if self.sort_by is None else self.columns[self.sort_by].title or "unread"

    def flip(self) -> None:
        self.flipped = not self.flipped
        self._arrange()

    def _arrange(self) -> None:
        before = self.at
        self.shown = arranged(self.all_rows, self.columns, self.wanted, self.sort_by, self.flipped)
        if self.chosen is None or self.at is None:
            place = min(before or 0, len(self.shown) - 1)
            self.chosen = self.shown[place].key if self.shown else None
        self._pinned = sum(row.pinned for row in self.shown)
        self._all_pinned = sum(row.pinned for row in self.all_rows)
        self._follow()
        self.refresh()
        self.post_message(self.Moved())

    @property
    def at(self) -> int | None:
        """Where the chosen row stands."""
        return next((place for place, row in enumerate(self.shown) if row.key == self.chosen), None)

    @property
    def row(self) -> TableRow | None:
        place = self.at
        return None if place is None else self.shown[place]

    # Moving.

    def choose(self, key: str | None) -> None:
        if key == self.chosen:
            return
        self.chosen = key
        self._follow()
        self.refresh()
        self.post_message(self.Moved())

    def action_move(self, step: int) -> None:
        if self.shown:
            place = min(max((self.at or 0) + step, 0), len(self.shown) - 1)
            self.choose(self.shown[place].key)

    def action_page(self, step: int) -> None:
        self.action_move(step * max(self.size.height - 2, 1))

    def action_edge(self, place: int) -> None:
        if self.shown:
            self.choose(self.shown[place].key)

    def on_click(self, event: events.Click) -> None:
        place = self._place(event.y)
        if place is not None:
            key = self.shown[place].key
            if key == self.chosen:
                self.post_message(self.Opened())
            self.choose(key)

    def on_resize(self) -> None:
        self._follow()

    @property
    def _zone(self) -> int:
        """Rows of the pinned zone; one more below it is its line."""
        return min(self._pinned, max((self.size.height - 2) // 2, 1))

    @property
    def _top(self) -> int:
        """Rows that do not scroll: the header, the pinned zone and its line."""
        return 1 + (self._zone + 1 if self._all_pinned else 0)

    def _follow(self) -> None:
        """Bring the chosen row into sight: each zone scrolls for its own rows alone."""
        zone, top, place = self._zone, self._top, self.at
        self.virtual_size = Size(0, len(self.shown) - self._pinned + top)
        self._pin_from = min(self._pin_from, self._pinned - zone)
        if place is None or self.size.height <= 1:
            return
        if place < self._pinned:
            self._pin_from = min(max(self._pin_from, place - zone + 1), place)
        else:
            self.scroll_to_region(Region(0, place - self._pinned, 1, top + 1), animate=False)

    def _place(self, y: int) -> int | None:
        """Which of the shown rows stands on this row of the widget."""
        if 1 <= y <= self._zone:
            return self._pin_from + y - 1
        place = self._pinned + y - self._top + round(self.scroll_offset.y)
        return place if y >= self._top and place < len(self.shown) else None

    # Drawing.

    def widths(self, room: int, screen: int) -> list[tuple[int, int]]:
        """(column, width) of what fits; the growing ones share what is left."""
        kept = [place for place, column in enumerate(self.columns) if screen >= column.least]
        spare = room - sum(self.columns[place].width + 1 for place in kept)
        while spare < 0 and len(kept) > 3:
            dropped = kept.pop()
            spare += self.columns[dropped].width + 1
        growing = [place for place in kept if self.columns[place].grow]
        more = max(spare, 0) // max(len(growing), 1)
        return [(p, self.columns[p].width + (more if self.columns[p].grow else 0)) for p in kept]

    def render_line(self, y: int) -> Strip:
        paint = cast("ConsoleApp", self.app).paint
        width = self.size.width
        fitted = self.widths(width - 1, self.app.size.width)
        if y == 0:
            line = Line(" ")
            for place, size in fitted:
                column = self.columns[place]
                mark = ("▲" if self.flipped else "▼") if place == self.sort_by else ""
                line.add(pad(column.title + mark, size, column.right) + " ", "title")
            return paint.strip(line, width, self.rich_style)
        if self._all_pinned and y == self._zone + 1:
            return paint.strip(self._pin_line(width), width, self.rich_style)
        at = self._place(y)
        if at is None:
            hidden = self.wanted and self.all_rows
            is_first = y == self._top and not self.shown
            text = ("no match: Esc clears the filter" if hidden else self.empty) if is_first else ""
            return paint.strip(Line(f" {text}", "dim"), width, self.rich_style)
        row = self.shown[at]
        is_chosen = row.key == self.chosen
        line = Line("▶" if is_chosen else " ", "accent")
        for place, size in fitted:
            cell = row.cells[place]
            line.add(pad(cell.text, size, self.columns[place].right) + " ", cell.role)
        return paint.strip(line, width, self.rich_style, "cursor" if is_chosen else "")

    def _pin_line(self, width: int) -> Line:
        """How many there are, and how many of them stand above and below the zone."""
        told = f"{self.pinned_as} {self._all_pinned}"
        if self._pinned < self._all_pinned:
            told += f", {self._pinned} match the filter"
        elif self.sort_by is None and not self.flipped:
            told += ", oldest first"
        above, below = self._pin_from, self._pinned - self._zone - self._pin_from
        told += (f"  ▲ {above} more" if above else "") + (f"  ▼ {below} more" if below else "")
        return Line("─ ", "rule").add(told, "title").add(" " + "─" * width, "rule").clip(width)
