"""The step protocol, without I/O: frames, strict decoding, and what is outstanding on one socket.

A frame is a 4-byte big-endian length (1..65,536) and UTF-8 JSON. The host asks, the runner answers once.
Everything that a runner writes is hostile input: a wrong byte ends it (`ProtocolError`).
"""

from __future__ import annotations

import base64
import json
import re
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, NoReturn

import msgspec
from msgspec import Meta, Struct

from inalpha.model.bar import Bar
from inalpha.model.instrument import Instrument
from inalpha.model.step import (
    MAX_INTENTS,
    MAX_LOG_BYTES,
    MAX_LOGS,
    NUMBER_PATTERN,
    Intent,
    OrderEvent,
    OrderView,
    StepReply,
    StepRequest,
)

MAX_FRAME = 65_536
MAX_SOURCE = 32_768
MAX_WARM_BARS = 100
MAX_ERROR_CHARACTERS = 500

Number = Annotated[str, Meta(pattern=NUMBER_PATTERN)] | None
Scalar = bool | int | float | str
BarTuple = tuple[int, int, int, int, int, int, int]
_Index = Annotated[int, Meta(ge=0, le=2**63 - 1)]


class ProtocolError(Exception):
    """A runner broke a rule of the protocol. The text names the rule, the value and the limit."""


# -- what the host sends -----------------------------------------------------------------------------


class InstrumentFields(Struct, frozen=True, forbid_unknown_fields=True):
    symbol: str
    tick_e8: int
    lot_e8: int
    currency: str
    calendar: str


class Load(Struct, frozen=True, forbid_unknown_fields=True, tag_field="type", tag="load"):
    """source: base64. seed: decimal text, as it may exceed 64 bits."""

    nonce: str
    run: str
    sha256: str
    source: str
    params: dict[str, Scalar]
    instrument: InstrumentFields
    timeframe: str
    seed: str


class Warm(Struct, frozen=True, forbid_unknown_fields=True, tag_field="type", tag="warm"):
    nonce: str
    bars: list[BarTuple]


class Step(Struct, frozen=True, forbid_unknown_fields=True, tag_field="type", tag="step"):
    nonce: str
    seq: int
    now: int
    events: tuple[OrderEvent, ...]
    bar: BarTuple
    position: tuple[int, int]
    account: tuple[int, int]
    orders: tuple[OrderView, ...]


class Ping(Struct, frozen=True, forbid_unknown_fields=True, tag_field="type", tag="ping"):
    nonce: str


class Stop(Struct, frozen=True, forbid_unknown_fields=True, tag_field="type", tag="stop"):
    nonce: str


Request = Load | Warm | Step | Ping | Stop


# -- what the runner answers: every member required, unlike the model's own classes -------------------


class Ready(Struct, frozen=True, forbid_unknown_fields=True, tag_field="type", tag="ready"):
    pid: int


class Loaded(Struct, frozen=True, forbid_unknown_fields=True, tag_field="type", tag="loaded"):
    nonce: str
    name: str
    params: dict[str, Scalar]


class LoadFailure(Struct, frozen=True, forbid_unknown_fields=True):
    type: str
    text: str
    line: int | None


class Failed(Struct, frozen=True, forbid_unknown_fields=True, tag_field="type", tag="failed"):
    nonce: str
    error: LoadFailure


class Warmed(Struct, frozen=True, forbid_unknown_fields=True, tag_field="type", tag="warmed"):
    nonce: str


class IntentFields(Struct, frozen=True, forbid_unknown_fields=True):
    n: int
    action: str
    side: str | None
    quantity: Number
    limit: Number
    stop: Number
    type: str | None
    tif: str
    expires: Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)] | None
    reduce_only: bool
    stop_loss: Number
    take_profit: Number
    reason: str
    cancel: str | None


class Reply(Struct, frozen=True, forbid_unknown_fields=True, tag_field="type", tag="reply"):
    nonce: str
    seq: _Index
    intents: Annotated[list[IntentFields], Meta(max_length=MAX_INTENTS)]
    logs: Annotated[list[str], Meta(max_length=MAX_LOGS)]
    error: str


class Pong(Struct, frozen=True, forbid_unknown_fields=True, tag_field="type", tag="pong"):
    nonce: str


class Stopped(Struct, frozen=True, forbid_unknown_fields=True, tag_field="type", tag="stopped"):
    nonce: str
    logs: Annotated[list[str], Meta(max_length=MAX_LOGS)]


Answer = Ready | Loaded | Failed | Warmed | Reply | Pong | Stopped

_encode = msgspec.json.encode
_decode_request = msgspec.json.Decoder(Request).decode
_decode_answer = msgspec.json.Decoder(Answer).decode


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


def frame(message: Struct) -> bytes:
    """One message as it crosses the socket."""
    text = _encode(message)
    # A length beyond the field's width is still a length that the host refuses.
    return min(len(text), 0xFFFFFFFF).to_bytes(4, "big") + text


def decode_request(text: bytes) -> Request:
    """For the runner: the host is trusted, its frames are decoded strictly all the same."""
    request: Request = _decode_request(text)
    return request


class FrameReader:
    """Cuts a byte stream into frames. Raises ProtocolError on a length outside 1..65,536."""

    __slots__ = ("_buffer",)

    def __init__(self) -> None:
        self._buffer = b""

    @property
    def is_empty(self) -> bool:
        return not self._buffer

    def feed(self, data: bytes) -> bytes | None:
        """The first complete frame's text, or None while one is still arriving."""
        buffer = self._buffer = self._buffer + data if self._buffer else data
        if len(buffer) < 4:
            return None
        length = int.from_bytes(buffer[:4], "big")
        if not 1 <= length <= MAX_FRAME:
            raise ProtocolError(f"frame length {length}: 1 to {MAX_FRAME} allowed")
        if len(buffer) < 4 + length:
            return None
        self._buffer = buffer[4 + length :]
        return buffer[4 : 4 + length]


def decode_answer(text: bytes) -> Answer:
    """A runner's frame as a message, strictly. Raises ProtocolError."""
    try:
        answer: Answer = _decode_answer(text)
        # msgspec lets the last of two equal keys win and a single tag be absent. What an honest runner
        # sends is reproduced byte for byte; anything else takes the slow road with its own checks.
        if _encode(answer) != text:
            _check_spelling(text, answer)
    except ProtocolError:
        raise
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise ProtocolError(f"message refused: {shown(str(error))}; got {shown(text[:80])}") from None
    return answer


def _check_spelling(text: bytes, answer: Answer) -> None:
    plain = json.loads(text.decode("utf-8"), object_pairs_hook=_unique_keys, parse_constant=_no_constant)
    if plain != msgspec.to_builtins(answer):
        raise ProtocolError(f"members missing or of another kind: {shown(text[:80])}")


def _unique_keys(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ProtocolError(f"a key appears twice among {shown(', '.join(key for key, _ in pairs[:20]))}")
    return found


def _no_constant(name: str) -> NoReturn:
    raise ProtocolError(f"{name} is no JSON number")


def shown(value: str | bytes, limit: int = 200) -> str:
    """Hostile text made printable: control characters and undecodable bytes escaped, cut to limit."""
    text = value.decode("utf-8", "backslashreplace") if isinstance(value, bytes) else value
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text[:limit])


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


def step_reply(reply: Reply) -> StepReply:
    """The checked answer in the domain's own class. An error empties the bar's intents."""
    intents = (
        ()
        if reply.error
        else tuple(
            Intent(
                i.n,
                i.action,
                i.side,
                i.quantity,
                i.limit,
                i.stop,
                i.type,
                i.tif,
                i.expires,
                i.reduce_only,
                i.stop_loss,
                i.take_profit,
                i.reason,
                i.cancel,
            )
            for i in reply.intents
        )
    )
    return StepReply(reply.seq, intents, tuple(reply.logs), reply.error[:MAX_ERROR_CHARACTERS])


def reply_frame(nonce: str, reply: StepReply) -> bytes:
    """For the runner: a strategy's answer as a frame."""
    intents = [
        IntentFields(
            i.n,
            i.action,
            i.side,
            i.quantity,
            i.limit,
            i.stop,
            i.type,
            i.tif,
            i.expires,
            i.reduce_only,
            i.stop_loss,
            i.take_profit,
            i.reason,
            i.cancel,
        )
        for i in reply.intents
    ]
    return frame(Reply(nonce, reply.seq, intents, list(reply.logs), reply.error))


def bar_tuple(bar: Bar) -> BarTuple:
    """A bar as it travels: open and close time, open, high, low, close, volume."""
    return (
        bar.open_time_ns,
        bar.close_time_ns,
        bar.open_ticks,
        bar.high_ticks,
        bar.low_ticks,
        bar.close_ticks,
        bar.volume_e8,
    )


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
