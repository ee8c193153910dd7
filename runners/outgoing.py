"""What a host says: signed answers, each kept until another takes its place, and plain words about itself."""

from __future__ import annotations

import os
from collections.abc import Callable, Container, Iterable
from typing import Protocol

import msgspec
from nacl.signing import SigningKey

from inalpha.bus import envelope, hostwire, topics
from inalpha.bus.envelope import wall_us
from inalpha.bus.hostwire import HostState, Up
from inalpha.bus.throttle import Throttle
from runners.settings import Settings

# More than the runs that a host may hold: the last answer of each, and ends for a while.
_REMEMBERED = 256
# Pieces of output (at most 2 KiB each) that a run may send: so many at once, then one a second.
_LOG_RATE, _LOG_BURST = 1.0, 32


class Post(Protocol):
    def __call__(self, topic: str, payload: bytes, *, qos: int = 1, retain: bool = False) -> None: ...


class Outgoing:
    """post: hands a message to the bus without waiting. epoch: the daemon's, as it stands now."""

    def __init__(self, settings: Settings, session: str, post: Post, epoch: Callable[[], int]) -> None:
        self._settings, self._session, self._post, self._epoch = settings, session, post, epoch
        self._key = SigningKey(bytes.fromhex(settings.seed))
        self._answers: dict[str, tuple[str, str, bytes]] = {}
        self._ends: dict[str, tuple[str, bytes]] = {}
        self._logs = Throttle(_LOG_RATE, _LOG_BURST)
        self._beats = 0

    def send(self, run: str, seq: int, corr: str, kind: str, body: object) -> None:
        """An answer to request corr, or "" for what nobody asked."""
        s = self._settings
        up = Up(s.instance, self._epoch(), s.identity, run, kind, seq, corr, hostwire.raw(body))
        payload = envelope.seal(self._key, s.identity, msgspec.json.encode(up))
        if corr and kind in ("ended", "probed"):
            self._ends[corr] = (kind, payload)
            if len(self._ends) > _REMEMBERED:
                del self._ends[next(iter(self._ends))]
        elif corr:
            self._answers.pop(run, None)
            self._answers[run] = (corr, kind, payload)
            if len(self._answers) > _REMEMBERED:
                del self._answers[next(iter(self._answers))]
        self._post(topics.up(s.identity, run, kind), payload)

    def again(self, run: str, corr: str) -> bool:
        """The same words once more to a request that was answered; False to any other."""
        last = self._answers.get(run)
        found = last[1:] if last is not None and last[0] == corr else self._ends.get(corr)
        if found is None:
            return False
        kind, payload = found
        self._post(topics.up(self._settings.identity, run, kind), payload)
        return True

    def plain(self, kind: str, body: object) -> bytes:
        return envelope.encode(kind, body, epoch=self._epoch(), now_us=wall_us())

    def beat(self) -> None:
        self._beats += 1
        body = self.plain("beat", hostwire.Beat(self._beats))
        self._post(topics.host_beat(self._settings.identity), body, qos=0)

    def state(self, level: str | None, runs: Iterable[str], *, is_up: bool) -> bytes:
        return self.plain("state", HostState(is_up, self._session, level, sorted(runs), os.getpid()))

    def log(self, run: str, text: str) -> None:
        """What a strategy printed, as far as its rate allows."""
        if self._logs.admits(run):
            self._post_log(run, text)

    def tell_dropped(self, runs: Container[str]) -> None:
        """Once a minute, of each of these runs: how much of its output was not sent."""
        for run in self._logs.known():
            dropped = self._logs.untold(run)
            if run not in runs:
                self._logs.forget(run)
            elif dropped:
                self._post_log(run, f"({dropped} pieces of output were not sent: it prints too often)")

    def _post_log(self, run: str, text: str) -> None:
        self._post(topics.up(self._settings.identity, run, "log"), self.plain("log", text), qos=0)
