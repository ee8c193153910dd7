"""The signing panel: the last four characters of the digest, typed by hand, are the signature's only way."""

from __future__ import annotations

from textual import events

from tui.book import PlanCard
from tui.dialogs.base import Panel
from tui.line import Line
from tui.text import left, number, plain
from tui.views.plans import share_text, state_words, why_locked

ARM_S = 1.5
HELD_S = 0.060
HAND_S = 0.015


class SignPanel(Panel[str]):
    """Dismissed with the digest to sign, or None. The fourth character signs; nothing else does.

    Input counts only ARM_S after the panel was painted, focused or resized; a held key counts once; pastes,
    and characters that come faster than from a hand, are dropped.
    """

    AUTO_FOCUS = ""

    def __init__(self, card: PlanCard) -> None:
        super().__init__(f"SIGN {card.name}", 5)
        self.card = self._read = card
        self.typed = ""
        self.note = ""
        self.frozen = ""
        self._armed_at = float("inf")
        self._last = ("", float("-inf"))

    def on_mount(self) -> None:
        self._arm()
        super().on_mount()

    def on_resize(self) -> None:
        self._arm()

    def on_screen_resume(self) -> None:
        super().on_screen_resume()
        self._arm()

    def _painted(self) -> None:
        super()._painted()
        self._arm()

    def on_app_focus(self) -> None:
        self._arm()

    def _arm(self) -> None:
        self.typed = ""
        self._armed_at = self.console.clock.mono() + ARM_S

    def tick(self) -> None:
        """Follow the plan: expiry, drift or somebody else's decision switch the input off, for good."""
        now = self.console.clock.wall_us()
        current = self.console.store.book.card
        if not self.frozen:
            if current is not None and current.name == self.card.name:
                # Somebody's verdict changes the words; the figures stay those that were read.
                self._read = self.card if current.row["state"] != "pending" else current
                self.card = current
            why = why_locked(self.card, now) or self.console.store.why_not_approve()
            if self.card.row["state"] != "pending":
                why = f"{state_words(self.card, now)[0]}, you did not sign"
            final = why and (self.card.row["state"] != "pending" or now >= self.card.row["expires"])
            self.frozen, self.note = (why, why) if final else ("", f"locked: {why}" if why else self.note)
        super().tick()

    def lines(self) -> list[Line]:
        row, clock = self.card.row, self.console.clock
        figures = self._read.figures
        warned = [measure.name for measure in figures.measures if measure.is_near]
        rest = (row["expires"] - clock.wall_us()) / 1e6
        title = (
            f"SIGN {self.card.name}  expires {left(rest)}" if rest > 0 else f"SIGN {self.card.name}  EXPIRED"
        )
        self.retitle(title)
        what = Line(f"{row['side'].upper()} {number(row['quantity'])} {plain(row['symbol'])}", "strong")
        what.add(f"  ≈ {number(figures.notional, 2)}  {share_text(figures)} of equity")
        what.add(f"   {len(warned)} near a limit: {', '.join(warned)}" if warned else "", "warn")
        if self.frozen:
            return [
                what,
                Line(),
                Line(self.frozen, "bad"),
                Line(),
                Line("Nothing was signed here. Esc goes back.", "dim"),
            ]
        ready = clock.mono() >= self._armed_at
        field = " ".join(self.typed.ljust(4, "_"))
        ask = Line(f"Type the digest's last four to sign as op:{plain(self.console.session.handle)}:  ")
        ask.add(self.card.recomputed[-4:], "strong").add(" ▸ ").add(
            f"[ {field} ]", "accent" if ready else "dim"
        )
        told = self.note or ("" if ready else "reading time: input counts in a moment")
        end = Line("The fourth character signs. Esc goes back; nothing has changed.", "dim")
        return [what, Line(), ask, Line(told, "warn" if self.note else "dim"), end]

    def on_paste(self, event: events.Paste) -> None:
        """Whole pastes are dropped: a signature is typed."""
        event.stop()
        event.prevent_default()
        self.typed, self.note = "", "a paste was dropped: type the four characters"
        self.tick()

    def on_key(self, event: events.Key) -> None:
        if event.key in ("escape", "f10", "ctrl+x"):
            return
        event.stop()
        event.prevent_default()
        now, letter = self.console.clock.mono(), event.character or ""
        before, at = self._last
        self._last = (event.key, now)
        if self.frozen or now < self._armed_at:
            return
        if event.key == "backspace":
            self.typed = self.typed[:-1]
        elif len(letter) == 1 and letter.isprintable() and not letter.isspace():
            if letter == before and now - at < HELD_S:
                return
            if now - at < HAND_S:
                self.typed, self.note = "", "faster than a hand: type the four characters"
            else:
                self._type(letter, now)
        self.tick()

    def _type(self, letter: str, now: float) -> None:
        self.typed, self.note = self.typed + letter.lower(), ""
        if len(self.typed) < 4:
            return
        why = why_locked(self.card, self.console.clock.wall_us()) or self.console.store.why_not_approve()
        if why:
            self.typed, self.note = "", f"locked: {why}"
        elif self.typed == self.card.recomputed[-4:]:
            self.dismiss(self.card.recomputed)
        else:
            self.typed, self.note = "", "not the last four of this digest: nothing was signed"
