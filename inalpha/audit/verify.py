"""The verifier: reads a ledger, trusts nothing stored, names the lowest bad line.

Works beside a running daemon: the head files are read first, the rest in one read transaction, so a ledger
that grows meanwhile raises no false alarm. What is absent is a failure, never a skip.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from inalpha.audit import merkle
from inalpha.audit.blobcheck import Needed, check_blobs
from inalpha.audit.checks.books import Books
from inalpha.audit.checks.clocks import check_clock
from inalpha.audit.checks.cosigned import Cosigned
from inalpha.audit.checks.home import Home, read_home
from inalpha.audit.checks.logkeys import LogKeys
from inalpha.audit.context import LedgerContext
from inalpha.audit.event import ZERO_HASH, Event, EventError, SignedEvent, is_log_enrolment, parse_entry
from inalpha.audit.fold.apply import differing_table
from inalpha.audit.fold.base import create_scratch
from inalpha.audit.gate import GateRefused, verify_gate, verify_proposal
from inalpha.audit.notes import NoteError, b64decode
from inalpha.audit.policy import Policy
from inalpha.audit.report import Report
from inalpha.audit.schema import TWO_PERSON
from inalpha.audit.signatures import signature_verifier
from inalpha.model.readonly import is_closed, read_only_uri

PAGE = 1000

Progress = Callable[[int, int], None]
# Re-executes the journal (I20): (first bad seq or None, what to say about it).
Execute = Callable[[sqlite3.Connection], tuple[int | None, str]]


@dataclass(frozen=True, slots=True)
class _Asked:
    """What the auditor brings."""

    genesis: str | None
    from_seq: int
    progress: Progress | None
    kept: bytes | None
    policy: Policy | None
    require_anchor: bool
    execute: Execute | None


def verify(
    target: Path | str | sqlite3.Connection,
    genesis: str | None = None,
    from_seq: int = 0,
    progress: Progress | None = None,
    *,
    kept: bytes | None = None,
    policy: Policy | None = None,
    require_anchor: bool = False,
    head: bool = True,
    execute: Execute | None = None,
) -> Report:
    """Check a home, or the ledger of a reader alone (then C10 and C11's head are not asked).

    genesis: the hash that the auditor kept. kept: a checkpoint note that he kept. policy: whose cosignatures count
    for him; without a quorum of theirs C7 fails. require_anchor: lines that nothing outside of this machine covers
    are a failure. head: false for a copy that has no head file of its own. from_seq: signatures and gates of earlier
    lines are taken as verified before; chain, tree and fold always run from line 0.
    """
    report = Report()
    home = Home(report)
    asked = _Asked(genesis, from_seq, progress, kept, policy, require_anchor, execute)
    if isinstance(target, sqlite3.Connection):
        return _Verifier(target, report, home, asked).run()
    home = read_home(Path(target), report, head=head)
    path = Path(target) / "ledger.db"
    if not path.exists():
        report.fail("C11", 0, "there is no ledger.db")
        return report
    reader = sqlite3.connect(read_only_uri(path), uri=True, isolation_level=None, timeout=5.0)
    try:
        reader.execute("PRAGMA query_only = ON")
        return _Verifier(reader, report, home, asked).run()
    except sqlite3.DatabaseError as error:
        if is_closed(error):
            raise
        report.fail("C3", report.size, f"the file cannot be read: {error}")
        return report
    finally:
        reader.close()


class _Verifier:
    def __init__(
        self,
        reader: sqlite3.Connection,
        report: Report,
        home: Home,
        asked: _Asked,
    ) -> None:
        self.reader, self.report, self.home = reader, report, home
        self.asked = asked
        self.scratch = create_scratch()
        self.tree = merkle.Tree(self._leaves)
        self.context = LedgerContext(self.scratch, "", self.tree)
        self.keys = LogKeys(report, asked.from_seq)
        self.cosigned = Cosigned(report, self.scratch, self.tree)
        self.books = Books(report, self.scratch)
        self.last: Event | None = None
        self.prev = ZERO_HASH
        self.ungated = 0
        self.reported: list[str] = []
        self.needed = Needed()

    def run(self) -> Report:
        report, progress = self.report, self.asked.progress
        self.home.keep(self.asked.kept)
        wanted = self.home.sizes()
        self.reader.execute("BEGIN")
        ended = False
        try:
            total = self.reader.execute("SELECT ifnull(max(seq), -1) + 1 FROM ev").fetchone()[0]
            self.keys.signatures = signature_verifier(total - self.asked.from_seq)
            for seq, entry, leaf in self._rows():
                if seq != self.tree.size:
                    report.fail("C3", self.tree.size, f"line {self.tree.size} is missing; the next is {seq}")
                    break
                self._line(seq, bytes(entry), bytes(leaf))
                if self.tree.size in wanted:
                    self.home.roots[self.tree.size] = self.tree.root()
                if progress is not None and self.tree.size % 256 == 0:
                    progress(self.tree.size, total)
            else:
                self.books.end(self.tree.size - 1)
            if self.last is None:
                report.fail("C4", 0, "there is no genesis line")
            ended = True
            for seq in self.keys.signatures.finish()[:1]:
                report.fail("C2", seq, "the signature does not hold")
            report.size, report.root = self.tree.size, self.tree.root().hex()
            self.home.check(self.tree.size, self.keys.origin, self.keys.all, self.cosigned.cover)
            self.cosigned.check_policy(self.asked.policy, self.home.beside(), self.keys.all)
            self._compare_projections()
            if self.asked.execute is not None and report.passed:
                bad, said = self.asked.execute(self.reader)
                report.notes["I20"] = said
                if bad is not None:
                    report.fail("I20", bad, said)
            elif self.asked.execute is None:
                report.notes["I20"] = "not run"
        finally:
            if not ended:
                self.keys.signatures.abandon()
            self.reader.execute("COMMIT")
        if self.home.path is not None:
            check_blobs(self.home.path, self.needed, self.books.claims, report)
        if progress is not None:
            progress(self.tree.size, self.tree.size)
        self._anchor()
        return report

    # Failures name the row's place, self.tree.size while it is judged: a forged line may claim any seq.

    def _line(self, seq: int, entry: bytes, stored: bytes) -> None:
        leaf = merkle.leaf_hash(entry)
        if leaf != stored:
            self.report.fail("C5", seq, "the stored leaf is not the hash of the line's bytes")
        try:
            signed = parse_entry(entry)
        except EventError as error:
            self.report.fail("C1", seq, str(error))
        else:
            self._event(seq, signed, leaf)
        self.tree.append(leaf)
        self.prev = leaf.hex()

    def _event(self, seq: int, signed: SignedEvent, leaf: bytes) -> None:
        event, report = signed.event, self.report
        if seq == 0:
            self.keys.genesis(event, leaf, self.asked.genesis)
            self.context.origin = self.keys.origin
        if is_log_enrolment(event):
            self.keys.rotate(event.data["vkey"], seq)
        self.keys.check(seq, signed)
        if event.seq != seq or event.prev != self.prev or event.log != self.context.origin:
            report.fail("C3", seq, "seq, prev or log does not continue the chain")
        self._epoch(event)
        check_clock(report, seq, event, self.last)
        before = self.books.limits_of(event)
        if seq == 0:
            # The genesis enrols the key that signs its own gate.
            self.books.add(event, [], 0)
            self.books.use_up(self._notes(event))
        else:
            self.books.add(event, self._notes(event), seq)
        if event.kind == "key.rotate":
            self.keys.rotate(event.data["vkey"], seq)
        elif event.kind == "key.revoke":
            self.keys.revoked[event.data["vkey"]] = event.data["valid_through_seq"]
        elif event.kind == "witness.cosign":
            self.cosigned.line(event, seq, self.keys.origin, self.keys.all)
        elif event.kind in ("rollback.accept", "clock.step", "policy.opt_out"):
            self.reported.append(f"{event.kind} at {seq}")
        if event.kind == "rollback.accept" and not self._is_of_this_tree(event):
            report.fail("I18", seq, "the accepted rollback is to another tree than this")
        self.books.claim(event, before, seq)
        if event.actor.startswith("op:") and event.gate is None:
            self.ungated += 1
        self.needed.collect(event)
        self.last = event

    def _epoch(self, event: Event) -> None:
        before = self.last.epoch if self.last is not None else 0
        if event.epoch != before + (event.kind == "epoch.open"):
            self.report.fail("C3", self.tree.size, f"epoch {event.epoch} after {before}")

    def _notes(self, event: Event) -> list[str]:
        nonces: list[str] = []
        try:
            if event.gate is not None:
                parsed = verify_gate(event.gate, event, self.context)
                nonces.append(parsed.nonce)
                self.cosigned.cover(parsed.base_size or 0)
            if event.gate2 is not None:
                if event.kind not in TWO_PERSON:
                    raise GateRefused("GATE_SYNTAX", f"{event.kind} takes no second gate")
                nonces.append(verify_gate(event.gate2, event, self.context, second=True).nonce)
        except GateRefused as refused:
            self.report.fail("C8", self.tree.size, f"{refused.code}: {refused.message}")
        if event.proposal is not None:
            try:
                nonces.append(verify_proposal(event.proposal, event, self.context).nonce)
            except GateRefused as refused:
                self.report.fail("C9", self.tree.size, f"{refused.code}: {refused.message}")
        # A nonce that is used twice inside one line would break the fold's table instead of its check.
        return list(dict.fromkeys(nonces)) if self.books.folding else []

    def _is_of_this_tree(self, event: Event) -> bool:
        """A rollback goes to a tree that this log holds; it comes from a longer one, or another of that size."""
        data = event.data
        if data["to_size"] > self.tree.size or data["from_size"] < data["to_size"]:
            return False
        try:
            root = b64decode(data["to_root"])
        except NoteError:
            return False
        return root == self.tree.root(data["to_size"]) and data["from_root"] != data["to_root"]

    def _compare_projections(self) -> None:
        if not self.books.folding or self.last is None or not self.report.passed:
            return
        bare = self.reader.execute("SELECT 1 FROM sqlite_schema WHERE name = 'account'").fetchone() is None
        if bare and self.home.path is None:
            return
        table = differing_table(self.reader, self.scratch)
        if table is not None:
            self.report.fail("C11", self.tree.size - 1, f"table {table} is not what the lines add up to")

    def _anchor(self) -> None:
        report = self.report
        if self.ungated:
            report.notes["C8"] = f"gates; {self.ungated} lines of people rest on the daemon's word"
        if self.reported:
            report.notes["I18"] = "clocks; " + ", ".join(self.reported[:20])
        self.cosigned.say()
        covered = self.cosigned.covered
        if covered < report.size:
            report.unanchored_since = covered
            found = self.reader.execute("SELECT entry FROM ev WHERE seq = ?", (covered,)).fetchone()
            try:
                report.unanchored_ts = parse_entry(bytes(found[0])).event.ts if found else None
            except EventError:
                report.unanchored_ts = None
            if self.asked.require_anchor and report.passed:
                report.fail("C7", covered, "nothing outside of the log's machine covers this line")

    def _rows(self) -> Iterator[tuple[int, bytes, bytes]]:
        at = -1
        while True:
            page = self.reader.execute(
                "SELECT seq, entry, leaf FROM ev WHERE seq > ? ORDER BY seq LIMIT ?", (at, PAGE)
            ).fetchall()
            yield from page
            if len(page) < PAGE:
                return
            at = page[-1][0]

    def _leaves(self, start: int, end: int) -> list[bytes]:
        found = self.reader.execute(
            "SELECT leaf FROM ev WHERE seq >= ? AND seq < ? ORDER BY seq", (start, end)
        )
        return [bytes(leaf) for (leaf,) in found]
