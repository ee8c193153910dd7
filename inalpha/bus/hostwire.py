"""What daemon and host say to each other about runs: signed, with a sequence per run.

A repeated request keeps id and seq; the host answers it from its last reply, so a strategy sees each once.
"""

from __future__ import annotations

from typing import Any

import msgspec

from inalpha.model.step import MAX_INTENTS, MAX_LOG_BYTES, MAX_LOGS, StepReply, StepRequest

BEAT_S = 1.0
HOST_LOST_S = 5.0
DAEMON_LOST_S = 10.0
RESEND_S = 1.0

# What answers each request; any of them may be answered by `ended`.
ANSWERS = {"load": "loaded", "warm": "warmed", "step": "reply", "stop": "ended", "kill": "ended"}

Scalar = bool | int | float | str


class Down(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Daemon to host. type: load, warm, step, stop, kill; body: the matching class below.

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
    """Host to daemon. type: loaded, warmed, reply, ended. corr: id of the request, "" when unasked."""

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
