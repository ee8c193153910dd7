"""How a witness follows the log's key: rotations signed by the key before, and a lost key replaced by an owner.

The log shows the lines, each proven to lie in the new tree. A replacement is signed by the new key itself, so what
stands for it is the gate of an owner, whose own key is followed from the genesis. What the witness cannot know is
whether a line was kept from it: a revoked owner passes here until the log shows the revocation. Verifiers, who
read every line, name that; and whoever signs on with such a key still cannot change what was cosigned.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from inalpha.audit import merkle
from inalpha.audit.checkpoint import Checkpoint
from inalpha.audit.event import Event, SignedEvent, is_log_enrolment, log_key_named, parse_entry
from inalpha.audit.gate import EnrolledKey, GateRefused, verify_gate
from inalpha.audit.lineage import key_lines
from inalpha.audit.notes import NoteError, b64decode, parse_vkey, verify_ed25519
from inalpha.audit.prove import tlog_proof

_OWNING = ("owner", "recovery")


def key_items(reader: sqlite3.Connection, tree: merkle.Tree, old: int, size: int) -> list[dict[str, str]]:
    """What leads from the key at old lines to that at size; from the genesis on where an owner had to replace one."""
    lines = key_lines(reader, size)
    named = [link for link in lines if link.seq >= old and log_key_named(link.event)]
    people: list[int] = []
    if any(is_log_enrolment(link.event) for link in named):
        people = [link.seq for link in lines if link.role == "genesis" or _is_of_owner(link.event)]
    elif old == 1:
        people = [0]
    wanted = {link.seq for link in named} | set(people)
    return [
        {"entry": link.entry.decode(), "proof": tlog_proof(tree, link.seq, size, b"")}
        for link in lines
        if link.seq in wanted
    ]


def follow(
    items: Sequence[dict[str, str]], log_vkey: str | None, origin: str, seen: int, head: Checkpoint
) -> str:
    """The log key that is current under head. log_vkey: the one known at seen lines.

    Raises NoteError, EventError, ProofError or ValueError for lines that do not lead there.
    """
    owners, current, last = Owners(origin), log_vkey, -1
    for item in items:
        entry = item["entry"].encode()
        signed = parse_entry(entry)
        event = signed.event
        proof = item["proof"].split("\n")
        path = [b64decode(line) for line in proof[2 : proof.index("", 2)]]
        merkle.verify_inclusion(event.seq, head.size, merkle.leaf_hash(entry), path, head.root)
        if event.seq <= last:
            raise NoteError("the key lines are not in order")
        last = event.seq
        if event.kind == "ledger.genesis" and event.seq == 0:
            owners.begin(event)
            current = current or _by(str(event.data["log_vkey"]), signed)
        elif is_log_enrolment(event):
            owners.check(event)
            if event.seq >= seen:
                current = _by(str(event.data["vkey"]), signed)
        elif event.kind == "key.rotate" and event.seq >= seen:
            _by(current, signed)
            current = str(event.data["vkey"])
        elif _is_of_owner(event):
            owners.take(event)
        else:
            raise NoteError(f"a {event.kind} line among the keys")
    if current is None:
        raise NoteError("no line names the log key")
    return current


def _by(vkey: str | None, signed: SignedEvent) -> str:
    if vkey is None or not verify_ed25519(parse_vkey(vkey).public, signed.text, signed.signature):
        raise NoteError(f"line {signed.event.seq} is not signed by the key before it")
    return vkey


def _is_of_owner(event: Event) -> bool:
    """Enrolments of owners, and every revocation, since an owner's may be among them."""
    return event.kind == "key.revoke" or (event.kind == "key.enrol" and event.data["role"] == "owner")


@dataclass(slots=True)
class Owners:
    """Owners' keys as far as the log showed them: a gate.GateContext without a tree."""

    origin: str
    known: dict[str, EnrolledKey] = field(default_factory=dict)
    nonces: set[str] = field(default_factory=set)

    def begin(self, genesis: Event) -> None:
        for role in _OWNING:
            self._enrol(str(genesis.data[f"{role}_vkey"]), genesis.actor, role, 0)

    def take(self, event: Event) -> None:
        """An owner more, or less."""
        self.check(event)
        vkey = str(event.data["vkey"])
        if event.kind == "key.enrol":
            self._enrol(vkey, str(event.data["principal"]), "owner", event.seq)
        elif vkey in self.known:
            self.known[vkey] = replace(self.known[vkey], revoked_after=event.data["valid_through_seq"])

    def check(self, event: Event) -> None:
        """Raise NoteError unless an owner known by now signed for the line."""
        try:
            self.nonces.add(verify_gate(event.gate or "", event, self).nonce)
        except GateRefused as refused:
            # The tree that the owner saw is the last thing asked, and the one that a witness cannot know.
            if refused.code != "GATE_BASE":
                raise NoteError(f"line {event.seq}: {refused.code}") from refused

    def keys_named(self, name: str, key_id: bytes) -> list[EnrolledKey]:
        return [item for item in self.known.values() if (item.key.name, item.key.id) == (name, key_id)]

    def keys_of(self, public: bytes) -> list[EnrolledKey]:
        return [item for item in self.known.values() if item.key.public == public]

    def root(self, size: int) -> bytes | None:
        return None

    def seen(self, nonce: str) -> bool:
        return nonce in self.nonces

    def _enrol(self, vkey: str, principal: str, role: str, seq: int) -> None:
        self.known[vkey] = EnrolledKey(parse_vkey(vkey), principal, role, seq)
