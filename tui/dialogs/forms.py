"""Unlocking, forms that ^s sends, and help."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import ClassVar

from textual import events
from textual.binding import BindingType
from textual.widgets import Input

from inalpha.client.operator import Operator
from inalpha.model.errors import InalphaError
from inalpha.model.hidden import gaps
from tui.commands import COMMANDS, SCREENS, TITLES, Command, key_text
from tui.dialogs.base import Panel
from tui.line import Line
from tui.rows import Cell, Column, TableRow
from tui.text import plain
from tui.widgets.table import VirtualTable


class UnlockPanel(Panel[Operator]):
    """The passphrase opens the key in a thread; the field is emptied at once."""

    def __init__(self, handle: str) -> None:
        field = Input(password=True, placeholder="passphrase", id="passphrase")
        super().__init__(f"UNLOCK op:{plain(handle, 20)}", 2, field)
        self.note, self.role = "It locks again after 15 minutes without a key press.", "dim"
        self._is_busy = False

    def lines(self) -> list[Line]:
        return [
            Line("The passphrase of the operator key in this home. Esc goes back."),
            Line(self.note, self.role),
        ]

    @property
    def takes_keys(self) -> bool:
        return self.is_later_burst  # it decides nothing, so a fast hand may be ahead of the first painting

    def early_key(self, event: events.Key) -> None:
        _type_into(self.field, event)

    async def on_input_submitted(self, event: Input.Submitted) -> None:
        event.stop()
        if self._is_busy or not event.value:
            return
        passphrase, event.input.value = event.value, ""
        self._is_busy, self.note, self.role = True, "opening the key…", "accent"
        self.tick()
        self.run_worker(self._open(passphrase), exit_on_error=False)

    async def _open(self, passphrase: str) -> None:
        try:
            self.dismiss(await asyncio.to_thread(self.console.session.load, passphrase))
        except InalphaError as error:
            self.note, self.role, self._is_busy = error.message, "bad", False
            self.tick()


def _type_into(field: Input | None, event: events.Key) -> None:
    """Text may be typed ahead, where it decides nothing; Enter and control keys may not."""
    if field is not None and event.is_printable:
        field.post_message(event)


class FormPanel(Panel[str]):
    """Names the effect, takes a reason, and is sent by ^s alone."""

    BINDINGS: ClassVar[list[BindingType]] = [("ctrl+s", "send", "Send")]

    def __init__(self, title: str, effect: Sequence[str], placeholder: str, *, required: bool = True) -> None:
        super().__init__(title, len(effect) + 1, Input(placeholder=placeholder, max_length=400, id="reason"))
        self._effect, self._required = effect, required
        self.note = ""

    def lines(self) -> list[Line]:
        last = (
            Line(self.note, "warn")
            if self.note
            else Line("^s sends. Esc goes back; nothing has changed.", "dim")
        )
        return [*(Line(text) for text in self._effect), *self._echo(), last]

    def _echo(self) -> list[Line]:
        """The words as they will be signed, where the field alone does not show them whole."""
        text = self.field.value.strip() if self.field is not None else ""
        hides = self.field is not None and len(text) >= max(self.field.size.width - 3, 1)
        return [Line("It says ", "dim", 8).quote(text)] if hides or any(gaps(text)) else []

    def on_input_changed(self, event: Input.Changed) -> None:
        event.stop()
        self.tick()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Enter decides nothing."""
        event.stop()

    def action_send(self) -> None:
        assert self.field is not None
        text = self.field.value.strip()
        if not text and self._required:
            self.note = "a reason is needed"
            self.tick()
            return
        self.dismiss(text)


class CommandPanel(Panel[str]):
    """Help and palette in one: every command, filtered as one types; Enter goes to what it names.

    Deciding commands are only opened from here, never decided.
    """

    BINDINGS: ClassVar[list[BindingType]] = [("down", "move(1)", "Down"), ("up", "move(-1)", "Up")]

    def __init__(self, title: str, why_not: dict[str, str], ids: Sequence[str] = ()) -> None:
        super().__init__(title, 1, Input(placeholder="a command, a run or a plan", id="command"))
        self._why_not, self._ids = why_not, ids
        columns = (
            Column("key", 6),
            Column("command", 16),
            Column("does", 30, grow=True),
            Column("off because", 24),
        )
        self.list = VirtualTable(columns, empty="no such command")
        self.list.can_focus = False

    def on_mount(self) -> None:
        self.query_one(".panel").mount(self.list)
        self.query_one(".panel").add_class("tall")
        super().on_mount()
        self.list.show([*map(self._row, COMMANDS), *(self._id_row(name) for name in self._ids)])

    def _row(self, command: Command) -> TableRow:
        where = (
            ""
            if not command.screens
            else f" ({', '.join(TITLES[SCREENS.index(name)] for name in command.screens)})"
        )
        why = self._why_not.get(command.id, "")
        cells = (
            Cell(key_text(command), "key"),
            Cell(command.label, "strong"),
            Cell(command.told + where),
            Cell(why, "dim"),
        )
        return TableRow(command.id, cells)

    def _id_row(self, name: str) -> TableRow:
        return TableRow(name, (Cell("", "key"), Cell(name, "strong"), Cell("open it"), Cell("")))

    def lines(self) -> list[Line]:
        return [Line("Type to search, Enter chooses, Esc closes. F10 halts from anywhere.", "dim")]

    @property
    def takes_keys(self) -> bool:
        return self.is_later_burst  # it decides nothing, so a fast hand may be ahead of the first painting

    def early_key(self, event: events.Key) -> None:
        _type_into(self.field, event)

    def on_input_changed(self, event: Input.Changed) -> None:
        event.stop()
        self.list.filter(event.value)

    def on_input_submitted(self, event: Input.Submitted) -> None:
        event.stop()
        self.dismiss(self.list.chosen)

    def action_move(self, step: int) -> None:
        self.list.action_move(step)
