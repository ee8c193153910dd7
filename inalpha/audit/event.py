"""A line of the log: built, signed and parsed. The entry's bytes are the Merkle leaf.

Two lines of text (header, canonical JSON), a blank line and exactly one signature line by the log key.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from inalpha.audit.canonical import CanonicalError, encode, encode_checked, parse
from inalpha.audit.notes import DASH, NoteError, Signer, b64decode
from inalpha.audit.schema import (
    SchemaError,
    check_data,
    gate_role,
    is_count,
    is_principal,
    is_sha256,
    proposal_subjects,
)

HEADER = "inalpha.audit/event/v1"
MAX_ENTRY = 65_535
ZERO_HASH = "0" * 64

_HEADER_LINE = HEADER.encode() + b"\n"
_DASH = DASH.encode()
_BOOT = re.compile(r"[0-9a-f]{16}")
_REQUIRED = frozenset(("actor", "boot", "data", "epoch", "kind", "log", "mono", "prev", "seq", "ts", "v"))
_NOTES = ("gate", "gate2", "proposal")
_ALLOWED = _REQUIRED | set(_NOTES)


class EventError(ValueError):
    """The bytes are not a line, or the line's form is not allowed."""


@dataclass(slots=True)
class Event:
    """One line's content. gate, gate2 and proposal: full note texts, None where the kind carries none.

    Nothing changes one once it is made; it is not frozen, as that triples what making one costs.
    """

    log: str
    seq: int
    prev: str
    epoch: int
    ts: int
    mono: int
    boot: str
    kind: str
    actor: str
    data: Mapping[str, Any]
    gate: str | None = None
    gate2: str | None = None
    proposal: str | None = None


@dataclass(slots=True)
class SignedEvent:
    """A parsed entry: the event, the two signed lines and the signature over them, not verified yet."""

    event: Event
    text: bytes
    name: str
    key_id: bytes
    signature: bytes


def log_key_named(event: Event) -> str | None:
    """The log's next key where this line names one: a rotation by the old key, or an owner's enrolment."""
    if event.kind == "key.rotate" or is_log_enrolment(event):
        return str(event.data["vkey"])
    return None


def is_log_enrolment(event: Event) -> bool:
    """Whether an owner enrols a new log key, the old one being lost: the new key signs that line itself."""
    return event.kind == "key.enrol" and event.data["role"] == "log"


def check_event(event: Event) -> None:
    """Raise EventError unless kind, members, types and attached notes are as the schema demands."""
    try:
        check_data(event.kind, event.data)
    except SchemaError as error:
        raise EventError(str(error)) from error
    if not is_principal(event.actor):
        raise EventError(f"{event.actor!r} is no principal")
    needs_gate = gate_role(event.kind, event.actor, event.data) is not None
    if needs_gate != (event.gate is not None):
        raise EventError(f"{event.kind} by {event.actor} {'needs a' if needs_gate else 'carries no'} gate")
    if event.gate2 is not None and event.gate is None:
        raise EventError("a second gate without a first")
    is_agent = event.actor.startswith("agent:")
    if is_agent != (event.proposal is not None):
        raise EventError("a proposal note belongs to agents' lines, and to each of them")
    if is_agent and event.kind not in proposal_subjects():
        raise EventError(f"an agent cannot write {event.kind}")


def sign_event(event: Event, signer: Signer) -> bytes:
    """The entry's bytes. The event must have passed check_event. Raises EventError when it is too long."""
    members: dict[str, Any] = {
        "actor": event.actor,
        "boot": event.boot,
        "data": event.data,
        "epoch": event.epoch,
        "kind": event.kind,
        "log": event.log,
        "mono": event.mono,
        "prev": event.prev,
        "seq": event.seq,
        "ts": event.ts,
        "v": 1,
    }
    if event.gate is not None:
        members["gate"] = event.gate
    if event.gate2 is not None:
        members["gate2"] = event.gate2
    if event.proposal is not None:
        members["proposal"] = event.proposal
    try:
        text = _HEADER_LINE + encode_checked(members).encode("utf-8") + b"\n"
    except UnicodeEncodeError as error:
        raise EventError("a lone surrogate") from error
    entry = text + b"\n" + signer.line(text)
    if len(entry) > MAX_ENTRY:
        raise EventError(f"a line of {len(entry)} bytes; {MAX_ENTRY} is the most")
    return entry


def parse_entry(entry: bytes) -> SignedEvent:
    """Read an entry and check its form, canonical bytes included; no key is needed. Raises EventError."""
    if len(entry) > MAX_ENTRY:
        raise EventError("entry too long")
    if not entry.startswith(_HEADER_LINE) or not entry.endswith(b"\n"):
        raise EventError("no event header or last line feed")
    lines = entry.split(b"\n")
    if len(lines) != 5 or lines[2] or not lines[3].startswith(_DASH):
        raise EventError("not header, JSON, blank line and one signature")
    name, _, encoded = lines[3][len(_DASH) :].partition(b" ")
    try:
        raw = b64decode(encoded.decode("ascii"))
    except (NoteError, UnicodeDecodeError) as error:
        raise EventError("malformed signature line") from error
    if len(raw) != 68:
        raise EventError("the signature has not 4 + 64 bytes")
    event = _event(lines[1])
    check_event(event)
    text = entry[: len(_HEADER_LINE) + len(lines[1]) + 1]
    return SignedEvent(event, text, name.decode("utf-8", "replace"), raw[:4], raw[4:])


def read_event(entry: bytes) -> Event:
    """The event of an entry that the verifier or the writer has already checked."""
    members = json.loads(entry[len(_HEADER_LINE) : entry.index(b"\n", len(_HEADER_LINE))])
    del members["v"]
    return Event(**members)


def _event(line: bytes) -> Event:
    try:
        members = parse(line)
        if type(members) is not dict or not _REQUIRED <= members.keys() <= _ALLOWED:
            raise EventError("the line has other members")
        # The closed schema bounds depth, names and numbers; params and body are its only open places.
        if encode_checked(members).encode("utf-8") != line:
            raise EventError("the bytes are not canonical")
        if members["kind"] == "run.start":
            encode(members["data"])
    except (CanonicalError, UnicodeEncodeError) as error:
        raise EventError(str(error)) from error
    if not (
        type(members["v"]) is int
        and members["v"] == 1
        and all(is_count(members[name]) for name in ("seq", "epoch", "ts", "mono"))
        and is_sha256(members["prev"])
        and all(type(members[name]) is str for name in ("boot", "log", "kind"))
        and _BOOT.fullmatch(members["boot"])
        and all(type(members.get(name, "")) is str for name in _NOTES)
    ):
        raise EventError("a member has another type")
    del members["v"]
    return Event(**members)
