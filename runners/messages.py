"""The messages between host and runner: frames, strict decoding, and the domain's classes on the wire.

A frame is a 4-byte big-endian length (1..65,536) and UTF-8 JSON.
"""

from __future__ import annotations

import json
from typing import Annotated, NoReturn

import msgspec
from msgspec import Meta, Struct

from inalpha.model.bar import Bar
from inalpha.model.step import (
    MAX_INTENTS,
    MAX_LOGS,
    NUMBER_PATTERN,
    Intent,
    OrderEvent,
    OrderView,
    StepReply,
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
    bar: Bar
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
