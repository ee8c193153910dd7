"""The halt panel: F10 opens it, F10 again halts. No key, no passphrase, no daemon needed."""

from __future__ import annotations

import asyncio
from typing import Any

from textual import events

from inalpha.client import halting
from inalpha.model.errors import InalphaError
from inalpha.model.states import HaltState
from tui.dialogs.base import Panel
from tui.line import Line
from tui.store import Daemon
from tui.text import age, number, plain, plural


class HaltPanel(Panel[None]):
    """Stays until Esc, so that its answer is read. A held F10 halts: the safe side."""

    AUTO_FOCUS = ""

    def __init__(self) -> None:
        super().__init__("HALT ALL", 5, danger=True)
        self.scope = 0
        self.state: HaltState | None = None
        self.told: list[Line] = []

    def scopes(self) -> list[dict[str, Any]]:
        book = self.console.store.book
        found: list[dict[str, Any]] = [{"scope": "all", "run": None, "account": None}]
        found += [{"scope": "run", "run": view.name, "account": None} for view in book.live]
        return found

    def lines(self) -> list[Line]:
        if self.state is not None:
            return [
                *self.told,
                Line(),
                Line("Resuming needs a signature and a reason: inalpha resume. Esc goes back.", "dim"),
            ]
        book = self.console.store.book
        scopes = self.scopes()
        scope = scopes[self.scope % len(scopes)]
        place = self.scope % len(scopes) + 1
        name = scope["run"] or "ALL"
        self.retitle(f"HALT {name}")
        views = [view for view in book.live if scope["run"] in (None, view.name)]
        waiting = sum(view.pending for view in views)
        held = ", ".join(
            f"{plain(view.row['symbol'])} {number(view.money.position)}"
            for view in book.runs  # a run that has ended may still hold something
            if scope["run"] in (None, view.name) and view.money is not None and float(view.money.position)
        )
        silent = self.console.store.daemon() in (Daemon.GONE, Daemon.HUNG)
        via = Line("No daemon answers: the latch file binds it and every host.", "warn") if silent else Line()
        return [
            Line(
                f"Entries and exits stop in {plural(len(views), 'run')}; {plural(waiting, 'plan')} can fill no more."
            ),
            Line(f"Positions stay: {held or 'none'}."),
            via,
            Line("F10", "key")
            .add(" again = HALTED   ", "strong")
            .add("K", "key")
            .add(" = KILLED, runners end too   ")
            .add("R", "key")
            .add(" = REDUCING, exits run"),
            Line("Tab", "key")
            .add(f" scope: {name} ({place} of {len(scopes)})   ")
            .add("Esc", "key")
            .add(" back"),
        ]

    def on_key(self, event: events.Key) -> None:
        if event.key in ("escape", "f10", "ctrl+x"):
            return
        event.stop()
        event.prevent_default()
        if self.state is None and event.key == "tab":
            self.scope += 1
            self.tick()
        elif self.state is None and event.key == "K":
            self.halt(HaltState.KILLED)
        elif self.state is None and event.key == "R":
            self.halt(HaltState.REDUCING)

    def confirm(self) -> None:
        """F10 while this panel is open."""
        if self.state is None:
            self.halt(HaltState.HALTED)

    def halt(self, state: HaltState) -> None:
        scopes = self.scopes()
        self.state = state
        self.told = [Line(f"sending {state.value}…", "warn")]
        self.tick()
        self.run_worker(self._halt(scopes[self.scope % len(scopes)], state), exit_on_error=False)

    async def _halt(self, scope: dict[str, Any], state: HaltState) -> None:
        app, loop = self.console, asyncio.get_running_loop()
        began = app.clock.mono()

        answered = False

        def ask(args: Any) -> object:
            nonlocal answered
            sent = asyncio.run_coroutine_threadsafe(
                app.link.request("halt", args, None, halting.ANSWER_S), loop
            )
            found = sent.result(halting.ANSWER_S + 2)
            answered = True
            return found

        name = scope["run"] or "all"
        try:
            found = await asyncio.to_thread(
                halting.set_halt, app.home, scope, state, "F10 at the console", ask, "console"
            )
        except (InalphaError, OSError, TimeoutError) as error:
            self.told = [
                Line(f"NOT HALTED: {plain(error)}", "bad"),
                Line("inalpha halt --reason TEXT, from any terminal"),
            ]
            self.state = None if isinstance(error, InalphaError) else self.state
            app.sent_note(f"{state.value} {name} failed: {error}", "bad")
        else:
            took = age(app.clock.mono() - began)
            by = "the daemon answered" if answered else "LATCHED: the latch file binds without the daemon"
            if answered and found["by"] == "latch":
                by += "; LATCHED before it was asked"
            self.told = [Line(f"{found['state']} {name}  ✓ {took}, {by}", "bad")]
            self.told += [Line(plain(text), "warn") for text in found["warnings"]]
            app.sent_note(f"{state.value} {name}, {by} {took}", "bad")
        app.store.ring()
        self.tick()
