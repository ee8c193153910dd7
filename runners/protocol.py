"""The step protocol, without I/O: what is outstanding on one socket, its limits and its rules.

The host asks, the runner answers once. Everything that a runner writes is hostile input: a wrong byte
ends it (`ProtocolError`).
"""

from __future__ import annotations

import base64
import re
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from msgspec import Struct

from inalpha.model.bar import Bar
from inalpha.model.instrument import Instrument
from inalpha.model.step import MAX_LOG_BYTES, StepRequest
from runners.messages import (
    MAX_FRAME,
    MAX_SOURCE,
    MAX_WARM_BARS,
    Answer,
    Failed,
    FrameReader,
    InstrumentFields,
    Load,
    Loaded,
    Ping,
    Pong,
    ProtocolError,
    Ready,
    Reply,
    Scalar,
    Step,
    Stop,
    Stopped,
    Warm,
    Warmed,
    bar_tuple,
    decode_answer,
    frame,
    shown,
)


@dataclass(frozen=True, slots=True)
class Limits:
    """T5 and the fixed deadlines. Wall-clock seconds, measured on the monotonic clock."""

    step_s: float = 2.0
    memory_bytes: int = 128 << 20
    ready_s: float = 2.0
    load_s: float = 5.0
    warm_s: float = 5.0
    ping_s: float = 2.0
    stop_s: float = 1.0
    between_cpu_s: float = 0.25
    output_step: int = 64 << 10
    output_hour: int = 1 << 20

    def __post_init__(self) -> None:
        if not 0.1 <= self.step_s <= 30:
            raise ValueError(f"step deadline {self.step_s} s: 0.1 to 30 allowed")
        if not 64 << 20 <= self.memory_bytes <= 512 << 20:
            raise ValueError(f"memory budget {self.memory_bytes >> 20} MiB: 64 to 512 allowed")

    def deadline_s(self, request: type[Struct]) -> float:
        """How long the answer to this kind of request may take."""
        seconds = {Step: self.step_s, Load: self.load_s, Warm: self.warm_s, Ping: self.ping_s}
        return seconds.get(request, self.stop_s)


class Conversation:
    """The host's side of one socket: builds requests, knows what is outstanding, judges every byte.

    At most one request is outstanding. `ready` is outstanding from the start. A byte that arrives
    while nothing is outstanding, and any byte after an answer, is a ProtocolError.
    """

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self._reader = FrameReader()
        self._outstanding: type[Struct] | None = Ready
        self._nonce = ""
        self._seq = -1
        self._source = b""

    @property
    def outstanding(self) -> type[Struct] | None:
        """The kind of request that awaits its answer (Ready before the first)."""
        return self._outstanding

    def load(
        self,
        run: str,
        source: bytes,
        sha256: str,
        params: Mapping[str, Scalar],
        instrument: Instrument,
        timeframe: str,
        seed: int,
    ) -> bytes:
        if len(source) > MAX_SOURCE:
            raise ValueError(f"source of {len(source)} bytes: at most {MAX_SOURCE}")
        self._source = source
        fields = InstrumentFields(
            instrument.symbol, instrument.tick_e8, instrument.lot_e8, instrument.currency, instrument.calendar
        )
        text = base64.b64encode(source).decode()
        return self._ask(
            Load(self._fresh(), run, sha256, text, dict(params), fields, timeframe, str(seed)),
        )

    def warm(self, bars: Sequence[Bar]) -> bytes:
        if len(bars) > MAX_WARM_BARS:
            raise ValueError(f"{len(bars)} bars in one frame: at most {MAX_WARM_BARS}")
        return self._ask(Warm(self._fresh(), [bar_tuple(bar) for bar in bars]))

    def step(self, request: StepRequest) -> bytes:
        self._seq = request.seq
        return self._ask(
            Step(
                self._fresh(),
                request.seq,
                request.now,
                request.events,
                request.bar,
                request.position,
                request.account,
                request.orders,
            )
        )

    def ping(self) -> bytes:
        return self._ask(Ping(self._fresh()))

    def stop(self) -> bytes:
        return self._ask(Stop(self._fresh()))

    def _fresh(self) -> str:
        self._nonce = secrets.token_hex(16)
        return self._nonce

    def _ask(self, message: Load | Warm | Step | Ping | Stop) -> bytes:
        if self._outstanding is not None:
            raise RuntimeError(f"asked {type(message).__name__} while {self._outstanding.__name__} is open")
        data = frame(message)
        if len(data) > 4 + MAX_FRAME:
            raise ValueError(f"{type(message).__name__} of {len(data) - 4} bytes: at most {MAX_FRAME}")
        self._outstanding = type(message)
        return data

    def receive(self, data: bytes) -> Answer | None:
        """The awaited answer, or None while it is incomplete. Raises ProtocolError."""
        if self._outstanding is None:
            raise ProtocolError(f"{len(data)} bytes while nothing was asked: {shown(data[:40])}")
        text = self._reader.feed(data)
        if text is None:
            return None
        if not self._reader.is_empty:
            raise ProtocolError("more than one answer to one request")
        answer = decode_answer(text)
        self._check(answer)
        self._outstanding = None
        return answer

    def _check(self, answer: Answer) -> None:
        expected = _ANSWERS[self._outstanding or Ready]
        if not isinstance(answer, expected):
            raise ProtocolError(f"{type(answer).__name__.lower()} does not answer what was asked")
        if isinstance(answer, Ready):
            if answer.pid != self.pid:
                raise ProtocolError(f"ready names process {answer.pid}, not {self.pid}")
            return
        if answer.nonce != self._nonce:
            raise ProtocolError(f"nonce {shown(answer.nonce, 40)!r} is not this request's")
        if isinstance(answer, Reply):
            self._check_reply(answer)
        elif isinstance(answer, Stopped):
            _check_logs(answer.logs)
        elif isinstance(answer, Loaded):
            self._check_name(answer.name)

    def _check_name(self, name: str) -> None:
        # The name is a claim; a claim that the source does not hold at all is a lie.
        pattern = rf"\bclass[\s\\]+{re.escape(name)}\b"
        known = name.isidentifier() and re.search(pattern, self._source.decode("utf-8", "replace"))
        if not known:
            raise ProtocolError(f"loaded names {shown(name, 60)!r}, which is no class of the source")

    def _check_reply(self, reply: Reply) -> None:
        if reply.seq != self._seq:
            raise ProtocolError(f"reply to bar {reply.seq}, asked {self._seq}")
        for position, intent in enumerate(reply.intents):
            if intent.n != position:
                raise ProtocolError(f"intent {position} calls itself {intent.n}")
            if intent.action not in ("order", "cancel"):
                raise ProtocolError(f"intent action {shown(intent.action, 40)!r}: order or cancel allowed")
            if intent.side not in ("buy", "sell", None):
                raise ProtocolError(f"intent side {shown(intent.side, 40)!r}: buy or sell allowed")
            _check_text("reason", intent.reason)
            _check_text("tif", intent.tif)
            _check_text("type", intent.type or "")
            _check_text("cancel", intent.cancel or "")
        _check_logs(reply.logs)
        if "\0" in reply.error:
            raise ProtocolError("NUL in error")


_ANSWERS: dict[type[Struct], tuple[type[Struct], ...]] = {
    Ready: (Ready,),
    Load: (Loaded, Failed),
    Warm: (Warmed,),
    Step: (Reply,),
    Ping: (Pong,),
    Stop: (Stopped,),
}


def _check_logs(logs: Sequence[str]) -> None:
    for log in logs:
        _check_text("log", log)


def _check_text(name: str, text: str) -> None:
    if len(text) > MAX_LOG_BYTES or (not text.isascii() and len(text.encode()) > MAX_LOG_BYTES):
        raise ProtocolError(f"{name} of {len(text)} characters: at most {MAX_LOG_BYTES} bytes")
    if "\0" in text:
        raise ProtocolError(f"NUL in {name}")


class OutputMeter:
    """Counts what a runner prints: the caps per step and hour, and the last bytes for the operator."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._step = 0
        self._hour = 0
        self._hour_began = 0.0
        self._tail = bytearray()
        self._fresh = 0

    def begin_step(self) -> None:
        self._step = 0

    def add(self, data: bytes, now_s: float) -> str | None:
        """None, or what to tell the operator when a cap is passed."""
        if now_s - self._hour_began >= 3600:
            self._hour_began, self._hour = now_s, 0
        self._step += len(data)
        self._hour += len(data)
        self._fresh += len(data)
        self._tail += data
        del self._tail[: -self._limits.output_step]
        if self._step > self._limits.output_step:
            return f"printed more than {self._limits.output_step >> 10} KiB"
        if self._hour > self._limits.output_hour:
            return f"printed more than {self._limits.output_hour >> 20} MiB in an hour"
        return None

    @property
    def tail(self) -> str:
        """The last output, printable; line breaks and tabs survive."""
        return _printable(bytes(self._tail))

    def take_fresh(self, limit: int) -> str:
        """What was printed since the last call, at most its last `limit` bytes."""
        fresh, self._fresh = min(self._fresh, limit, len(self._tail)), 0
        return _printable(bytes(self._tail[len(self._tail) - fresh :]))


def _printable(data: bytes) -> str:
    text = data.decode("utf-8", "backslashreplace")
    return "".join(c if c.isprintable() or c in "\n\t" else c.encode("unicode_escape").decode() for c in text)
