"""The door for a home: the ledger as it lies there, and head file, checkpoints and blobs beside it.

The head files are read before the lines, and the lines in one read transaction, so a ledger that grows meanwhile
raises no false alarm. What needs the program that wrote the log comes from outside: its tables folded again (C11) and
its strategies executed again (I20).
"""

from __future__ import annotations

import hashlib
import hmac
import re
import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from inalpha.verifier.checkpoints import Checkpoint, Policy, checkpoint_body
from inalpha.verifier.checks import CHECKS, Malformed
from inalpha.verifier.judge import Judge
from inalpha.verifier.ledgertree import LedgerTree
from inalpha.verifier.line import Line
from inalpha.verifier.notes import Key, split_note
from inalpha.verifier.signatures import InlineVerifier, ProcessVerifier, signature_verifier
from inalpha.verifier.tree import leaf_of

_OWN = {
    "C1": "form and canonical bytes of every line",
    "C5": "tree root at every checkpoint",
    "C6": "consistency with kept checkpoints",
    "I13": "cash, positions and fees",
}
# After which check of an export those of a home come.
_MORE = {"C10": ("C11", "head file and projections"), "I19": ("I20", "re-execution of the journal")}

PAGE = 1000
SLOT = 512
HEAD_FORM = re.compile(rb"(inalpha\.head/v1 (0|[1-9][0-9]{0,15}) ([0-9a-f]{64})) ([0-9a-f]{16})\n\x00*")
KEPT = "the kept checkpoint"

Progress = Callable[[int, int], None]
# The writer's tables folded again (C11): the first line it would not have taken, or None, and what to say of it.
Refold = Callable[[sqlite3.Connection], tuple[int | None, str] | None]
# The journal executed again (I20): (first bad line or None, what to say about it).
Execute = Callable[[sqlite3.Connection], tuple[int | None, str]]


def _titles() -> dict[str, str]:
    found: dict[str, str] = {}
    for name, title in CHECKS.items():
        found[name] = _OWN.get(name, title)
        if name in _MORE:
            found[_MORE[name][0]] = _MORE[name][1]
    return found


HOME_CHECKS = _titles()


@dataclass(frozen=True, slots=True)
class Asked:
    """What the auditor brings. genesis: the hash that he kept, if he has one. from_seq: signatures of earlier lines are
    taken as verified before. kept: a checkpoint note. refold, execute: None where that is not asked for."""

    genesis: str | None = None
    from_seq: int = 0
    progress: Progress | None = None
    kept: bytes | None = None
    policy: Policy | None = None
    require_anchor: bool = False
    refold: Refold | None = None
    execute: Execute | None = None


@dataclass(slots=True)
class Beside:
    """What lies beside the ledger. heads: (size, root) of the head file. signed: (name, note)."""

    heads: list[tuple[int, bytes]] = field(default_factory=list)
    signed: list[tuple[str, bytes]] = field(default_factory=list)
    failures: list[tuple[str, int, str]] = field(default_factory=list)


def read_beside(home: Path, *, head: bool) -> Beside:
    """head: whether a head file has to be there."""
    found = Beside()
    if head:
        found.heads = read_heads(home / "head")
        if not found.heads:
            found.failures.append(("C11", 0, "the head file is missing or spoiled"))
    try:
        found.signed.append(("head.checkpoint", (home / "head.checkpoint").read_bytes()))
    except OSError as error:
        found.failures.append(("C11", 0, f"the signed head cannot be read: {error.strerror}"))
    folder = home / "checkpoints"
    names = sorted(folder.iterdir()) if folder.is_dir() else []
    found.signed += [(f"checkpoint {item.name}", item.read_bytes()) for item in names if item.name.isdigit()]
    return found


def read_heads(path: Path) -> list[tuple[int, bytes]]:
    """(size, root) of the slots that are whole, longest first."""
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return []
    found = []
    for at in (0, SLOT):
        slot = HEAD_FORM.fullmatch(data[at : at + SLOT])
        if slot is not None and hashlib.sha256(slot[1]).hexdigest()[:16].encode() == slot[4]:
            found.append((int(slot[2]), bytes.fromhex(slot[3].decode())))
    return sorted(found, reverse=True)


def stored(entry: Any) -> bytes:
    """A row's bytes; what is of another type is no line."""
    return entry if type(entry) is bytes else b""


class HomeJudge(Judge):
    """One pass over the rows of a ledger, then what lies beside them.

    is_home: a home and not a reader's ledger alone; then head, tables and blobs have to be there.
    """

    def __init__(self, reader: sqlite3.Connection, beside: Beside, asked: Asked, *, is_home: bool) -> None:
        super().__init__(asked.genesis.lower() if asked.genesis else "")
        self.reader, self.beside, self.asked, self.is_home = reader, beside, asked, is_home
        self.tree = LedgerTree(self._entries)
        self.signatures: InlineVerifier | ProcessVerifier = InlineVerifier()
        self.cosigned_notes: list[bytes] = []
        self.unanchored_ts: int | None = None
        for failure in beside.failures:
            self.fail(*failure)

    def run(self) -> None:
        """Judge the ledger and what is beside it; blobs come after."""
        if self.asked.kept is not None:
            self.beside.signed.append((KEPT, self.asked.kept))
        self._look_at_notes()
        self.reader.execute("BEGIN")
        ended = False
        try:
            self._lines()
            ended = True
            for seq in self.signatures.finish()[:1]:
                self.fail("C2", seq, "the signature does not hold")
            self._heads()
            self._signed()
            self._policy()
            self._writer()
        finally:
            if not ended:
                self.signatures.abandon()
            self.reader.execute("COMMIT")

    def _lines(self) -> None:
        progress = self.asked.progress
        total = self.reader.execute("SELECT ifnull(max(seq), -1) + 1 FROM ev").fetchone()[0]
        self.signatures = signature_verifier(total - self.asked.from_seq)
        for seq, entry, leaf in self._rows():
            if seq != self.tree.size:
                self.fail("C3", self.tree.size, f"line {self.tree.size} is missing; the next is {seq}")
                break
            if leaf != leaf_of(stored(entry)):
                self.fail("C5", seq, "the stored leaf is not the hash of the line's bytes")
            self._entry(stored(entry))
            if progress is not None and self.tree.size % 256 == 0:
                progress(self.tree.size, total)
        else:
            self._ended()
        if self.last is None:
            self.fail("C4", 0, "there is no genesis line")

    def _rows(self) -> Iterator[tuple[int, Any, Any]]:
        at = -1
        while True:
            page = self.reader.execute(
                "SELECT seq, entry, leaf FROM ev WHERE seq > ? ORDER BY seq LIMIT ?", (at, PAGE)
            ).fetchall()
            yield from page
            if len(page) < PAGE:
                return
            at = page[-1][0]

    def _entries(self, start: int, end: int) -> list[bytes]:
        found = self.reader.execute(
            "SELECT entry FROM ev WHERE seq >= ? AND seq < ? ORDER BY seq", (start, end)
        )
        return [stored(entry) for (entry,) in found]

    def _genesis(self, leaf: str) -> None:
        if self.asked.genesis is None:
            self.genesis = leaf
            self.notes["C4"] = f"genesis {leaf}; compare it with the one that you kept"
        super()._genesis(leaf)
        self.genesis = leaf

    def _verify(self, seq: int, key: Key, line: Line) -> None:
        if seq >= self.asked.from_seq:
            self.signatures.add(seq, key.public, line.text, line.signature)

    def _cosign(self, line: Line) -> None:
        known = len(self.cosign_lines)
        super()._cosign(line)
        if len(self.cosign_lines) > known:
            self.cosigned_notes.append(line.data["note"].encode())
            self._cover(line.data["size"], "a witness")

    def _look_at_notes(self) -> None:
        for name, note in self.beside.signed:
            try:
                checkpoint_body(split_note(note)[0])
            except Malformed as error:
                self.fail("C6", 0, f"{name} is no checkpoint: {error}")

    def _heads(self) -> None:
        for size, root in self.beside.heads:
            self._compare("C11", "the head file", size, root)

    def _signed(self) -> None:
        for name, note in self.beside.signed:
            check = "C6" if name == KEPT else "C11" if name == "head.checkpoint" else "C5"
            try:
                found = Checkpoint(note, self.books.keys.log, [])
            except Malformed as error:
                self.fail(check, self.tree.size, f"{name}: {error}")
                continue
            if found.origin != self.books.origin:
                self.fail(check, 0, f"{name} is of another ledger")
            elif self._compare(check, name, found.size, found.root) and check == "C6":
                self._cover(found.size, KEPT)

    def _compare(self, check: str, name: str, known: int, root: bytes) -> bool:
        if known > self.tree.size:
            self.fail(check, self.tree.size, f"{name} knows {known} lines: the tail is missing")
            return False
        if known and self.tree.root(known) != root:
            self.fail(check, known - 1, f"{name} knows another tree of {known} lines")
            return False
        return True

    def _policy(self) -> None:
        """By the auditor's own policy: one head that a quorum of his witnesses cosigned."""
        policy, keys = self.asked.policy, self.books.keys.log
        if policy is None:
            return
        if not any(key.text == log.text for key in policy.logs for log in keys):
            self.fail("C7", 0, "the policy is for another log")
        by_size: dict[int, dict[str, int]] = {}
        own = [note for name, note in self.beside.signed if name != KEPT]
        for note in [*self.cosigned_notes, *own]:
            try:
                found = Checkpoint(note, keys, list(policy.witnesses.values()))
            except Malformed:
                continue  # named by the check that the note belongs to
            if found.size <= self.tree.size and self.tree.root(found.size) == found.root:
                by_size.setdefault(found.size, {}).update(found.cosigned)
        met = max((size for size, by in by_size.items() if policy.is_met(by)), default=0)
        self._cover(met, "cosignatures under the policy")
        if met:
            self.notes["C7"] = f"quorum {policy.quorum} up to {met} lines"
        elif policy.quorum != "none":
            self.fail("C7", self.tree.size, f"no checkpoint carries the quorum {policy.quorum}")

    def _writer(self) -> None:
        """What the writer's own code says of the lines, once everything else holds."""
        asked = self.asked
        if asked.refold is not None and not self.failures and (self.is_home or self._has_tables()):
            found = asked.refold(self.reader)
            if found is not None:
                self.fail("C11", self.tree.size - 1 if found[0] is None else found[0], found[1])
        if asked.execute is None:
            self.notes["I20"] = "not run"
        elif not self.failures:
            bad, said = asked.execute(self.reader)
            self.notes["I20"] = said
            if bad is not None:
                self.fail("I20", bad, said)

    def _has_tables(self) -> bool:
        found = self.reader.execute("SELECT 1 FROM sqlite_schema WHERE name = 'account'").fetchone()
        return found is not None

    def check_blobs(self, blobs: sqlite3.Connection) -> None:
        """Every hash and commitment anew; absent ones fail, erased ones are counted. Then what rests on them."""
        wanted = {rules for _, rules in self.one_gate}
        wanted.update(name for _, new, old in self.tightened for name in (new, old))
        seen = set()
        for name, kind, salt, data in blobs.execute("SELECT name, kind, salt, data FROM blob"):
            if kind == "text":
                computed = hmac.new(salt or b"", data, hashlib.sha256).hexdigest()
            else:
                computed = hashlib.sha256(data).hexdigest()
            if computed != name:
                seq = self.files.get(name, self.commits.get(name, 0))
                self.fail("C10", seq, f"blob {name[:16]}… holds other bytes")
            seen.add(name)
            if name in wanted:
                self.rules[name] = bytes(data)
        self._rule_files()
        for needed in (self.files, self.commits):
            for name, seq in needed.items():
                if name not in seen and name not in self.erased:
                    self.fail("C10", seq, f"blob {name[:16]}… is missing")
        if self.erased:
            self.notes["C10"] = f"blobs and commitments; {len(self.erased)} texts were erased by signature"

    def conclude(self) -> None:
        """How far anchors reach, and what the auditor should be told."""
        self._say()
        if self.last_cosigned and "C7" not in self.notes:
            self.notes["C7"] = f"witness cosignatures of {', '.join(sorted(self.last_cosigned))}"
        if self.covered >= self.tree.size:
            return
        found = self.reader.execute("SELECT entry FROM ev WHERE seq = ?", (self.covered,)).fetchone()
        try:
            self.unanchored_ts = Line(bytes(found[0])).ts if found else None
        except Malformed:
            self.unanchored_ts = None
        if self.asked.require_anchor and not self.failures:
            self.fail("C7", self.covered, "nothing outside of the log's machine covers this line")
