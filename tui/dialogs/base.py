"""A modal panel of our own lines. Nothing in it has a default, and Enter decides nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, TypeVar, cast

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Input

from tui.line import Line
from tui.widgets.sheet import Rows

if TYPE_CHECKING:
    from tui.app import ConsoleApp

Result = TypeVar("Result")


class Panel(ModalScreen[Result]):
    """Title in the border, rows inside, an optional input, a closing row."""

    AUTO_FOCUS = "Input"
    BINDINGS: ClassVar[list[BindingType]] = [("escape", "close", "Back")]

    def __init__(self, title: str, rows: int, field: Input | None = None, *, danger: bool = False) -> None:
        super().__init__()
        self._rows, self.field = Rows(rows), field
        # Made here, not in compose: a store that changes meanwhile may retitle a panel not yet on screen.
        self._box = Vertical(classes="panel danger" if danger else "panel")
        self._box.border_title = title

    @property
    def console(self) -> ConsoleApp:
        return cast("ConsoleApp", self.app)

    def compose(self) -> ComposeResult:
        with self._box:
            yield self._rows
            if self.field is not None:
                yield self.field

    def on_mount(self) -> None:
        self.tick()

    def tick(self) -> None:
        """Called as time passes and whenever the store changed."""
        self._rows.show(self.lines())

    def lines(self) -> list[Line]:
        raise NotImplementedError

    def retitle(self, title: str) -> None:
        self._box.border_title = title

    def action_close(self) -> None:
        self.dismiss(None)
