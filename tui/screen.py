"""The one screen: four docked lines, and between them the pane that is open."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, cast

from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Container
from textual.screen import Screen
from textual.widgets import Input

from tui.commands import COMMANDS, SCREENS
from tui.line import Line
from tui.views import frame
from tui.views.decisions import unread
from tui.widgets.panes import PANES, Pane
from tui.widgets.sheet import Rows

if TYPE_CHECKING:
    from tui.app import ConsoleApp

SMALL = (60, 16)


class MainScreen(Screen[None]):
    """Letters are bindings of this screen: typing in the filter decides nothing."""

    AUTO_FOCUS = ""
    BINDINGS: ClassVar[list[BindingType]] = [
        *(
            Binding(command.key, f"command('{command.id}')", command.label, show=False)
            for command in COMMANDS
            if command.key != "f10"
        ),
        Binding("colon", "command('palette')", show=False),
    ]

    def __init__(self) -> None:
        super().__init__()
        self.active = "plans"
        self.panes: dict[str, Pane] = {name: PANES[name](id=name) for name in SCREENS}
        self.top, self.bottom, self.small = Rows(2, id="top"), Rows(2, id="bottom"), Rows(1, id="small")
        self.filter = Input(
            id="filter", placeholder="words must match, !word must not, run:run-2", select_on_focus=False
        )

    @property
    def console(self) -> ConsoleApp:
        return cast("ConsoleApp", self.app)

    @property
    def pane(self) -> Pane:
        return self.panes[self.active]

    @property
    def is_filtering(self) -> bool:
        """The filter is open, so that every key is text for it."""
        return self.filter.has_class("on")

    def compose(self) -> ComposeResult:
        yield self.top
        yield self.small
        with Container(id="panes"):
            yield from self.panes.values()
        yield self.filter
        yield self.bottom

    def on_mount(self) -> None:
        self.go("plans")

    def on_resize(self, event: events.Resize) -> None:
        self.set_class(event.size.width < SMALL[0] or event.size.height < SMALL[1], "small")
        self.call_after_refresh(self.update)

    def go(self, name: str) -> None:
        """Open a screen; each keeps its own cursor."""
        self.active = name
        for key, pane in self.panes.items():
            pane.set_class(key == name, "on")
        self.set_focus(self.pane.first_focus())
        self.console.look_closer()
        self.pane.update()  # the next key may be here already, and means the rows of this screen
        self.call_after_refresh(self.update)

    def update(self) -> None:
        """Everything in sight, from the store as it is now."""
        app = self.console
        store, session, width = app.store, app.session, self.size.width
        if self.has_class("small"):
            daemon, halt = store.daemon(), frame.halt_words(store.book)
            line = Line("PAPER ", "strong").add(f"{daemon.glyph} {daemon.word} ", daemon.role).add(*halt)
            self.small.show([line.end("F10 HALT", width, "bad")])
            return
        table = self.pane.table
        wanted = table.wanted if table is not None else ""
        mark = session.mark.get("seq", -1)
        truth = frame.truth_line(store, session, width, is_demo=app.home.demo_mark.exists())
        self.top.show([truth, frame.tab_line(store, width, self.active, unread(store.book, mark), wanted)])
        self.bottom.show([frame.news_line(store, width, app.said()), frame.footer_line(self.active, width)])
        self.pane.update()

    def action_command(self, name: str) -> None:
        self.console.command(name)

    # The filter.

    def open_filter(self) -> None:
        if self.pane.table is None:
            self.console.say("this screen has no list to filter", "dim")
            return
        self.filter.value = self.pane.table.wanted
        self.filter.add_class("on")
        # At once: Widget.focus() waits for its turn in the queue, behind keys that are typed already.
        self.set_focus(self.filter)

    def close_filter(self, clear: bool = False) -> bool:
        """True when there was something to close."""
        table = self.pane.table
        was_open = self.is_filtering
        self.filter.remove_class("on")
        had = bool(table and table.wanted)
        if clear and table is not None:
            table.filter("")
        if table is not None and (was_open or had):
            self.set_focus(table)
        self.update()
        return was_open or (clear and had)

    def on_input_changed(self, event: Input.Changed) -> None:
        if self.is_filtering and self.pane.table is not None:
            self.pane.table.filter(event.value)
            self.update()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        self.close_filter()
