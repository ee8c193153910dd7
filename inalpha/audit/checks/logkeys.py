"""C2 and C4: the log's keys, from the genesis from rotation to rotation, and the signature of each line."""

from __future__ import annotations

from dataclasses import dataclass, field

from inalpha.audit.event import Event, SignedEvent
from inalpha.audit.notes import NoteError, VerifierKey, parse_vkey
from inalpha.audit.report import Report
from inalpha.audit.signatures import InlineVerifier, ProcessVerifier


@dataclass(slots=True)
class LogKeys:
    """from_seq: signatures of earlier lines are taken as verified before."""

    report: Report
    from_seq: int
    signatures: InlineVerifier | ProcessVerifier = field(default_factory=InlineVerifier)
    origin: str = ""
    current: VerifierKey | None = None
    all: list[VerifierKey] = field(default_factory=list)
    revoked: dict[str, int] = field(default_factory=dict)

    def genesis(self, event: Event, leaf: bytes, wanted: str | None) -> None:
        """wanted: the genesis hash that the auditor kept, if he has one."""
        self.report.genesis = leaf.hex()
        if event.kind != "ledger.genesis":
            self.report.fail("C4", 0, "line 0 is no genesis")
            return
        self.origin = event.data["origin"]
        self.rotate(event.data["log_vkey"], 0)
        if wanted is None:
            self.report.notes["C4"] = f"genesis {leaf.hex()}; compare it with the one that you kept"
        elif wanted.lower() != leaf.hex():
            self.report.fail("C4", 0, f"the genesis hash is {leaf.hex()}")

    def rotate(self, text: str, seq: int) -> None:
        """The log's next key: same name, never used before."""
        try:
            key = parse_vkey(text)
        except NoteError as error:
            self.report.fail("C2", seq, f"the log key is malformed: {error}")
            return
        if key.name != self.origin or key.public in {known.public for known in self.all}:
            self.report.fail("C2", seq, "the log key has another name, or was used before")
        self.current = key
        self.all.append(key)

    def check(self, seq: int, signed: SignedEvent) -> None:
        key = self.current
        if key is None or (signed.name, signed.key_id) != (key.name, key.id):
            self.report.fail("C2", seq, "not signed by the log key that is current here")
        elif key.text in self.revoked and seq > self.revoked[key.text]:
            self.report.fail("C2", seq, f"the log key was revoked after line {self.revoked[key.text]}")
        elif seq >= self.from_seq:
            self.signatures.add(seq, key.public, signed.text, signed.signature)
