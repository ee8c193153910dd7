"""Lines of a view on the screen: fixed rows, or a sheet that scrolls."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, ClassVar, cast

from textual.binding import Binding, BindingType
from textual.geometry import Size
from textual.scroll_view import ScrollView
from textual.strip import Strip
from textual.widget import Widget

from tui.line import Line

if TYPE_CHECKING:
    from tui.app import ConsoleApp


SCROLLBAR = 1  # of console.tcss: it lies over the last column


class Rows(Widget):
    """Some rows that never scroll; repainted only where they changed. grows: takes more rows when it is shown more."""

    DEFAULT_CSS = "Rows { height: auto; }"

    def __init__(
        self, height: int, *, id: str | None = None, classes: str | None = None, grows: bool = False
    ) -> None:
        super().__init__(id=id, classes=classes)
        self.rows: list[Line] = []
        self._least, self._grows = height, grows
        self.styles.height = height

    def show(self, lines: list[Line]) -> None:
        if [line.spans for line in lines] != [line.spans for line in self.rows]:
            self.rows = lines
            if self._grows:
                self.styles.height = max(len(lines), self._least)
            self.refresh()

    def render_line(self, y: int) -> Strip:
        line = self.rows[y] if y < len(self.rows) else Line()
        return cast("ConsoleApp", self.app).paint.strip(line, self.size.width, self.rich_style)


class Sheet(ScrollView, can_focus=True):
    """A page of lines; j and k scroll it. unseen: how many of its rows have not stood on the screen yet."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("j,down", "scroll_down", show=False),
        Binding("k,up", "scroll_up", show=False),
        Binding("pagedown,space", "page_down", show=False),
        Binding("pageup", "page_up", show=False),
        Binding("g,home", "scroll_home", show=False),
        Binding("G,end", "scroll_end", show=False),
    ]

    def __init__(self, *, id: str | None = None, classes: str | None = None) -> None:
        super().__init__(id=id, classes=classes)
        self.rows: list[Line] = []
        self._page: object = None
        self._painted: set[int] = set()

    def write(self, told: Callable[[int, int], list[Line]], page: object = None) -> None:
        """Ask for the page by width and height; a long one leaves the last column to the scrollbar."""
        width, height = self.size.width or self.app.size.width - 2, self.size.height or 20
        lines = told(width, height)
        if len(lines) > height:
            width -= SCROLLBAR
            lines = told(width, height)
        self.show([line.fit(width) for line in lines], (page, width))

    def show(self, lines: list[Line], page: object = None) -> None:
        """page: what this is a page of, and its width. Another page, width or length has to be read anew."""
        page = (page, len(lines))
        if page != self._page:
            self._page = page
            self._painted.clear()
            self.refresh()
        if [line.spans for line in lines] != [line.spans for line in self.rows]:
            self.rows = lines
            self.virtual_size = Size(self.size.width, len(lines))
            self.refresh()

    @property
    def unseen(self) -> int:
        return len(self.rows) - len(self._painted)

    @property
    def read_pct(self) -> int:
        """Whole percent, rounded down: 100 only when every row was painted."""
        return 100 * len(self._painted) // len(self.rows) if self.rows else 0

    def on_resize(self) -> None:
        """The page was written for another width: ask for it again.

        Not after the next refresh: that is the screen's to tell, and one that a dialog covers may tell none.
        """
        pane = self.parent
        if pane is not None and hasattr(pane, "update"):
            self.call_next(pane.update)

    def render_line(self, y: int) -> Strip:
        at = y + round(self.scroll_offset.y)
        line = self.rows[at] if at < len(self.rows) else Line()
        # Under a dialog it is painted too, where nobody can read it.
        if at < len(self.rows) and self.screen.is_current:
            self._painted.add(at)
        return cast("ConsoleApp", self.app).paint.strip(line, self.size.width, self.rich_style)
