"""Who owns the next key: decided when its turn comes, after everything that the keys before it have done.

Textual hands a key to the widget that is focused when the key is taken from the queue, and focus moves some
messages later. Of keys that arrive together (a slow line, a held key, a machine) those behind `/` would still go
to the list, whose letters are commands.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual import events

from tui.dialogs.base import Panel
from tui.screen import MainScreen

if TYPE_CHECKING:
    from tui.app import ConsoleApp

HAND_S = 0.015  # keys that follow faster than this do not come from a hand
ANYWHERE = frozenset({"f10", "ctrl+x", "ctrl+q", "ctrl+c"})


class Keyboard:
    """burst: counts up with each key that a hand may have pressed after seeing what the one before it did."""

    def __init__(self, app: ConsoleApp) -> None:
        self._app = app
        self._last = float("-inf")
        self.burst = 0

    async def take(self, event: events.Key) -> bool:
        """True when the key is done with; False leaves it to whoever has the focus."""
        if event.time - self._last >= HAND_S:
            self.burst += 1
        self._last = event.time
        screen = self._app.screen
        if event.key in ANYWHERE:
            return False
        if isinstance(screen, Panel):
            if screen.takes_keys or event.key == "escape":
                return False
            screen.early_key(event)
            return True
        if not isinstance(screen, MainScreen):
            return False
        if screen.is_filtering:
            screen.set_focus(screen.filter)
            return False
        found = screen.active_bindings.get(event.key)
        if found is None or not found.enabled:
            return False
        # Here and now, so that the next key of the queue meets what this one did.
        return await self._app.run_action(found.binding.action, found.node)
