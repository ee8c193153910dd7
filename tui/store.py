"""The one store: what the ledger says, how old everything is, in which state the console is. No Textual."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

from inalpha.client.presence import STARTING, STOPPING, Presence, find
from inalpha.ledger import readers
from inalpha.model import latch
from inalpha.model.errors import InalphaError
from inalpha.model.home import Home
from tui.book import Book, Interest, Kept, read_book
from tui.checking import LineWatch
from tui.clock import Clock

LATE_S, GONE_S = 3.0, 10.0
HEAD_CHECK_S, LEAST_S = 1.0, 0.2
BEHIND_S = 2.0


class Daemon(Enum):
    """State of the daemon as this console sees it: glyph, word, role."""

    CONNECTING = ("◐", "asking", "warn")
    STARTING = ("◐", "starting", "warn")
    STOPPING = ("◐", "stopping", "warn")
    LIVE = ("●", "", "good")
    LATE = ("◐", "late", "warn")
    HUNG = ("○", "hung", "bad")
    GONE = ("○", "gone", "bad")

    @property
    def glyph(self) -> str:
        return self.value[0]

    @property
    def word(self) -> str:
        return self.value[1]

    @property
    def role(self) -> str:
        return self.value[2]


@dataclass(slots=True)
class Bus:
    """is_up: the socket is connected. retry_at: monotonic second of the next try, where known."""

    is_up: bool = False
    was_up: bool = False
    retry_at: float | None = None


class Store:
    """Fed by a reader thread and the bus; read by the screens. changed is called from either thread."""

    def __init__(self, home: Home, clock: Clock, changed: Callable[[], None] | None = None) -> None:
        self.home, self.clock = home, clock
        self.changed = changed or (lambda: None)
        self.book = Book()
        self.problem = ""
        self.version = 0
        self.watch = LineWatch()
        self.bus = Bus()
        self.presence: Presence | None = None
        self.began = clock.mono()
        self.read_at: float | None = None
        self.beat_at: float | None = None
        self.said_goodbye = False
        self.wanted = 0
        self.mark = -1
        self.latched: list[latch.LatchRow] = []
        self._kept = Kept()
        self._read_mark = -1
        self._waiting: tuple[float, int] | None = None
        self._interest = Interest()
        self._bell = threading.Event()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._reader: sqlite3.Connection | None = None

    # What arrives.

    def beat(self, head: int) -> None:
        """A beat of the daemon with its head; a higher head than ours means that lines wait."""
        self.beat_at, self.said_goodbye = self.clock.mono(), False
        self.ring(head)

    def goodbye(self) -> None:
        """The daemon's last will, or its clean stop."""
        self.said_goodbye = True
        self.touch()

    def ring(self, head: int = 0) -> None:
        """A notice: lines up to head exist. Losing one costs a second."""
        self.wanted = max(self.wanted, head)
        if head == 0 or head > self.book.size:
            self._bell.set()

    def set_bus(self, is_up: bool, retry_in: float | None = None) -> None:
        self.bus.was_up = self.bus.was_up or is_up
        self.bus.is_up = is_up
        self.bus.retry_at = None if retry_in is None else self.clock.mono() + retry_in
        self.touch()

    def touch(self) -> None:
        self.version += 1
        self.changed()

    def show(self, interest: Interest) -> None:
        """What the open screen wants in full; read at once."""
        if interest != self._interest:
            self._interest = interest
            self._bell.set()

    @property
    def interest(self) -> Interest:
        return self._interest

    # Reading.

    def read(self) -> None:
        """One reading, in the calling thread."""
        try:
            if self._reader is None:
                self._reader = readers.open_reader(self.home.root)
            self.presence = find(self.home)
            interest, mark = self._interest, self.mark
            self.latched, self._read_mark = latch.read_rows(self.home.latch), mark
            self.book = read_book(self.home.root, self._reader, interest, self.latched, mark, self._kept)
            self.watch.advance(self._reader)
            self.problem = ""
            self.read_at = self.clock.mono()
        except (sqlite3.Error, InalphaError, OSError, ValueError, KeyError) as error:
            self.problem = f"the ledger cannot be read: {error}"
            self.close_reader()
        self.touch()

    def close_reader(self) -> None:
        if self._reader is not None:
            self._reader.close()
            self._reader = None

    def start(self) -> None:
        """Read now and from now on, in a thread of its own."""
        self._thread = threading.Thread(target=self._run, name="console-reader", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        self._bell.set()
        if self._thread is not None:
            self._thread.join(2)

    def _run(self) -> None:
        seen, interest = -1, self._interest
        while not self._stop.is_set():
            if self._head() != seen or interest != self._interest or self._has_turned():
                interest = self._interest
                self.read()
                seen = self.book.size
            elif self._reader is not None and self.watch.checked < self.book.size:
                self.watch.advance(self._reader)
                self.touch()
            else:
                self.presence = find(self.home)
            more = self.watch.broken is None and self.watch.checked < self.book.size
            self._bell.wait(0.01 if more else HEAD_CHECK_S)
            self._bell.clear()
            # At most five readings a second, however often the bell rings.
            self._stop.wait(0.0 if more else LEAST_S)
        self.close_reader()

    def _has_turned(self) -> bool:
        """The mark moved, or the latch, which binds before and without any line."""
        return self.mark != self._read_mark or latch.read_rows(self.home.latch) != self.latched

    def mark_read(self, seq: int) -> None:
        """Everything up to this line counts as read."""
        self.mark = seq
        self._bell.set()

    def _head(self) -> int:
        try:
            return readers.size(self._reader) if self._reader is not None else -2
        except sqlite3.Error:
            return -2

    # What state that is.

    @property
    def beat_age(self) -> float:
        return self.clock.mono() - (self.began if self.beat_at is None else self.beat_at)

    def daemon(self) -> Daemon:
        """By beats; the process tells hung from gone, and says itself that it starts or stops."""
        age = self.beat_age
        if self.presence is not None and self.presence.state in (STARTING, STOPPING):
            return Daemon.STARTING if self.presence.state == STARTING else Daemon.STOPPING
        if self.said_goodbye or (self.presence is None and (self.beat_at is None or age > LATE_S)):
            return Daemon.GONE
        if self.beat_at is None:
            return Daemon.CONNECTING if age <= GONE_S else Daemon.HUNG
        if age < LATE_S:
            return Daemon.LIVE
        return Daemon.LATE if age <= GONE_S else Daemon.HUNG

    @property
    def silence_s(self) -> float | None:
        """Seconds since the last beat, else the last line, of a daemon that is gone or hung; None while it lives."""
        if self.daemon() not in (Daemon.GONE, Daemon.HUNG):
            return None
        if self.beat_at is not None:
            return self.beat_age
        lines = self.book.lines
        return (self.clock.wall_us() - lines[0].ts) / 1e6 if lines else self.beat_age

    def behind(self) -> int:
        """Lines that the daemon has and this console has not read, once one of them has waited too long.

        A busy ledger is always a few lines ahead; what counts is the age of the oldest that is missing.
        """
        if self.wanted <= self.book.size:
            self._waiting = None
            return 0
        now = self.clock.mono()
        if self._waiting is None or self.book.size >= self._waiting[1]:
            self._waiting = (now, self.wanted)
        return self.wanted - self.book.size if now - self._waiting[0] >= BEHIND_S else 0

    def why_not_send(self) -> str:
        """Why no signed command can go out now; empty when one can."""
        state = self.daemon()
        if self.problem:
            return self.problem
        if state in (Daemon.GONE, Daemon.HUNG):
            return (
                f"daemon {state.word}, last beat {self.beat_age:.0f} s ago"
                if self.beat_at
                else "no daemon runs"
            )
        if state is Daemon.CONNECTING:
            return "asking daemon"
        if state in (Daemon.STARTING, Daemon.STOPPING):
            return f"daemon {state.word}"
        if not self.bus.is_up:
            return "bus down"
        if self.watch.broken is not None:
            return f"audit broken at #{self.watch.broken[0]:,}"
        return ""

    def why_not_approve(self) -> str:
        why = self.why_not_send()
        if not why and (lag := self.behind()):
            return f"catching up {lag:,} lines"
        return why
