"""What counts of a host's words: form, signature, binding and rate. A host may be hostile, so may its broker."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import msgspec

from inalpha.bus import envelope
from inalpha.bus.client import Message
from inalpha.bus.envelope import EnvelopeError
from inalpha.bus.hostwire import HOST_LOST_S, HostState, Up
from inalpha.bus.throttle import Throttle

# A host beats once a second and says its state at each start and end of a run.
PLAIN_RATE, PLAIN_BURST = 50.0, 300
# Twice what an honest host lets through of one run's output.
LOG_RATE, LOG_BURST = 2.0, 64
MAX_LOG = 4096  # characters

_up = msgspec.json.Decoder(Up)
_state = msgspec.json.Decoder(HostState)
_text = msgspec.json.Decoder(str)


@dataclass(frozen=True, slots=True)
class Ears:
    """Where the words go. on_flood: what was dropped of a run, or of the host itself (""), since last told."""

    holds: Callable[[str], bool]
    on_state: Callable[[HostState], None]
    on_up: Callable[[Up], None]
    on_log: Callable[[str, str], None]
    on_flood: Callable[[str, int], None]
    on_word: Callable[[], None]


class Hearing:
    """Everything under `hosts/<host>/`. dropped: how many words did not count, by why."""

    def __init__(
        self, host: str, host_key: bytes, instance: str, epoch: int, ears: Ears, now_us: Callable[[], int]
    ) -> None:
        self.dropped: dict[str, int] = {}
        self._host, self._host_key, self._instance, self._epoch = host, host_key, instance, epoch
        self._ears, self._now_us = ears, now_us
        self._heard_s, self._is_heard = time.monotonic(), False
        self._plain_rate = Throttle(PLAIN_RATE, PLAIN_BURST)
        self._log_rate = Throttle(LOG_RATE, LOG_BURST)

    def begin(self) -> None:
        """Silence counts from now on."""
        self._heard_s = time.monotonic()

    def forget(self, run: str) -> None:
        """A run is over: its rate begins anew with another."""
        self._log_rate.forget(run)

    @property
    def age_s(self) -> float:
        """Seconds since the host was last heard."""
        return time.monotonic() - self._heard_s

    @property
    def is_living(self) -> bool:
        """Whether its last word is fresh. What a broker retained is no word."""
        return self._is_heard and self.age_s < HOST_LOST_S

    def arrived(self, message: Message) -> None:
        levels = message.topic.split("/")
        try:
            if levels[4:] == ["up", "log"]:
                self._log(message, levels[3])
            elif levels[4:5] == ["up"]:
                self._answered(message, levels[3])
            elif not self._plain_rate.admits(""):
                self.drop("RATE")
            elif levels[2:] == ["state"]:
                self._ears.on_state(_state.decode(self._plain(message).body))
            elif levels[2:] == ["beat"]:
                self._plain(message)
        except EnvelopeError as error:
            self.drop(error.code)
        except (msgspec.MsgspecError, ValueError, RecursionError):
            self.drop("FORM")
        self._tell("", self._plain_rate)

    def drop(self, code: str) -> None:
        self.dropped[code] = self.dropped.get(code, 0) + 1

    def _tell(self, key: str, rate: Throttle) -> None:
        refused = rate.untold(key)
        if refused:
            self._ears.on_flood(key, refused)

    def _log(self, message: Message, run: str) -> None:
        """Refused before it is opened: what is too much should cost least."""
        if not self._ears.holds(run):
            self.drop("BINDING")
            return
        if self._log_rate.admits(run):
            self._ears.on_log(run, _shown(_text.decode(self._plain(message).body)))
        else:
            self.drop("RATE")
        self._tell(run, self._log_rate)

    def _plain(self, message: Message) -> envelope.Envelope:
        found = envelope.decode(
            message.payload, topic=message.topic, is_retained=message.is_retained, now_us=self._now_us()
        )
        if not message.is_retained:
            self._heard_s, self._is_heard = time.monotonic(), True
            self._ears.on_word()
        return found

    def _answered(self, message: Message, run: str) -> None:
        opened = envelope.unseal(
            message.payload,
            lambda kid: self._host_key if kid == self._host else None,
            topic=message.topic,
            is_retained=message.is_retained,
        )
        up = _up.decode(opened.payload)
        bound = (up.aud, up.epoch, up.host, up.run) == (self._instance, self._epoch, self._host, run)
        if not bound or not self._ears.holds(run):
            self.drop("BINDING")  # another epoch's or another host's word about this run
            return
        self._heard_s = time.monotonic()
        self._ears.on_up(up)


def _shown(text: str) -> str:
    """Printable, as an honest host sends it already; line breaks and tabs survive."""
    cut = text[:MAX_LOG]
    return "".join(c if c.isprintable() or c in "\n\t" else c.encode("unicode_escape").decode() for c in cut)
