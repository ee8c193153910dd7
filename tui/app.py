"""The console application: it wires store, bus, session and screens, and carries out commands."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable, Sequence
from contextvars import Context, copy_context
from typing import Any, ClassVar

from textual import events
from textual.app import App
from textual.binding import Binding, BindingType
from textual.filter import LineFilter

from inalpha.model.errors import InalphaError
from inalpha.model.home import Home
from tui import acts
from tui.acts import Said
from tui.book import Interest
from tui.clock import Clock
from tui.commands import BY_ID, COMMANDS, Command
from tui.dialogs.base import Panel
from tui.dialogs.forms import CommandPanel, FormPanel, UnlockPanel
from tui.dialogs.halt import HaltPanel
from tui.dialogs.sign import SignPanel
from tui.keyboard import Keyboard
from tui.link import Link, Sender
from tui.screen import MainScreen
from tui.session import Session
from tui.store import Store
from tui.text import number, plain
from tui.theme import NAMES, PLAIN_LOOK, STYLES, TERMINALS, first_theme, themes
from tui.uncoloured import Uncoloured
from tui.verifying import Verification, run_verify
from tui.views.plans import BELL_S, why_halted, why_locked
from tui.widgets.paint import Paint

SAID_S = 8.0
CHORD_S = 2.0
FLUSH_S = 0.1
UNCOLOURED = Uncoloured()


class ConsoleApp(App[None]):
    """Holds no trading state: killing it changes nothing."""

    CSS_PATH = "console.tcss"
    ENABLE_COMMAND_PALETTE = False
    TITLE = "inalpha"
    # Priority: they work in every dialog and text field.
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("f10", "halt", "HALT", priority=True, show=False),
        Binding("ctrl+x", "chord", priority=True, show=False),
        Binding("ctrl+q,ctrl+c", "leave", priority=True, show=False),
    ]

    def __init__(
        self,
        home: Home,
        *,
        view: bool = False,
        as_ascii: bool = False,
        operator: str | None = None,
        clock: Clock | None = None,
        link: Sender | None = None,
        live: bool = True,
    ) -> None:
        super().__init__(ansi_color=first_theme() in TERMINALS)
        self.animation_level = "none"  # a row that glides past was on the screen and could not be read
        self.home, self.clock, self.live = home, clock or Clock(), live
        self.session = Session(home, view=view, mono=self.clock.mono, operator=operator)
        self.store = Store(home, self.clock, self._store_changed)
        self.store.mark = self.session.mark.get("seq", -1)
        self.link: Sender = link or Link(self.store)
        self.verification = Verification()
        self.keyboard = Keyboard(self)
        self.said_of: dict[str, Said] = {}
        self.sent: list[tuple[int, str, str]] = []
        self.farewell = ""
        self._said: tuple[Said, float] | None = None
        self._as_ascii = as_ascii
        self._loop: asyncio.AbstractEventLoop | None = None
        self._own_context: Context | None = None
        self._is_marked = False
        self._chord_at = float("-inf")
        self._rung: set[str] = set()
        for theme in themes():
            self.register_theme(theme)
        self.set_look(first_theme())

    def set_look(self, name: str) -> None:
        """A theme by name; `plain` and `ansi` take the terminal's own colours."""
        self.look = name if name in STYLES else "dark"
        self.paint = Paint(STYLES[self.look], self._as_ascii)
        self.theme = "ansi-dark" if self.look in TERMINALS else f"inalpha-{self.look}"
        # Told apart from the theme, whose own word Textual follows only for themes that change while it runs.
        self.ansi_color = self.look in TERMINALS

    def get_line_filters(self) -> Sequence[LineFilter]:
        return [UNCOLOURED] if self.look == PLAIN_LOOK else super().get_line_filters()

    # Life.

    def on_mount(self) -> None:
        self._loop, self._own_context = asyncio.get_running_loop(), copy_context()
        if not self.live:
            self.store.read()
        self.main = MainScreen()
        if self.live:
            self.store.start()
            self.run_worker(self.link.run(), exit_on_error=False, name="bus")
            self.set_interval(1.0, self.pulse)
            self.set_interval(0.25, self._tick_panel)
        self.push_screen(self.main)

    def on_unmount(self) -> None:
        self.store.stop()

    def _store_changed(self) -> None:
        """From either thread: repaint soon, however many things changed."""
        if self._loop is not None and not self._loop.is_closed():
            # A thread's context knows no app, and a timer made in it would end in a LookupError.
            self._loop.call_soon_threadsafe(self._mark, context=self._own_context)

    def _mark(self) -> None:
        if not self._is_marked and self.is_running and self.live:
            self._is_marked = True
            self.set_timer(FLUSH_S, self._repaint)

    def _repaint(self) -> None:
        self._is_marked = False
        if self.screen_stack:  # none while the app is closing
            self.pulse()

    def pulse(self) -> None:
        """Show the present: ages, countdowns, whatever the store holds now."""
        if self.session.tick():
            self.say("locked after 15 minutes without a key press", "warn")
        if self.main.is_mounted:
            if not self.live:
                self.store.read()
            self.look_closer()
            self.main.update()
        self._tick_panel()
        self._ring_late()

    def _tick_panel(self) -> None:
        if isinstance(self.screen, Panel):
            self.screen.tick()

    def _ring_late(self) -> None:
        """One bell for each plan that comes under a minute."""
        for row in self.store.book.pending:
            rest = (row["expires"] - self.clock.wall_us()) / 1e6
            if 0 < rest < BELL_S and row["plan"] not in self._rung:
                self._rung.add(row["plan"])
                self.bell()

    def look_closer(self) -> None:
        """Tell the reader what the open pane wants in full."""
        interest = self.main.pane.interest() if hasattr(self, "main") else Interest()
        if not self.live and interest != self.store.interest:
            self.store.show(interest)
            self.store.read()
            self.call_next(self.main.update)
        self.store.show(interest)

    async def on_event(self, event: Any) -> None:
        """^x h halts even in a text field, which would keep the letter from any binding."""
        if isinstance(event, events.InputEvent):
            self.session.touch()
        if isinstance(event, events.Key) and not event.is_forwarded:
            if event.key == "h" and self.clock.mono() - self._chord_at < CHORD_S:
                self._chord_at = float("-inf")
                self.action_halt()
                return
            if await self.keyboard.take(event):
                return
        await super().on_event(event)

    # Saying.

    def say(self, text: str, role: str = "") -> None:
        self._said = ((text, role), self.clock.mono() + SAID_S)
        if hasattr(self, "main") and self.main.is_mounted:
            self.main.update()

    def said(self) -> Said | None:
        if self._said is not None and self.clock.mono() < self._said[1]:
            return self._said[0]
        return None

    def sent_note(self, text: str, role: str) -> None:
        """What went out and what came of it, for the Health screen."""
        self.sent.append((self.clock.wall_us(), text, role))

    # Commands.

    def why_not(self, command: Command) -> str:
        """Why a command is off now; empty when it is on."""
        if command.screens and self.main.active not in command.screens:
            return f"on screen {' or '.join(command.screens)}"
        chosen, book = self.main.pane.chosen, self.store.book
        if "pending" in command.needs and (chosen is None or not chosen.startswith("plan-")):
            return "no plan is chosen"
        if "live" in command.needs:
            view = book.run(chosen)
            if view is None or not view.is_live:
                return "no live run is chosen"
        if "key" in command.needs and (why := self.session.why_not):
            return why
        if "bus" in command.needs:
            why = self.store.why_not_approve() if "key" in command.needs else self.store.why_not_send()
            if why:
                return why
        if "pending" in command.needs:
            card = book.card
            if card is None or card.name != chosen:
                return "the card is being read"
            why = why_locked(card, self.clock.wall_us())
            if why and (command.id == "plan.approve" or card.row["state"] != "pending"):
                return why
            if command.id == "plan.approve" and (why := why_halted(card) or self.main.pane.why_unread()):
                return why
        return ""

    def command(self, name: str) -> None:
        """Carry out a command by its id, or say why it is off."""
        command = BY_ID[name]
        if why := self.why_not(command):
            self.say(f"{command.label.rstrip('…')} is off: {why}", "warn")
            return
        if name.startswith("screen."):
            self.main.go(name.removeprefix("screen."))
            return
        getattr(self, "do_" + name.replace(".", "_"))()

    def do_open(self) -> None:
        self.main.pane.open()

    def do_back(self) -> None:
        if not self.main.close_filter(clear=True):
            self.main.pane.back()

    def do_filter(self) -> None:
        self.main.open_filter()

    def do_sort(self) -> None:
        if self.main.pane.table is not None:
            self.say(f"sorted by {self.main.pane.table.sort()}", "dim")

    def do_sort_flip(self) -> None:
        if self.main.pane.table is not None:
            self.main.pane.table.flip()

    def do_copy_id(self) -> None:
        chosen = self.main.pane.chosen
        if chosen:
            self.copy_to_clipboard(chosen)
            self.say(f"{chosen} sent to the terminal's clipboard", "dim")

    def do_theme(self) -> None:
        if self.look == PLAIN_LOOK:
            self.say("NO_COLOR is set: the terminal's own colours", "dim")
            return
        place = NAMES.index(self.look) + 1 if self.look in NAMES else 0
        self.set_look(NAMES[place % len(NAMES)])
        self.say(f"theme {self.look}", "dim")
        for widget in self.main.query("*"):
            widget.refresh()

    def do_read_all(self) -> None:
        self.session.mark = {"seq": self.store.book.size - 1, "ts": self.clock.wall_us()}
        self.store.mark_read(self.store.book.size - 1)
        self.session.leave(self.store.book.size, self.clock.wall_us())
        self.say("everything up to now counts as read", "dim")

    def do_read_next(self) -> None:
        table = self.main.pane.table
        if table is None:
            return
        place = table.at or 0
        order = table.shown[place + 1 :] + table.shown[: place + 1]
        found = next((row.key for row in order if row.unread), None)
        table.choose(found) if found else self.say("nothing unread", "dim")

    def do_key_lock(self) -> None:
        self.session.lock()
        self.say("an open key cannot be locked" if self.session.is_open_key else "locked", "dim")

    def do_key_unlock(self) -> None:
        session = self.session
        if session.view or session.handle is None or session.key is not None:
            self.say(session.why_not or "the key is open already", "dim")
            return

        def opened(key: Any) -> None:
            if key is not None:
                session.unlock(key)
                self.say(f"op:{session.handle} can sign for 15 minutes from each key press", "good")

        if session.is_in_agent:
            self.run_worker(self._open_from_agent(opened), exit_on_error=False)
        else:
            self.push_screen(UnlockPanel(session.handle), opened)

    async def _open_from_agent(self, opened: Callable[[Any], None]) -> None:
        """No passphrase: the agent says whether it holds the key, and asks its owner itself, if at all."""
        try:
            opened(await asyncio.to_thread(self.session.load, None))
        except InalphaError as error:
            self.say(f"{error.message} {error.fix}".rstrip(), "bad")

    def do_help(self) -> None:
        self._open_commands("KEYS AND COMMANDS")

    def do_palette(self) -> None:
        self._open_commands("COMMANDS")

    def _open_commands(self, title: str) -> None:
        why = {command.id: self.why_not(command) for command in COMMANDS}
        ids = [view.name for view in self.store.book.runs] + [row["plan"] for row in self.store.book.pending]

        def chosen(found: str | None) -> None:
            if found in BY_ID:
                self.action_halt() if found == "halt" else self.command(found)
            elif found is not None:
                self.main.go("runs" if found.startswith("run-") else "plans")
                table = self.main.pane.table
                if table is not None:
                    table.choose(found)
                self.main.pane.open()

        self.push_screen(CommandPanel(title, why, ids), chosen)

    def do_plan_approve(self) -> None:
        card = self.store.book.card
        assert card is not None
        pane = self.main.pane
        if not pane.is_split and not pane.is_open:  # type: ignore[attr-defined]
            pane.open()
            self.say("read the card, then press a again", "accent")
            return

        def decided(digest: str | None) -> None:
            who = self.session.key
            if digest is not None and who is not None:
                self._send(card.name, acts.approve(self.home, self.link, who, card.name, digest))

        self.push_screen(SignPanel(card), decided)

    def do_plan_reject(self) -> None:
        card = self.store.book.card
        assert card is not None
        row = card.row
        order = f"{row['side']} {number(row['quantity'])} {plain(row['symbol'])}"
        effect = (
            f"Sign a no to {card.name}: {order}. Nothing is ordered.",
            "The reason goes to the record, signed.",
        )

        def decided(reason: str | None) -> None:
            who = self.session.key
            if reason and who is not None:
                self._send(
                    card.name, acts.reject(self.home, self.link, who, card.name, card.recomputed, reason)
                )

        self.push_screen(FormPanel(f"REJECT {card.name}", effect, "why not"), decided)

    def do_run_stop(self) -> None:
        view = self.store.book.run(self.main.pane.chosen)
        assert view is not None
        held = number(view.money.position) if view.money else "0"
        effect = (
            f"{view.name} ends for good. Its position stays: {held} {plain(view.row['symbol'])}.",
            f"{view.pending} waiting plans of it end too. To trade again, a new run is started.",
        )

        def decided(reason: str | None) -> None:
            if reason is not None:
                self._send(view.name, acts.stop_run(self.link, view.name, reason, self.session.key))

        self.push_screen(FormPanel(f"STOP {view.name}", effect, "note (optional)", required=False), decided)

    def do_run_pause(self) -> None:
        view = self.store.book.run(self.main.pane.chosen)
        assert view is not None
        effect = (
            f"{view.name} becomes REDUCING: no entries, exits run.",
            "Resuming is signed: inalpha run resume.",
        )

        def decided(reason: str | None) -> None:
            if reason:
                self._send(view.name, acts.pause_run(self.link, view.name, reason, self.session.key))

        self.push_screen(FormPanel(f"PAUSE {view.name}", effect, "why"), decided)

    def _send(self, subject: str, work: Awaitable[Said]) -> None:
        """One command at a time for each plan or run; what came back stands on its card and in the news."""

        async def send() -> None:
            self.said_of[subject] = ("sending…", "accent")
            self.pulse()
            said = await work
            self.sent_note(*said)
            self.store.ring()
            if said[1] == "good":
                self.said_of.pop(subject, None)
            else:
                self.said_of[subject] = said
            self.say(*said)

        self.run_worker(send(), group=subject, exclusive=False, exit_on_error=False)

    def do_audit_verify(self) -> None:
        found = self.verification
        if found.is_running:
            self.say("a verification is running", "dim")
            return
        self.verification = Verification(is_running=True, began=self.clock.mono())
        self.run_worker(self._verify(self.verification), exit_on_error=False)

    async def _verify(self, found: Verification) -> None:
        found.result, found.error = await run_verify(self.home.root)
        found.is_running, found.took = False, self.clock.mono() - found.began
        self.pulse()

    # Halt and leave.

    def do_halt(self) -> None:
        self.action_halt()

    def action_halt(self) -> None:
        """F10: the panel first, the halt when it is pressed again."""
        if isinstance(self.screen, HaltPanel):
            self.screen.confirm()
        else:
            self.push_screen(HaltPanel())

    def action_chord(self) -> None:
        """^x h, for terminals that keep F10 to themselves."""
        self._chord_at = self.clock.mono()

    def do_leave(self) -> None:
        self.action_leave()

    def action_leave(self) -> None:
        """Leaving stops nothing; the mark says where this person stopped reading."""
        live, found = len(self.store.book.live), self.store.presence
        self.session.leave(self.store.book.size, self.clock.wall_us())
        runs = f"{live} run keeps running" if live == 1 else f"{live} runs keep running"
        self.farewell = f"{runs}, daemon pid {found.pid}" if found else "no daemon is running: nothing trades"
        self.exit()


def run_console(
    home: Home, *, view: bool = False, as_ascii: bool = False, operator: str | None = None
) -> int:
    """Open the console on a home; the exit code of the process."""
    app = ConsoleApp(home, view=view, as_ascii=as_ascii, operator=operator)
    app.run()
    if app.farewell:
        sys.stdout.write(plain(app.farewell) + "\n")
    return app.return_code or 0
