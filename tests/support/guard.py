"""The writer's own code over a whole log: what its forms, gates and fold say of each line.

It shares nothing with inalpha.verifier, so where both name the same line and check, two implementations agree.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

from inalpha.audit import merkle
from inalpha.audit.checkpoint import open_checkpoint
from inalpha.audit.context import LedgerContext
from inalpha.audit.event import ZERO_HASH, Event, EventError, SignedEvent, is_log_enrolment, parse_entry
from inalpha.audit.fold.apply import apply
from inalpha.audit.fold.base import Violation, create_scratch, get, row
from inalpha.audit.gate import GateRefused, verify_gate, verify_proposal
from inalpha.audit.notes import NoteError, VerifierKey, b64decode, parse_vkey, verify_ed25519
from inalpha.audit.report import Report
from inalpha.audit.schema import TWO_PERSON

GRACE_US, DRIFT_US = 60_000_000, 1_000_000
OPEN_PLAN = (
    "SELECT p.plan FROM plan p JOIN run r ON r.run = p.run WHERE p.state = 'pending' AND p.expires < ?"
    " AND r.state IN ('starting','running','parked') ORDER BY p.created_seq LIMIT 1"
)


def by_guard(entries: Sequence[bytes]) -> Report:
    """The failures of a log, each at its first line."""
    guard = Guard(entries)
    try:
        return guard.run()
    finally:
        guard.scratch.close()


class Guard:
    """One pass over the lines. folding: false after the first line that the fold refuses."""

    def __init__(self, entries: Sequence[bytes]) -> None:
        self.entries, self.report = entries, Report()
        self.hashes = [merkle.leaf_hash(entry) for entry in entries]
        self.tree = merkle.Tree(lambda start, end: self.hashes[start:end])
        self.scratch: sqlite3.Connection = create_scratch()
        self.context = LedgerContext(self.scratch, "", self.tree)
        self.folding = True
        self.current: VerifierKey | None = None
        self.log_keys: list[VerifierKey] = []
        self.revoked: dict[str, int] = {}
        self.last: Event | None = None
        self.prev = ZERO_HASH
        self.approved: str | None = None
        self.awake = 0
        self.cosigned: dict[str, int] = {}

    def run(self) -> Report:
        for seq, (entry, leaf) in enumerate(zip(self.entries, self.hashes, strict=True)):
            try:
                signed = parse_entry(entry)
            except EventError as error:
                self.report.fail("C1", seq, str(error))
            else:
                self._line(seq, signed)
            self.tree.append(leaf)
            self.prev = leaf.hex()
        self._end(len(self.entries) - 1)
        return self.report

    def _line(self, seq: int, signed: SignedEvent) -> None:
        event, report = signed.event, self.report
        if seq == 0 and event.kind == "ledger.genesis":
            self.context.origin = event.data["origin"]
            self._rotate(event.data["log_vkey"], 0)
        elif seq == 0:
            report.fail("C4", 0, "line 0 is no genesis")
        if is_log_enrolment(event):
            self._rotate(event.data["vkey"], seq)
        self._signature(seq, signed)
        if event.seq != seq or event.prev != self.prev or event.log != self.context.origin:
            report.fail("C3", seq, "seq, prev or log does not continue the chain")
        before = self.last.epoch if self.last is not None else 0
        if event.epoch != before + (event.kind == "epoch.open"):
            report.fail("C3", seq, f"epoch {event.epoch} after {before}")
        self._clock(seq, event)
        if seq == 0:
            # The genesis enrols the key that signs its own gate.
            self._fold(event, [], 0)
            nonces = [(nonce,) for nonce in self._notes(event)]
            self.scratch.executemany("INSERT INTO nonce VALUES (?, 0)", nonces)
        else:
            self._fold(event, self._notes(event), seq)
        self._after(seq, event)
        self.last = event

    def _after(self, seq: int, event: Event) -> None:
        if event.kind == "key.rotate":
            self._rotate(event.data["vkey"], seq)
        elif event.kind == "key.revoke":
            self.revoked[event.data["vkey"]] = event.data["valid_through_seq"]
        elif event.kind == "witness.cosign":
            self._cosign(seq, event)
        elif event.kind == "rollback.accept" and not self._is_of_this_tree(event):
            self.report.fail("I18", seq, "the accepted rollback is to another tree than this")

    def _rotate(self, text: str, seq: int) -> None:
        try:
            key = parse_vkey(text)
        except NoteError as error:
            self.report.fail("C2", seq, f"the log key is malformed: {error}")
            return
        if key.name != self.context.origin or key.public in {known.public for known in self.log_keys}:
            self.report.fail("C2", seq, "the log key has another name, or was used before")
        self.current = key
        self.log_keys.append(key)

    def _signature(self, seq: int, signed: SignedEvent) -> None:
        key = self.current
        if key is None or (signed.name, signed.key_id) != (key.name, key.id):
            self.report.fail("C2", seq, "not signed by the log key that is current here")
        elif key.text in self.revoked and seq > self.revoked[key.text]:
            self.report.fail("C2", seq, f"the log key was revoked after line {self.revoked[key.text]}")
        elif not verify_ed25519(key.public, signed.text, signed.signature):
            self.report.fail("C2", seq, "the signature does not hold")

    def _clock(self, seq: int, event: Event) -> None:
        last = self.last
        paused = last is None or event.ts - last.ts > GRACE_US
        if paused or event.kind in ("epoch.open", "clock.step", "recovery", "run.isolated"):
            self.awake = event.ts
        if last is None:
            return
        if event.ts < last.ts:
            self.report.fail("I18", seq, "the time runs back")
        if event.boot == last.boot:
            elapsed = event.mono - last.mono
            told = event.kind == "clock.step" or is_log_enrolment(event)
            if elapsed <= 0 or (not told and abs(event.ts - last.ts - elapsed) > DRIFT_US):
                self.report.fail("I18", seq, "the clocks part")

    def _notes(self, event: Event) -> list[str]:
        nonces: list[str] = []
        seq = self.tree.size
        try:
            if event.gate is not None:
                nonces.append(verify_gate(event.gate, event, self.context).nonce)
            if event.gate2 is not None:
                if event.kind not in TWO_PERSON:
                    raise GateRefused("GATE_SYNTAX", f"{event.kind} takes no second gate")
                nonces.append(verify_gate(event.gate2, event, self.context, second=True).nonce)
        except GateRefused as refused:
            self.report.fail("C8", seq, f"{refused.code}: {refused.message}")
        if event.proposal is not None:
            try:
                nonces.append(verify_proposal(event.proposal, event, self.context).nonce)
            except GateRefused as refused:
                self.report.fail("C9", seq, f"{refused.code}: {refused.message}")
        # A nonce that is used twice inside one line would break the fold's table instead of its check.
        return list(dict.fromkeys(nonces)) if self.folding else []

    def _fold(self, event: Event, nonces: Sequence[str], seq: int) -> None:
        waiting = self.approved
        self.approved = str(event.data["plan"]) if event.kind == "plan.approve" else None
        try:
            if waiting is not None and not (event.kind == "plan.execute" and event.data["plan"] == waiting):
                raise Violation("I2", f"{waiting} was approved and the next line does not execute it")
            apply(self.scratch, event, nonces)
        except Violation as violation:
            self._violated(violation.check, violation.reason, seq)

    def _violated(self, check: str, reason: str, seq: int) -> None:
        if self.folding:
            self.report.fail(check, seq, reason)
        self.folding = False

    def _cosign(self, seq: int, event: Event) -> None:
        name, size = event.data["witness"], event.data["size"]
        rows = self.scratch.execute("SELECT vkey FROM key WHERE role = 'witness' AND revoked_after IS NULL")
        known = [*self.log_keys, *(parse_vkey(vkey) for (vkey,) in rows)]
        try:
            checkpoint, opened = open_checkpoint(event.data["note"].encode(), known)
        except (NoteError, UnicodeEncodeError) as error:
            self.report.fail("C7", seq, str(error))
            return
        seconds = opened.cosigned.get(name)
        if seconds is None or checkpoint.size != size or checkpoint.size > self.tree.size:
            self.report.fail("C7", seq, "the cosignature is absent or of another size")
        elif self.tree.root(size) != checkpoint.root or checkpoint.origin != self.context.origin:
            self.report.fail("C7", seq, "cosigned another tree")
        elif seconds < self.cosigned.get(name, 0):
            self.report.fail("C7", seq, "the witness's time runs back")
        else:
            self.cosigned[name] = seconds

    def _is_of_this_tree(self, event: Event) -> bool:
        data = event.data
        if data["to_size"] > self.tree.size or data["from_size"] < data["to_size"]:
            return False
        try:
            root = b64decode(data["to_root"])
        except NoteError:
            return False
        return root == self.tree.root(data["to_size"]) and data["from_root"] != data["to_root"]

    def _end(self, seq: int) -> None:
        """Lines end where a transaction ended: nothing approved at rest, every intent decided."""
        if self.approved is not None:
            self._violated("I2", f"{self.approved} was approved and never executed", seq)
        found = row(self.scratch, "SELECT run, awaited FROM run WHERE awaited > 0")
        if found is not None:
            self._violated("I11", f"{found[0]}: {found[1]} intents of its last bar have no decision", seq)
        ts = self.last.ts if self.last is not None else 0
        late = row(self.scratch, OPEN_PLAN, ts - GRACE_US) if ts - self.awake > GRACE_US else None
        if late is not None:
            self._violated("I15", f"{late[0]} expired long ago and is still open", seq)
        if get(self.scratch, "recovering") == "1":
            self._violated("I16", "no recovery line follows the unclosed epoch", seq)
