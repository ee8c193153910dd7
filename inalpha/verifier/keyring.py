"""Enrolled keys, and whether a note of theirs carries the line that it stands in."""

from __future__ import annotations

from typing import Any

from inalpha.verifier.amounts import owner_account
from inalpha.verifier.checks import Broken, Malformed, require
from inalpha.verifier.forms import GATE_SUBJECTS, PROPOSAL_SUBJECTS, TWO_PERSON
from inalpha.verifier.gates import GATE, PROPOSAL, Gate
from inalpha.verifier.line import Line
from inalpha.verifier.notes import Key


class Keys:
    """Enrolled keys and the nonces of the notes that were used."""

    def __init__(self) -> None:
        self.all: dict[str, Key] = {}
        self.log: list[Key] = []
        self.nonces: set[bytes] = set()

    def enrol(
        self, text: str, role: str, seq: int, principal: str | None, sponsor: str | None = None
    ) -> None:
        require(text not in self.all, "I17", "a key is enrolled twice")
        try:
            key = Key(text, role, seq, principal, sponsor)
        except Malformed as error:
            raise Broken("C2" if role == "log" else "C8", f"a key is malformed: {error}") from error
        self.all[text] = key

    def rotate(self, text: str, origin: str, seq: int) -> None:
        """The log's next key: same name, never used before."""
        known = {key.public for key in self.log}
        self.enrol(text, "log", seq, None)
        key = self.all[text]
        self.log.append(key)
        fresh = key.name == origin and key.public not in known
        require(fresh, "C2", "the log key has another name, or was used before")

    def of_principal(self, principal: str) -> list[Key]:
        return [key for key in self.all.values() if key.principal == principal]

    def witnesses(self) -> list[Key]:
        return [key for key in self.all.values() if key.role == "witness" and key.until is None]

    def account_of(self, principal: str) -> str | None:
        """The account that a principal's work belongs to; None for the system's."""
        kind, _, handle = principal.partition(":")
        if kind == "op":
            return owner_account(handle)
        if kind == "agent":
            found = self.of_principal(principal)
            sponsor = found[-1].sponsor if found else None
            return owner_account(sponsor.partition(":")[2]) if sponsor else None
        return None

    def check_notes(self, line: Line, root_of: Any) -> int:
        """Check the notes of a line and use up their nonces. Answers the largest base that a person signed.

        root_of(size): the tree's root at that size, or None where it is not known.
        """
        base = 0
        used: list[str] = []
        if line.gate is not None:
            gate = self._check(Gate(line.gate, GATE), line, root_of, second=False)
            used.append(gate.nonce)
            base = gate.base_size
        if line.gate2 is not None:
            require(line.kind in TWO_PERSON, "", f"GATE_SYNTAX: {line.kind} takes no second gate")
            used.append(self._check(Gate(line.gate2, GATE), line, root_of, second=True).nonce)
        if line.proposal is not None:
            used.append(self._check(Gate(line.proposal, PROPOSAL), line, root_of, second=False).nonce)
        require(len(set(used)) == len(used), "", "GATE_REPLAYED: one nonce in both notes of a line")
        self.nonces.update(bytes.fromhex(nonce) for nonce in used)
        return base

    def _check(self, gate: Gate, line: Line, root_of: Any, *, second: bool) -> Gate:
        key = self._signer(gate, line.seq)
        require(gate.log == line.log, "", f"GATE_LOG: the note is for {gate.log}")
        same = key.principal == line.actor
        require(same != second, "", f"GATE_ACTOR: signed by {key.principal}, the actor is {line.actor}")
        require(gate.action == line.kind, "", f"GATE_ACTION: signed for {gate.action}, used for {line.kind}")
        allowed = may_propose(key, line) if gate.header == PROPOSAL else may_sign(key, line)
        require(allowed, "", f"ROLE_FORBIDS: a key with the role {key.role} does not carry {line.kind}")
        require(0 < gate.exp - gate.ts <= 300_000_000, "", "GATE_LIFETIME: a note lives for at most 300 s")
        require(gate.ts <= line.ts + 5_000_000, "", "GATE_FUTURE: signed after its use")
        require(line.ts <= gate.exp, "", "GATE_EXPIRED: used after its time")
        used = bytes.fromhex(gate.nonce) in self.nonces
        require(not used, "", "GATE_REPLAYED: the note was used before")
        names = (PROPOSAL_SUBJECTS if gate.header == PROPOSAL else GATE_SUBJECTS)[line.kind]
        wanted = {name: line.data[name] for name in names}
        require(gate.subject == wanted, "", "GATE_SUBJECT: signed for something else than the line says")
        if gate.header == GATE:
            root = root_of(gate.base_size) if gate.base_size <= line.seq else b""
            require(root in (None, gate.base_root), "", "GATE_BASE: the signer saw another history")
        return gate

    def _signer(self, gate: Gate, seq: int) -> Key:
        people = [key for key in self.all.values() if key.role != "log"]
        if gate.ssh is not None:
            found = [key for key in people if key.public == gate.ssh[0]]
        else:
            found = [key for key in people if (key.name, key.id) == (gate.name, gate.key_id)]
        found = [key for key in found if key.since < seq or seq == key.since == 0]
        require(found, "", "GATE_UNKNOWN_KEY: the key was not enrolled before")
        for key in found:
            if gate.is_by(key):
                live = key.until is None or seq <= key.until
                require(live, "", f"GATE_REVOKED: the key counts through line {key.until}")
                return key
        raise Broken("", "GATE_SIGNATURE: the signature does not hold")


def is_log_enrolment(line: Line) -> bool:
    return bool(line.kind == "key.enrol" and line.data["role"] == "log")


def may_sign(key: Key, line: Line) -> bool:
    needed = line.role_needed
    if key.role == "owner":
        return needed is not None
    if key.role == "operator":
        return needed == "operator"
    is_owner_key = line.kind == "key.enrol" and line.data["role"] == "owner"
    return key.role == "recovery" and (line.kind == "key.revoke" or is_owner_key)


def may_propose(key: Key, line: Line) -> bool:
    if line.kind == "halt.set" and line.data["state"] == "KILLED":
        return False
    if line.kind == "proposal.close" and line.data["state"] != "withdrawn":
        return False
    return key.role == "proposer"


def policy_text(keys: Keys) -> str:
    """The policy that the log itself leads to: any one of its enrolled witnesses."""
    lines = [f"log {keys.log[0].text}"]
    found = sorted(keys.witnesses(), key=lambda key: key.since)
    names = [f"w{number}" for number, _ in enumerate(found, 1)]
    lines += [f"witness {name} {key.text}" for name, key in zip(names, found, strict=True)]
    if names:
        lines.append(f"group witnesses any {' '.join(names)}")
    lines.append(f"quorum {'witnesses' if names else 'none'}")
    return "\n".join(lines) + "\n"
