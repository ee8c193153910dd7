"""A modal panel of our own lines. Nothing in it has a default, and Enter decides nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, TypeVar, cast

from textual import events
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Input

from tui.line import Line, whole
from tui.widgets.sheet import Rows

if TYPE_CHECKING:
    from tui.app import ConsoleApp

Result = TypeVar("Result")
WIDTH, FRAME = 78, 6  # of console.tcss: the panel, and its border with padding


class Panel(ModalScreen[Result]):
    """Title in the border, rows inside, an optional input, a closing row."""

    AUTO_FOCUS = "Input"
    BINDINGS: ClassVar[list[BindingType]] = [("escape", "close", "Back")]

    def __init__(self, title: str, rows: int, field: Input | None = None, *, danger: bool = False) -> None:
        super().__init__()
        self._rows, self.field = Rows(rows, grows=True), field
        # Made here, not in compose: a store that changes meanwhile may retitle a panel not yet on screen.
        self._box = Vertical(classes="panel danger" if danger else "panel")
        self._box.border_title = title
        self._is_painted, self._opened_in = False, -1

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

    def on_screen_resume(self) -> None:
        """Keys that were in the queue before the first painting come before this mark in the same queue."""
        if not self._is_painted:
            self._opened_in = self.console.keyboard.burst
            self.call_after_refresh(self.app.call_later, self._painted)

    def _painted(self) -> None:
        self._is_painted = True

    @property
    def takes_keys(self) -> bool:
        """It has been seen: painted, and a hand's time after the keys that opened it."""
        return self._is_painted and self.is_later_burst

    @property
    def is_later_burst(self) -> bool:
        return self._opened_in >= 0 and self.console.keyboard.burst != self._opened_in

    def early_key(self, event: events.Key) -> None:
        """A key that was pressed before anybody could see this panel decides nothing in it."""

    def tick(self) -> None:
        """Called as time passes and whenever the store changed."""
        width = self._rows.size.width or min(WIDTH, self.app.size.width) - FRAME
        self._rows.show(whole(self.lines(), width))

    def on_resize(self) -> None:
        self.call_after_refresh(self.tick)

    def lines(self) -> list[Line]:
        raise NotImplementedError

    def retitle(self, title: str) -> None:
        self._box.border_title = title

    def action_close(self) -> None:
        self.dismiss(None)
