"""Lines of a view on the screen: fixed rows, or a sheet that scrolls."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, cast

from textual.binding import Binding, BindingType
from textual.geometry import Size
from textual.scroll_view import ScrollView
from textual.strip import Strip
from textual.widget import Widget

from tui.line import Line

if TYPE_CHECKING:
    from tui.app import ConsoleApp


class Rows(Widget):
    """Some rows that never scroll; repainted only where they changed."""

    DEFAULT_CSS = "Rows { height: auto; }"

    def __init__(self, height: int, *, id: str | None = None, classes: str | None = None) -> None:
        super().__init__(id=id, classes=classes)
        self.rows: list[Line] = []
        self.styles.height = height

    def show(self, lines: list[Line]) -> None:
        if [line.spans for line in lines] != [line.spans for line in self.rows]:
            self.rows = lines
            self.refresh()

    def render_line(self, y: int) -> Strip:
        line = self.rows[y] if y < len(self.rows) else Line()
        return cast("ConsoleApp", self.app).paint.strip(line, self.size.width, self.rich_style)


class Sheet(ScrollView, can_focus=True):
    """A page of lines; j and k scroll it."""

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

    def show(self, lines: list[Line]) -> None:
        if [line.spans for line in lines] != [line.spans for line in self.rows]:
            self.rows = lines
            self.virtual_size = Size(self.size.width, len(lines))
            self.refresh()

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
        return cast("ConsoleApp", self.app).paint.strip(line, self.size.width, self.rich_style)
