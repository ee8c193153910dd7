"""One line: its bytes, its members, and whether it may carry the notes that it carries."""

from __future__ import annotations

import re
from typing import Any

from inalpha.verifier.canonical import read_json
from inalpha.verifier.checks import Malformed
from inalpha.verifier.forms import KINDS, PROPOSAL_SUBJECTS, fits, fits_form, role_for
from inalpha.verifier.notes import split_note
from inalpha.verifier.tree import leaf_of

EVENT = b"inalpha.audit/event/v1\n"
MEMBERS = {"actor", "boot", "data", "epoch", "kind", "log", "mono", "prev", "seq", "ts", "v"}
NOTES = {"gate", "gate2", "proposal"}
BOOT_FORM = re.compile("[0-9a-f]{16}")
MAX_ENTRY = 65_535


class Line:
    """A parsed entry; the signature is not checked yet."""

    __slots__ = ("actor", "boot", "data", "epoch", "gate", "gate2", "key_id", "kind", "leaf", "log", "mono", "name",
                 "prev", "proposal", "seq", "signature", "text", "ts")  # fmt: skip

    def __init__(self, entry: bytes) -> None:
        parts = entry.split(b"\n")
        if len(entry) > MAX_ENTRY or len(parts) != 5 or parts[2] or parts[4] or not entry.startswith(EVENT):
            raise Malformed("not header, JSON, blank line and one signature")
        self.text, signatures = split_note(entry)
        if len(signatures) != 1 or len(signatures[0][2]) != 64:
            raise Malformed("not exactly one Ed25519 signature")
        self.name, self.key_id, self.signature = signatures[0]
        members = read_json(parts[1])
        if type(members) is not dict or not MEMBERS <= members.keys() <= MEMBERS | NOTES:
            raise Malformed("other members")
        self._take(members)
        self.leaf = leaf_of(entry)

    def _take(self, members: dict[str, Any]) -> None:
        self.gate: str | None = members.get("gate")
        self.gate2: str | None = members.get("gate2")
        self.proposal: str | None = members.get("proposal")
        self.log, self.kind, self.actor, self.data = (members[n] for n in ("log", "kind", "actor", "data"))
        self.seq, self.epoch, self.ts, self.mono = (members[n] for n in ("seq", "epoch", "ts", "mono"))
        self.prev, self.boot = members["prev"], members["boot"]
        counts = all(fits("", "int", members[name]) for name in ("seq", "epoch", "ts", "mono"))
        notes = all(type(members[name]) is str for name in members.keys() & NOTES)
        if not (counts and notes and members["v"] == 1 and type(members["v"]) is int):
            raise Malformed("a member of another type")
        if not (fits("", "sha256", self.prev) and type(self.boot) is str and BOOT_FORM.fullmatch(self.boot)):
            raise Malformed("prev or boot of another form")
        if type(self.log) is not str or type(self.kind) is not str or self.kind not in KINDS:
            raise Malformed(f"the kind {self.kind!r} is not on the list")
        if not fits_form(self.kind, self.data) or not fits("", "principal", self.actor):
            raise Malformed(f"{self.kind}: other members or types than on the list")
        if (self.role_needed is not None) != (self.gate is not None) or (self.gate2 and not self.gate):
            raise Malformed(f"{self.kind} by {self.actor}: a gate is missing or out of place")
        if self.actor.startswith("agent:") != (self.proposal is not None):
            raise Malformed("a proposal note is missing or out of place")
        if self.proposal is not None and self.kind not in PROPOSAL_SUBJECTS:
            raise Malformed(f"an agent cannot write {self.kind}")

    @property
    def role_needed(self) -> str | None:
        return role_for(self.kind, self.actor, self.data)
