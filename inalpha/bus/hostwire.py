"""What daemon and host say to each other about runs: signed, with a sequence per run.

A repeated request keeps id and seq; the host answers it from its last reply, so a strategy sees each once.
"""

from __future__ import annotations

from typing import Any

import msgspec

from inalpha.model.bar import Bar
from inalpha.model.instrument import Instrument
from inalpha.model.runner import END_CODES, RunnerEnded
from inalpha.model.step import MAX_INTENTS, MAX_LOG_BYTES, MAX_LOGS, StepReply, StepRequest

BEAT_S = 1.0
HOST_LOST_S = 5.0
DAEMON_LOST_S = 10.0
RESEND_S = 1.0

# What answers each request; any of them may be answered by `ended`.
ANSWERS = {
    "load": "loaded",
    "warm": "warmed",
    "step": "reply",
    "stop": "ended",
    "kill": "ended",
    "probe": "probed",
}
# Where a host is asked about itself; no run has such a name (run-1).
PROBE = "probe"
LEVELS = (None, "process", "fenced", "sealed")
MAX_TEXT = 2000  # characters of what a host says of an end

Scalar = bool | int | float | str


class Down(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Daemon to host. type: load, warm, step, stop, kill, probe; body: the matching class below.

    session: the host process that is meant. A later one knows no earlier message, so without it an old
    `load` could be played to it again.
    """

    aud: str
    epoch: int
    host: str
    session: str
    run: str
    type: str
    seq: int
    id: str
    body: msgspec.Raw


class Up(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Host to daemon. type: loaded, warmed, reply, ended, probed. corr: id of the request, "" when unasked."""

    aud: str
    epoch: int
    host: str
    run: str
    type: str
    seq: int
    corr: str
    body: msgspec.Raw


class LoadBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """source: base64. instrument: symbol, tick_e8, lot_e8, currency, calendar. level: least accepted."""

    source: str
    sha256: str
    params: dict[str, Scalar]
    instrument: tuple[str, int, int, str, str]
    timeframe: str
    seed: str
    step_s: float
    memory_bytes: int
    level: str


class WarmBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    bars: list[tuple[int, int, int, int, int, int, int]]


class LoadedBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """pid, start_ticks, boot_id: what a later host needs to end exactly this runner."""

    name: str
    params: dict[str, Scalar]
    pid: int
    start_ticks: int
    boot_id: str
    uid: int
    level: str
    evidence: dict[str, Any]


class ProbeBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    nonce: str


class ProbedBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What probe runners found just now. level None: none at all."""

    nonce: str
    level: str | None
    evidence: dict[str, Any]


class EndedBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """code "": stopped or killed as asked. logs: what on_stop logged."""

    code: str
    message: str
    fix: str
    detail: dict[str, Any]
    logs: list[str]


class HostState(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Retained under hosts/<host>/state; the will says up=false. session: new with each host process."""

    up: bool
    session: str
    level: str | None
    runs: list[str]
    pid: int


class Beat(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    n: int


def rank(level: str | None) -> int:
    """How strict a level is: 0 for none at all, -1 for a word that is none."""
    return LEVELS.index(level) if level in LEVELS else -1


InstrumentMembers = tuple[str, int, int, str, str]
BarMembers = tuple[int, int, int, int, int, int, int]


def instrument_members(instrument: Instrument) -> InstrumentMembers:
    i = instrument
    return i.symbol, i.tick_e8, i.lot_e8, i.currency, i.calendar


def bar_members(bar: Bar) -> BarMembers:
    """A bar as it travels: its times, its prices in ticks, its volume."""
    b = bar
    return (
        b.open_time_ns, b.close_time_ns, b.open_ticks, b.high_ticks, b.low_ticks, b.close_ticks, b.volume_e8
    )  # fmt: skip


StepBody = StepRequest
ReplyBody = StepReply
EMPTY = msgspec.Raw(b"{}")


def raw(body: object) -> msgspec.Raw:
    """A body ready to be embedded."""
    return msgspec.Raw(msgspec.json.encode(body))


_reply = msgspec.json.Decoder(StepReply)


def read_reply(body: bytes, seq: int) -> StepReply:
    """A host's reply to bar seq, within the limits that a runner's own frame has. Raises ValueError.

    The host of a runner has checked it; a host whose credentials were stolen has not.
    """
    reply = _reply.decode(body)
    if reply.seq != seq:
        raise ValueError(f"a reply to bar {reply.seq}, asked {seq}")
    if reply.dropped_bytes:
        raise ValueError("a host counts no dropped words")
    if len(reply.intents) > MAX_INTENTS or [i.n for i in reply.intents] != list(range(len(reply.intents))):
        raise ValueError(f"{len(reply.intents)} intents: at most {MAX_INTENTS}, numbered from 0")
    if len(reply.logs) > MAX_LOGS:
        raise ValueError(f"{len(reply.logs)} logs: at most {MAX_LOGS}")
    texts = [
        *reply.logs,
        *(t or "" for i in reply.intents for t in (i.reason, i.tif, i.type, i.cancel, i.side)),
    ]
    if any("\0" in text or len(text.encode()) > MAX_LOG_BYTES for text in texts):
        raise ValueError(f"a text with NUL, or of more than {MAX_LOG_BYTES} bytes")
    return reply


_ended = msgspec.json.Decoder(EndedBody)


def read_end(raw: bytes) -> RunnerEnded:
    """What a host says of a runner's end. Words that are none count against it."""
    try:
        body = _ended.decode(raw)
        # "" is an end that was asked for; whoever still waits for an answer is told so.
        code = body.code or "exit"
        if code not in END_CODES:
            raise ValueError(f"no end is called {code[:40]!r}")
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        return against_protocol(error)
    detail = {**body.detail, "logs": body.logs}
    message = (body.message or "ended as asked")[:MAX_TEXT]
    return RunnerEnded(code, message, body.fix[:MAX_TEXT], detail=detail)


def against_protocol(error: Exception) -> RunnerEnded:
    """A host that breaks the protocol takes the run with it."""
    return RunnerEnded("protocol", f"its host broke the protocol: {str(error)[:MAX_TEXT]}")
