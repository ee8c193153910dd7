"""What lies beside the ledger, read before it: head file, signed head, checkpoints (C5, C6, C11)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from inalpha.audit.checkpoint import open_checkpoint, parse_note
from inalpha.audit.head import read_heads
from inalpha.audit.notes import NoteError, VerifierKey
from inalpha.audit.report import Report

KEPT = "the kept checkpoint"


@dataclass(slots=True)
class Home:
    """heads: (name, size, root) of the head file; signed: (name, note). roots: the tree's at their sizes."""

    report: Report
    heads: list[tuple[str, int, bytes]] = field(default_factory=list)
    signed: list[tuple[str, bytes]] = field(default_factory=list)
    path: Path | None = None
    roots: dict[int, bytes] = field(default_factory=dict)

    def sizes(self) -> set[int]:
        """Sizes at which the tree's root will be compared."""
        found = {size for _, size, _ in self.heads}
        for name, note in self.signed:
            try:
                found.add(parse_note(note).size)
            except NoteError as error:
                self.report.fail("C6", 0, f"{name} is no checkpoint: {error}")
        return found

    def keep(self, note: bytes | None) -> None:
        """The checkpoint that the auditor brings."""
        if note is not None:
            self.signed.append((KEPT, note))

    def check(
        self, size: int, origin: str, log_keys: Sequence[VerifierKey], cover: Callable[[int], None]
    ) -> None:
        """size: of the tree as read. cover: told how far the kept checkpoint reaches."""
        for name, known, root in self.heads:
            self._compare("C11", name, size, known, root)
        for name, note in self.signed:
            check = "C6" if name == KEPT else "C11" if name == "head.checkpoint" else "C5"
            try:
                checkpoint, _ = open_checkpoint(note, log_keys)
            except NoteError as error:
                self.report.fail(check, size, f"{name}: {error}")
                continue
            if checkpoint.origin != origin:
                self.report.fail(check, 0, f"{name} is of another ledger")
            elif self._compare(check, name, size, checkpoint.size, checkpoint.root) and check == "C6":
                cover(checkpoint.size)

    def beside(self) -> list[bytes]:
        """The home's own notes, without the kept one."""
        return [note for name, note in self.signed if name != KEPT]

    def _compare(self, check: str, name: str, size: int, known: int, root: bytes) -> bool:
        if known > size:
            self.report.fail(check, size, f"{name} knows {known} lines: the tail is missing")
            return False
        if known and self.roots.get(known) != root:
            self.report.fail(check, known - 1, f"{name} knows another tree of {known} lines")
            return False
        return True


def read_home(path: Path, report: Report, *, head: bool) -> Home:
    """head: whether a head file has to be there."""
    home = Home(report, path=path)
    slots = read_heads(path / "head") if head else []
    if head and not slots:
        report.fail("C11", 0, "the head file is missing or spoiled")
    home.heads = [("the head file", slot.size, slot.root) for slot in slots]
    try:
        home.signed.append(("head.checkpoint", (path / "head.checkpoint").read_bytes()))
    except OSError as error:
        report.fail("C11", 0, f"the signed head cannot be read: {error.strerror}")
    directory = path / "checkpoints"
    names = sorted(directory.iterdir()) if directory.is_dir() else []
    home.signed += [(f"checkpoint {item.name}", item.read_bytes()) for item in names if item.name.isdigit()]
    return home
