"""Gate and proposal notes: a person's signature for one act, an agent's for one proposal.

A gate names the tree that its signer saw, so each signature also witnesses the lines before it. The codes are
tried in a fixed order and the first that fails is the answer.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from inalpha.audit import sshsig
from inalpha.audit.canonical import CanonicalError, decode, encode
from inalpha.audit.event import Event
from inalpha.audit.notes import NoteError, Signer, VerifierKey, b64decode, b64encode, split, verify_ed25519
from inalpha.audit.schema import gate_role, gate_subjects, is_count, is_sha256, proposal_subjects
from inalpha.audit.sshagent import AgentSigner
from inalpha.model.errors import Refused

GATE_HEADER = "inalpha.audit/gate/v1"
PROPOSAL_HEADER = "inalpha.audit/proposal/v1"
MAX_LIFETIME_US = 300_000_000
MAX_SKEW_US = 5_000_000

_PROPOSAL_MEMBERS = frozenset(("action", "exp", "log", "nonce", "subject", "ts", "v"))
_GATE_MEMBERS = _PROPOSAL_MEMBERS | {"base_root", "base_size"}

_FIXES = {
    "GATE_EXPIRED": "Sign again.",
    "GATE_REPLAYED": "Sign again: every note is used once.",
    "GATE_FUTURE": "Set this machine's clock.",
    "GATE_BASE": "Run 'inalpha audit verify': the signer saw another history.",
    "GATE_UNKNOWN_KEY": "Have the owner enrol the key: 'inalpha operator add'.",
    "ROLE_FORBIDS": "A person whose role allows it has to sign.",
}


class GateRefused(Refused):
    """A note that does not carry its act. code: the first failing row of the table in the manual."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(code, message, _FIXES.get(code, ""))


@dataclass(frozen=True, slots=True)
class EnrolledKey:
    """A key as the ledger knows it. revoked_after: the last seq at which its signatures count."""

    key: VerifierKey
    principal: str | None
    role: str
    enrolled_seq: int
    revoked_after: int | None = None


class GateContext(Protocol):
    """What the ledger knows before the line in question."""

    origin: str

    def keys_named(self, name: str, key_id: bytes) -> Sequence[EnrolledKey]: ...

    def keys_of(self, public: bytes) -> Sequence[EnrolledKey]: ...

    def root(self, size: int) -> bytes | None: ...

    def seen(self, nonce: str) -> bool: ...


@dataclass(frozen=True, slots=True)
class ParsedNote:
    """A note of the right form; nothing in it is verified. base_size is None in a proposal."""

    text: bytes
    action: str
    log: str
    nonce: str
    subject: Mapping[str, Any]
    ts: int
    exp: int
    base_size: int | None
    base_root: bytes
    name: str
    key_id: bytes
    signature: bytes
    ssh: sshsig.SshSignature | None = None


def gate_text(
    *,
    log: str,
    action: str,
    subject: Mapping[str, Any],
    base_size: int,
    base_root: bytes,
    ts: int,
    exp: int,
    nonce: str | None = None,
) -> bytes:
    """The text that an operator signs. Times in microseconds; the nonce is 32 random bytes."""
    members = _body(log, action, subject, ts, exp, nonce)
    members |= {"base_root": b64encode(base_root), "base_size": base_size}
    return GATE_HEADER.encode() + b"\n" + encode(members) + b"\n"


def proposal_text(
    *, log: str, action: str, subject: Mapping[str, Any], ts: int, exp: int, nonce: str | None = None
) -> bytes:
    """The text that an agent signs."""
    return PROPOSAL_HEADER.encode() + b"\n" + encode(_body(log, action, subject, ts, exp, nonce)) + b"\n"


def sign(signer: Signer | AgentSigner, text: bytes) -> str:
    """The full note. A key in ssh-agent signs gates alone, in their namespace."""
    if isinstance(signer, AgentSigner):
        return with_ssh_signature(text, signer.armour(text, GATE_HEADER))
    return signer.note(text).decode("utf-8")


def with_ssh_signature(text: bytes, armour: str) -> str:
    """A gate signed by ssh-agent or ssh-keygen in the gate's namespace."""
    return text.decode("utf-8") + "\n" + armour


def subject_of(kind: str, data: Mapping[str, Any], *, proposal: bool = False) -> dict[str, Any]:
    """The members of data that a note about it has to repeat."""
    names = (proposal_subjects() if proposal else gate_subjects())[kind]
    return {name: data[name] for name in names}


def parse(note: str, header: str) -> ParsedNote:
    """Read a note of that header. Raises GateRefused("GATE_SYNTAX")."""
    try:
        return _parse(note, header)
    except (NoteError, CanonicalError, UnicodeEncodeError) as error:
        raise GateRefused("GATE_SYNTAX", str(error)) from error


def verify_gate(note: str, event: Event, context: GateContext, *, second: bool = False) -> ParsedNote:
    """Check the gate of a line. second: gate2, by another operator than the actor. Raises GateRefused."""
    parsed = parse(note, GATE_HEADER)
    enrolled = _signer(parsed, event.seq, context)
    if parsed.log != context.origin:
        raise GateRefused("GATE_LOG", f"the note is for {parsed.log}")
    if (enrolled.principal == event.actor) == second:
        raise GateRefused("GATE_ACTOR", f"signed by {enrolled.principal}, the actor is {event.actor}")
    if parsed.action != event.kind:
        raise GateRefused("GATE_ACTION", f"signed for {parsed.action}, used for {event.kind}")
    needed = gate_role(event.kind, event.actor, event.data)
    if not _allows(enrolled, needed, event):
        raise GateRefused(
            "ROLE_FORBIDS", f"{event.kind} needs the role {needed}, the key has {enrolled.role}"
        )
    _check_times(parsed, event, context)
    names = gate_subjects().get(event.kind, ())
    if dict(parsed.subject) != {name: event.data.get(name) for name in names}:
        raise GateRefused("GATE_SUBJECT", "the signed subject is not what the line says")
    size = parsed.base_size or 0
    if size > event.seq or context.root(size) != parsed.base_root:
        raise GateRefused("GATE_BASE", f"the signer saw another tree of {size} lines")
    return parsed


def verify_proposal(note: str, event: Event, context: GateContext) -> ParsedNote:
    """Check the proposal note of an agent's line. Raises GateRefused."""
    parsed = parse(note, PROPOSAL_HEADER)
    enrolled = _signer(parsed, event.seq, context)
    if parsed.log != context.origin:
        raise GateRefused("GATE_LOG", f"the note is for {parsed.log}")
    if enrolled.principal != event.actor:
        raise GateRefused("GATE_ACTOR", f"signed by {enrolled.principal}, the actor is {event.actor}")
    if parsed.action != event.kind:
        raise GateRefused("GATE_ACTION", f"signed for {parsed.action}, used for {event.kind}")
    if enrolled.role != "proposer" or event.kind not in proposal_subjects():
        raise GateRefused("ROLE_FORBIDS", f"a {enrolled.role} key proposes no {event.kind}")
    if event.kind == "halt.set" and event.data.get("state") == "KILLED":
        raise GateRefused("ROLE_FORBIDS", "an agent does not kill")
    if event.kind == "proposal.close" and event.data.get("state") != "withdrawn":
        raise GateRefused("ROLE_FORBIDS", "an agent only withdraws its proposal")
    _check_times(parsed, event, context)
    names = proposal_subjects()[event.kind]
    if dict(parsed.subject) != {name: event.data.get(name) for name in names}:
        raise GateRefused("GATE_SUBJECT", "the signed subject is not what the line says")
    return parsed


def _body(
    log: str, action: str, subject: Mapping[str, Any], ts: int, exp: int, nonce: str | None
) -> dict[str, Any]:
    return {
        "action": action,
        "exp": exp,
        "log": log,
        "nonce": nonce or os.urandom(32).hex(),
        "subject": dict(subject),
        "ts": ts,
        "v": 1,
    }


def _parse(note: str, header: str) -> ParsedNote:
    ssh = None
    if header == GATE_HEADER and note.endswith(sshsig.END) and sshsig.BEGIN in note:
        at = note.index(sshsig.BEGIN)
        ssh = sshsig.parse(note[at:])
        text, name, key_id, signature = note[:at].encode("utf-8"), "", b"", b""
        if not text.endswith(b"\n\n"):
            raise NoteError("no blank line before the signature")
        text = text[:-1]
    else:
        text, lines = split(note.encode("utf-8"))
        if len(lines) != 1 or len(lines[0].signature) != 64:
            raise NoteError("not exactly one Ed25519 signature")
        name, key_id, signature = lines[0].name, lines[0].id, lines[0].signature
    parts = text.split(b"\n")
    if len(parts) != 3 or parts[0] != header.encode() or parts[2]:
        raise NoteError("other lines than header and JSON")
    members = decode(parts[1])
    wanted = _GATE_MEMBERS if header == GATE_HEADER else _PROPOSAL_MEMBERS
    if type(members) is not dict or members.keys() != wanted:
        raise NoteError("other members")
    base_size, base_root = members.get("base_size"), b""
    if header == GATE_HEADER:
        if not is_count(base_size) or type(members["base_root"]) is not str:
            raise NoteError("bad base")
        base_root = b64decode(members["base_root"])
    if not (
        type(members["v"]) is int
        and members["v"] == 1
        and is_count(members["ts"])
        and is_count(members["exp"])
        and is_sha256(members["nonce"])
        and type(members["action"]) is str
        and type(members["log"]) is str
        and type(members["subject"]) is dict
    ):
        raise NoteError("a member has another type")
    return ParsedNote(
        text, members["action"], members["log"], members["nonce"], members["subject"], members["ts"],
        members["exp"], base_size, base_root, name, key_id, signature, ssh,
    )  # fmt: skip


def _signer(parsed: ParsedNote, seq: int, context: GateContext) -> EnrolledKey:
    if parsed.ssh is not None:
        found = context.keys_of(parsed.ssh.public)
    else:
        found = context.keys_named(parsed.name, parsed.key_id)
    found = [item for item in found if item.enrolled_seq < seq or seq == 0 == item.enrolled_seq]
    if not found:
        raise GateRefused("GATE_UNKNOWN_KEY", f"no enrolled key {parsed.name} {parsed.key_id.hex()}".rstrip())
    for item in found:
        if parsed.ssh is not None:
            holds = parsed.ssh.holds(parsed.text, GATE_HEADER)
        else:
            holds = verify_ed25519(item.key.public, parsed.text, parsed.signature)
        if holds:
            if item.revoked_after is not None and seq > item.revoked_after:
                raise GateRefused(
                    "GATE_REVOKED", f"{item.key.name} was revoked after line {item.revoked_after}"
                )
            return item
    raise GateRefused("GATE_SIGNATURE", "the signature does not hold")


def _allows(enrolled: EnrolledKey, needed: str | None, event: Event) -> bool:
    if enrolled.role == "owner":
        return needed is not None
    if enrolled.role == "operator":
        return needed == "operator"
    if enrolled.role == "recovery":
        return event.kind == "key.revoke" or (event.kind == "key.enrol" and event.data.get("role") == "owner")
    return False


def _check_times(parsed: ParsedNote, event: Event, context: GateContext) -> None:
    if not 0 < parsed.exp - parsed.ts <= MAX_LIFETIME_US:
        raise GateRefused("GATE_LIFETIME", "a note lives for at most 300 s")
    if parsed.ts > event.ts + MAX_SKEW_US:
        raise GateRefused("GATE_FUTURE", "signed more than 5 s in the future")
    if event.ts > parsed.exp:
        raise GateRefused("GATE_EXPIRED", "the note's time has passed")
    if context.seen(parsed.nonce):
        raise GateRefused("GATE_REPLAYED", "this note has been used")
