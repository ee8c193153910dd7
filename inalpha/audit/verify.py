"""The verifier: reads a ledger, trusts nothing stored, names the lowest bad line.

Works beside a running daemon: the head files are read first, the rest in one read transaction, so a ledger
that grows meanwhile raises no false alarm. What is absent is a failure, never a skip.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from inalpha.audit import merkle
from inalpha.audit.blobcheck import Needed, check_blobs
from inalpha.audit.checkpoint import open_checkpoint, parse_note
from inalpha.audit.context import LedgerContext
from inalpha.audit.event import ZERO_HASH, Event, EventError, SignedEvent, is_log_enrolment, parse_entry
from inalpha.audit.fold.apply import apply, differing_table
from inalpha.audit.fold.base import Violation, create_scratch, get, row
from inalpha.audit.gate import GateRefused, verify_gate, verify_proposal
from inalpha.audit.head import read_heads
from inalpha.audit.notes import NoteError, VerifierKey, b64decode, parse_vkey
from inalpha.audit.policy import Policy
from inalpha.audit.report import Report
from inalpha.audit.rulebook import Claims
from inalpha.audit.schema import TWO_PERSON
from inalpha.audit.signatures import InlineVerifier, ProcessVerifier, signature_verifier

MAX_DRIFT_US = 1_000_000
PAGE = 1000
# The daemon looks for expired plans four times a second; a minute leaves room for a busy machine.
EXPIRY_GRACE_US = 60_000_000
OPEN_PLAN = (
    "SELECT p.plan FROM plan p JOIN run r ON r.run = p.run WHERE p.state = 'pending' AND p.expires < ?"
    " AND r.state IN ('starting','running','parked') ORDER BY p.created_seq LIMIT 1"
)

Progress = Callable[[int, int], None]
# Re-executes the journal (I20): (first bad seq or None, what to say about it).
Execute = Callable[[sqlite3.Connection], tuple[int | None, str]]


@dataclass(slots=True)
class Awake:
    """Since when the daemon has been writing without a pause: only then it had the time to expire a plan."""

    since: int = 0
    last: int = 0

    def hear(self, event: Event) -> None:
        paused = event.ts - self.last > EXPIRY_GRACE_US
        if paused or event.kind in ("epoch.open", "clock.step", "recovery", "run.isolated"):
            self.since = event.ts
        self.last = event.ts

    def overdue(self, ts: int) -> int | None:
        """Plans that expired before this moment have to be closed; None right after a pause."""
        return ts - EXPIRY_GRACE_US if ts - self.since > EXPIRY_GRACE_US else None


@dataclass(slots=True)
class _Home:
    """What lies beside the ledger, read before it."""

    heads: list[tuple[str, int, bytes]] = field(default_factory=list)
    signed: list[tuple[str, bytes]] = field(default_factory=list)
    path: Path | None = None


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
    home = _Home()
    asked = _Asked(genesis, from_seq, progress, kept, policy, require_anchor, execute)
    if isinstance(target, sqlite3.Connection):
        return _Verifier(target, report, home, asked).run()
    home = _read_home(Path(target), report, head=head)
    path = Path(target) / "ledger.db"
    if not path.exists():
        report.fail("C11", 0, "there is no ledger.db")
        return report
    reader = sqlite3.connect(
        f"{path.resolve().as_uri()}?mode=ro", uri=True, isolation_level=None, timeout=5.0
    )
    try:
        reader.execute("PRAGMA query_only = ON")
        return _Verifier(reader, report, home, asked).run()
    except sqlite3.DatabaseError as error:
        report.fail("C3", report.size, f"the file cannot be read: {error}")
        return report
    finally:
        reader.close()


class _Verifier:
    def __init__(
        self,
        reader: sqlite3.Connection,
        report: Report,
        home: _Home,
        asked: _Asked,
    ) -> None:
        self.reader, self.report, self.home = reader, report, home
        self.wanted_genesis, self.from_seq, self.progress = asked.genesis, asked.from_seq, asked.progress
        self.execute, self.policy, self.require_anchor = asked.execute, asked.policy, asked.require_anchor
        self.scratch = create_scratch()
        self.tree = merkle.Tree(self._leaves)
        self.context = LedgerContext(self.scratch, "", self.tree)
        self.signatures: InlineVerifier | ProcessVerifier = InlineVerifier()
        self.log_key: VerifierKey | None = None
        self.log_keys: list[VerifierKey] = []
        self.revoked: dict[str, int] = {}
        self.last: Event | None = None
        self.prev = ZERO_HASH
        self.folding = True
        self.approved: str | None = None
        self.covered = 0
        self.cosigned: dict[str, int] = {}
        self.ungated = 0
        self.reported: list[str] = []
        self.needed = Needed()
        self.claims = Claims()
        self.awake = Awake()
        self.kept = asked.kept
        self.cosigned_notes: list[tuple[int, bytes]] = []
        self.roots: dict[int, bytes] = {}

    def run(self) -> Report:
        report = self.report
        wanted = {size for _, size, _ in self.home.heads} | self._checkpoint_sizes()
        self.reader.execute("BEGIN")
        ended = False
        try:
            total = self.reader.execute("SELECT ifnull(max(seq), -1) + 1 FROM ev").fetchone()[0]
            self.signatures = signature_verifier(total - self.from_seq)
            for seq, entry, leaf in self._rows():
                if seq != self.tree.size:
                    report.fail("C3", self.tree.size, f"line {self.tree.size} is missing; the next is {seq}")
                    break
                self._line(seq, bytes(entry), bytes(leaf))
                if self.tree.size in wanted:
                    self.roots[self.tree.size] = self.tree.root()
                if self.progress is not None and self.tree.size % 256 == 0:
                    self.progress(self.tree.size, total)
            else:
                self._check_last_transaction()
            if self.last is None:
                report.fail("C4", 0, "there is no genesis line")
            ended = True
            for seq in self.signatures.finish()[:1]:
                report.fail("C2", seq, "the signature does not hold")
            report.size, report.root = self.tree.size, self.tree.root().hex()
            self._check_ends()
            self._check_policy()
            self._compare_projections()
            if self.execute is not None and report.passed:
                bad, said = self.execute(self.reader)
                report.notes["I20"] = said
                if bad is not None:
                    report.fail("I20", bad, said)
            elif self.execute is None:
                report.notes["I20"] = "not run"
        finally:
            if not ended:
                self.signatures.abandon()
            self.reader.execute("COMMIT")
        if self.home.path is not None:
            check_blobs(self.home.path, self.needed, self.claims, report)
        if self.progress is not None:
            self.progress(self.tree.size, self.tree.size)
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
            self._genesis(event, leaf)
        if is_log_enrolment(event):
            self._rotate(event.data["vkey"], seq)
        self._signature(seq, signed)
        if event.seq != seq or event.prev != self.prev or event.log != self.context.origin:
            report.fail("C3", seq, "seq, prev or log does not continue the chain")
        self._epoch(event)
        self._clock(event)
        before = self._limits_of(event)
        if seq == 0:
            # The genesis enrols the key that signs its own gate.
            self._fold(event, [])
            self._fold_nonces(self._notes(event))
        else:
            self._fold(event, self._notes(event))
        if event.kind == "key.rotate":
            self._rotate(event.data["vkey"], seq)
        elif event.kind == "key.revoke":
            self.revoked[event.data["vkey"]] = event.data["valid_through_seq"]
        elif event.kind == "witness.cosign":
            self._cosign(event)
        elif event.kind in ("rollback.accept", "clock.step", "policy.opt_out"):
            self.reported.append(f"{event.kind} at {seq}")
        if event.kind == "rollback.accept" and not self._is_of_this_tree(event):
            report.fail("I18", seq, "the accepted rollback is to another tree than this")
        self.awake.hear(event)
        self._claim(event, before)
        if event.actor.startswith("op:") and event.gate is None:
            self.ungated += 1
        self.needed.collect(event)
        self.last = event

    def _limits_of(self, event: Event) -> str | None:
        """The rules in force for the line's account before it."""
        if event.kind == "candidate.promote":
            sql = "SELECT owner_account_id FROM candidate WHERE candidate = ?"
            found = row(self.scratch, sql, event.data["candidate"])
            account = found[0] if found else None
        elif event.kind == "run.start":
            account = event.data["mandate"]["account"]
        elif event.kind == "limits.set":
            account = event.data["account"]
        else:
            return None
        limits = row(self.scratch, "SELECT rules_sha256 FROM limits WHERE account = ?", account)
        return limits[0] if limits else None

    def _claim(self, event: Event, before: str | None) -> None:
        """What is proven once the rule files are at hand."""
        if before is None:
            return
        if event.kind in TWO_PERSON and event.gate2 is None:
            self.claims.unsigned.append((self.tree.size, before))
        elif event.kind == "limits.set" and event.data["direction"] == "tighten":
            self.claims.tightened.append((self.tree.size, event.data["rules_sha256"], before))

    def _fold(self, event: Event, nonces: list[str]) -> None:
        waiting = self.approved
        self.approved = str(event.data["plan"]) if event.kind == "plan.approve" else None
        try:
            if waiting is not None and not (event.kind == "plan.execute" and event.data["plan"] == waiting):
                raise Violation("I2", f"{waiting} was approved and the next line does not execute it")
            apply(self.scratch, event, nonces)
        except Violation as violation:
            self._violated(violation, self.tree.size)

    def _violated(self, violation: Violation, seq: int) -> None:
        """Later violations may only follow from this one: the first is what counts."""
        if self.folding:
            self.report.fail(violation.check, seq, violation.reason)
        self.folding = False

    def _check_last_transaction(self) -> None:
        """Lines end where a transaction ended: nothing approved at rest, no intent without a decision."""
        if self.approved is not None:
            self._violated(
                Violation("I2", f"{self.approved} was approved and never executed"), self.tree.size - 1
            )
        found = row(self.scratch, "SELECT run, awaited FROM run WHERE awaited > 0")
        if found is not None:
            reason = f"{found[0]}: {found[1]} intents of its last bar have no decision"
            self._violated(Violation("I11", reason), self.tree.size - 1)
        late = self.awake.overdue(self.last.ts if self.last else 0)
        plan = row(self.scratch, OPEN_PLAN, late) if late is not None else None
        if plan is not None:
            self._violated(
                Violation("I15", f"{plan[0]} expired long ago and is still open"), self.tree.size - 1
            )
        if get(self.scratch, "recovering") == "1":
            self._violated(
                Violation("I16", "no recovery line follows the unclosed epoch"), self.tree.size - 1
            )

    def _fold_nonces(self, nonces: list[str]) -> None:
        self.scratch.executemany("INSERT INTO nonce VALUES (?, 0)", [(nonce,) for nonce in nonces])

    def _genesis(self, event: Event, leaf: bytes) -> None:
        self.report.genesis = leaf.hex()
        if event.kind != "ledger.genesis":
            self.report.fail("C4", 0, "line 0 is no genesis")
            return
        self.context.origin = event.data["origin"]
        self._rotate(event.data["log_vkey"], 0)
        if self.wanted_genesis is None:
            self.report.notes["C4"] = f"genesis {leaf.hex()}; compare it with the one that you kept"
        elif self.wanted_genesis.lower() != leaf.hex():
            self.report.fail("C4", 0, f"the genesis hash is {leaf.hex()}")

    def _rotate(self, text: str, seq: int) -> None:
        try:
            key = parse_vkey(text)
        except NoteError as error:
            self.report.fail("C2", seq, f"the log key is malformed: {error}")
            return
        if key.name != self.context.origin or key.public in {known.public for known in self.log_keys}:
            self.report.fail("C2", seq, "the log key has another name, or was used before")
        self.log_key = key
        self.log_keys.append(key)

    def _signature(self, seq: int, signed: SignedEvent) -> None:
        key = self.log_key
        if key is None or (signed.name, signed.key_id) != (key.name, key.id):
            self.report.fail("C2", seq, "not signed by the log key that is current here")
        elif key.text in self.revoked and seq > self.revoked[key.text]:
            self.report.fail("C2", seq, f"the log key was revoked after line {self.revoked[key.text]}")
        elif seq >= self.from_seq:
            self.signatures.add(seq, key.public, signed.text, signed.signature)

    def _epoch(self, event: Event) -> None:
        before = self.last.epoch if self.last is not None else 0
        if event.epoch != before + (event.kind == "epoch.open"):
            self.report.fail("C3", self.tree.size, f"epoch {event.epoch} after {before}")

    def _clock(self, event: Event) -> None:
        last = self.last
        if last is None:
            return
        if event.ts < last.ts:
            self.report.fail("I18", self.tree.size, "the time runs back")
        if event.boot == last.boot:
            elapsed = event.mono - last.mono
            if elapsed <= 0:
                self.report.fail("I18", self.tree.size, "the time since boot does not increase")
            # An owner who enrols a log key signed the time of that line himself.
            told = event.kind == "clock.step" or is_log_enrolment(event)
            if not told and abs(event.ts - last.ts - elapsed) > MAX_DRIFT_US:
                self.report.fail(
                    "I18", self.tree.size, "the clocks part by over a second without a clock.step"
                )

    def _notes(self, event: Event) -> list[str]:
        nonces: list[str] = []
        try:
            if event.gate is not None:
                parsed = verify_gate(event.gate, event, self.context)
                nonces.append(parsed.nonce)
                self.covered = max(self.covered, parsed.base_size or 0)
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
        return list(dict.fromkeys(nonces)) if self.folding else []

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

    def _cosign(self, event: Event) -> None:
        witness = self._witness(event.data["witness"])
        try:
            if witness is None:
                raise NoteError("the witness is not enrolled")
            checkpoint, opened = open_checkpoint(event.data["note"].encode(), [*self.log_keys, witness])
        except NoteError as error:
            self.report.fail("C7", self.tree.size, str(error))
            return
        seconds = opened.cosigned.get(witness.name)
        if seconds is None or checkpoint.size != event.data["size"] or checkpoint.size > self.tree.size:
            self.report.fail("C7", self.tree.size, "the cosignature is absent or of another size")
        elif self.tree.root(checkpoint.size) != checkpoint.root or checkpoint.origin != self.context.origin:
            self.report.fail("C7", self.tree.size, "cosigned another tree")
        elif seconds < self.cosigned.get(witness.name, 0):
            self.report.fail("C7", self.tree.size, "the witness's time runs back")
        else:
            self.cosigned[witness.name] = seconds
            self.cosigned_notes.append((self.tree.size, event.data["note"].encode()))
            self.covered = max(self.covered, checkpoint.size)

    def _witness(self, name: str) -> VerifierKey | None:
        found = self.scratch.execute(
            "SELECT vkey FROM key WHERE role = 'witness' AND revoked_after IS NULL AND vkey LIKE ? || '+%'",
            (name,),
        ).fetchone()
        try:
            return parse_vkey(found[0]) if found else None
        except NoteError:
            return None

    def _checkpoint_sizes(self) -> set[int]:
        sizes = set()
        for name, note in self.home.signed + ([("the kept checkpoint", self.kept)] if self.kept else []):
            try:
                sizes.add(parse_note(note).size)
            except NoteError as error:
                self.report.fail("C6", 0, f"{name} is no checkpoint: {error}")
        return sizes

    def _check_ends(self) -> None:
        for name, size, root in self.home.heads:
            self._compare("C11", name, size, root)
        kept = [("the kept checkpoint", self.kept)] if self.kept else []
        for name, note in self.home.signed + kept:
            check = "C6" if name == "the kept checkpoint" else "C11" if name == "head.checkpoint" else "C5"
            try:
                checkpoint, _ = open_checkpoint(note, self.log_keys)
            except NoteError as error:
                self.report.fail(check, self.tree.size, f"{name}: {error}")
                continue
            if checkpoint.origin != self.context.origin:
                self.report.fail(check, 0, f"{name} is of another ledger")
            elif self._compare(check, name, checkpoint.size, checkpoint.root) and check == "C6":
                self.covered = max(self.covered, checkpoint.size)

    def _check_policy(self) -> None:
        """C7 by the auditor's own policy: one head that a quorum of his witnesses cosigned."""
        policy = self.policy
        if policy is None:
            return
        if not policy.is_for(self.log_keys):
            self.report.fail("C7", 0, "the policy is for another log")
        by_size: dict[int, set[str]] = {}
        for _, note in self.cosigned_notes + [(0, note) for _, note in self.home.signed]:
            try:
                head, opened = open_checkpoint(note, [*self.log_keys, *policy.witnesses.values()])
            except NoteError:
                continue  # named by the check that the note belongs to
            if head.size <= self.tree.size and self.tree.root(head.size) == head.root:
                by_size.setdefault(head.size, set()).update(opened.cosigned)
        met = max((size for size, names in by_size.items() if policy.is_met(names)), default=0)
        self.covered = max(self.covered, met)
        if met:
            self.report.notes["C7"] = f"quorum {policy.quorum} up to {met} lines"
        elif policy.quorum != "none":
            self.report.fail("C7", self.tree.size, f"no checkpoint carries the quorum {policy.quorum}")

    def _compare(self, check: str, name: str, size: int, root: bytes) -> bool:
        if size > self.tree.size:
            self.report.fail(check, self.tree.size, f"{name} knows {size} lines: the tail is missing")
            return False
        if size and self.roots.get(size) != root:
            self.report.fail(check, size - 1, f"{name} knows another tree of {size} lines")
            return False
        return True

    def _compare_projections(self) -> None:
        if not self.folding or self.last is None or not self.report.passed:
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
        if self.cosigned and "C7" not in report.notes:
            report.notes["C7"] = f"witness cosignatures of {', '.join(sorted(self.cosigned))}"
        if self.covered < report.size:
            report.unanchored_since = self.covered
            found = self.reader.execute("SELECT entry FROM ev WHERE seq = ?", (self.covered,)).fetchone()
            try:
                report.unanchored_ts = parse_entry(bytes(found[0])).event.ts if found else None
            except EventError:
                report.unanchored_ts = None
            if self.require_anchor and report.passed:
                report.fail("C7", self.covered, "nothing outside of the log's machine covers this line")

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


def _read_home(path: Path, report: Report, *, head: bool) -> _Home:
    home = _Home(path=path)
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
