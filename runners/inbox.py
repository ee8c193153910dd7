"""What counts of the words that reach a host: the daemon's alone, for this process, in this epoch."""

from __future__ import annotations

import time
from collections.abc import Callable

import msgspec

from inalpha.bus import envelope, hostwire, topics
from inalpha.bus.client import Message
from inalpha.bus.envelope import EnvelopeError, wall_us
from runners.settings import Settings

_down = msgspec.json.Decoder(hostwire.Down)


class Inbox:
    """on_down: a request to act on. on_epoch: a later daemon signs, before its first request is handed on.

    dropped: how many words did not count, by why.
    """

    def __init__(
        self,
        settings: Settings,
        session: str,
        *,
        on_down: Callable[[hostwire.Down], None],
        on_epoch: Callable[[], None],
    ) -> None:
        self.epoch = settings.epoch
        self.dropped: dict[str, int] = {}
        self._settings, self._session = settings, session
        self._on_down, self._on_epoch = on_down, on_epoch
        self._heard_s = time.monotonic()

    @property
    def silent_s(self) -> float:
        """Seconds since the daemon was last heard."""
        return time.monotonic() - self._heard_s

    def beat(self, message: Message) -> None:
        """A beat is plain and tells that the daemon lives, nothing else: a broker could raise its epoch."""
        try:
            beat = envelope.decode(
                message.payload, topic=message.topic, is_retained=message.is_retained, now_us=wall_us()
            )
        except EnvelopeError as error:
            self.drop(error.code)
            return
        if beat.epoch >= self.epoch:
            self._heard_s = time.monotonic()

    def arrived(self, message: Message) -> None:
        """One message under this host's `down` topics."""
        s, levels = self._settings, message.topic.split("/")
        try:
            opened = envelope.unseal(
                message.payload,
                lambda kid: s.daemon_key if kid == topics.DAEMON else None,
                topic=message.topic,
                is_retained=message.is_retained,
            )
            down = _down.decode(opened.payload)
        except EnvelopeError as error:
            self.drop(error.code)
            return
        except (msgspec.MsgspecError, ValueError, RecursionError):
            self.drop("FORM")
            return
        meant = (s.instance, s.identity, self._session, levels[3], levels[5])
        if (down.aud, down.host, down.session, down.run, down.type) != meant:
            self.drop("BINDING")
            return
        if down.epoch > self.epoch and not s.is_child:
            self.epoch = down.epoch
            self._on_epoch()
        if down.epoch != self.epoch:
            self.drop("BINDING")
            return
        self._heard_s = time.monotonic()
        self._on_down(down)

    def drop(self, code: str) -> None:
        self.dropped[code] = self.dropped.get(code, 0) + 1
