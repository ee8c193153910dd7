"""C7: witnesses' cosignatures, in the lines and under the auditor's own policy; how far anchors reach."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass, field

from inalpha.audit import merkle
from inalpha.audit.checkpoint import open_checkpoint
from inalpha.audit.event import Event
from inalpha.audit.notes import NoteError, VerifierKey, parse_vkey
from inalpha.audit.policy import Policy
from inalpha.audit.report import Report


@dataclass(slots=True)
class Cosigned:
    """scratch: the fold, which knows the enrolled witnesses. covered: lines below some anchor."""

    report: Report
    scratch: sqlite3.Connection
    tree: merkle.Tree
    covered: int = 0
    times: dict[str, int] = field(default_factory=dict)
    notes: list[bytes] = field(default_factory=list)

    def cover(self, size: int) -> None:
        self.covered = max(self.covered, size)

    def line(self, event: Event, seq: int, origin: str, log_keys: Sequence[VerifierKey]) -> None:
        """A `witness.cosign` line: an enrolled witness, this tree, a time that does not run back."""
        name = event.data["witness"]
        try:
            checkpoint, opened = open_checkpoint(event.data["note"].encode(), [*log_keys, *self._witnesses()])
        except (NoteError, UnicodeEncodeError) as error:
            self.report.fail("C7", seq, str(error))
            return
        seconds = opened.cosigned.get(name)
        if seconds is None or checkpoint.size != event.data["size"] or checkpoint.size > self.tree.size:
            self.report.fail("C7", seq, "the cosignature is absent or of another size")
        elif self.tree.root(checkpoint.size) != checkpoint.root or checkpoint.origin != origin:
            self.report.fail("C7", seq, "cosigned another tree")
        elif seconds < self.times.get(name, 0):
            self.report.fail("C7", seq, "the witness's time runs back")
        else:
            self.times[name] = seconds
            self.notes.append(event.data["note"].encode())
            self.cover(checkpoint.size)

    def check_policy(
        self, policy: Policy | None, beside: Sequence[bytes], log_keys: Sequence[VerifierKey]
    ) -> None:
        """By the auditor's own policy: one head that a quorum of his witnesses cosigned. beside: the home's notes."""
        if policy is None:
            return
        if not policy.is_for(log_keys):
            self.report.fail("C7", 0, "the policy is for another log")
        by_size: dict[int, set[str]] = {}
        for note in [*self.notes, *beside]:
            try:
                head, opened = open_checkpoint(note, [*log_keys, *policy.witnesses.values()])
            except NoteError:
                continue  # named by the check that the note belongs to
            if head.size <= self.tree.size and self.tree.root(head.size) == head.root:
                by_size.setdefault(head.size, set()).update(opened.cosigned)
        met = max((size for size, names in by_size.items() if policy.is_met(names)), default=0)
        self.cover(met)
        if met:
            self.report.notes["C7"] = f"quorum {policy.quorum} up to {met} lines"
        elif policy.quorum != "none":
            self.report.fail("C7", self.tree.size, f"no checkpoint carries the quorum {policy.quorum}")

    def say(self) -> None:
        if self.times and "C7" not in self.report.notes:
            self.report.notes["C7"] = f"witness cosignatures of {', '.join(sorted(self.times))}"

    def _witnesses(self) -> list[VerifierKey]:
        found = self.scratch.execute("SELECT vkey FROM key WHERE role = 'witness' AND revoked_after IS NULL")
        return [parse_vkey(vkey) for (vkey,) in found]
