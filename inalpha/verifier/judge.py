"""One pass over the lines, and what hangs on their end: the judge behind both doors."""

from __future__ import annotations

from typing import Any

from inalpha.verifier.acts import add_line
from inalpha.verifier.books import Books
from inalpha.verifier.checkpoints import Checkpoint
from inalpha.verifier.checks import Broken, Malformed
from inalpha.verifier.forms import TWO_PERSON
from inalpha.verifier.keyring import is_log_enrolment
from inalpha.verifier.line import Line
from inalpha.verifier.notes import Key, holds, unbase64
from inalpha.verifier.rulefiles import looser_setting, rule_members
from inalpha.verifier.tree import Tree, leaf_of

# Which members of a line name a blob that is never erased.
FILES = {
    "candidate.submit": "sha256",
    "candidate.gate": "evidence_sha256",
    "limits.set": "rules_sha256",
    "run.isolated": "evidence_sha256",
}
# A plan expires four times a second; a minute without a pause between lines is more than enough for it.
GRACE = 60_000_000


class Judge:
    """Takes line after line; a door adds what lies beside the lines.

    genesis: the hash that the auditor kept. failures: the lowest bad line of each check. counting: false after the
    first line that the books must not hold. covered: lines below some anchor. cosigned: per size, witness name to
    seconds. one_gate, tightened: lines that only the rule files behind them can prove, with the hashes of those.
    """

    def __init__(self, genesis: str) -> None:
        self.genesis = genesis
        self.failures: dict[str, tuple[int, str]] = {}
        self.notes: dict[str, str] = {}
        self.books = Books()
        self.tree: Tree = Tree()
        self.last: Line | None = None
        self.prev = "0" * 64
        self.counting = True
        self.covered, self.anchor = 0, "nothing"
        self.last_cosigned: dict[str, int] = {}
        self.cosigned: dict[int, dict[str, int]] = {}
        self.cosign_lines: list[tuple[int, int, int]] = []
        self.files: dict[str, int] = {}
        self.commits: dict[str, int] = {}
        self.erased: set[str] = set()
        self.rules: dict[str, bytes] = {}
        self.one_gate: list[tuple[int, str]] = []
        self.tightened: list[tuple[int, str, str]] = []
        self.ungated = 0
        self.awake = 0
        self.overdue: int | None = None
        self.told: list[str] = []

    def fail(self, check: str, seq: int, reason: str) -> None:
        if check not in self.failures or seq < self.failures[check][0]:
            self.failures[check] = (seq, reason)

    def _entry(self, entry: bytes) -> None:
        seq = self.tree.size
        leaf = leaf_of(entry)
        try:
            line = Line(entry)
        except Malformed as error:
            self.fail("C1", seq, str(error))
        else:
            self._line(seq, line)
            self.last = line
        self.tree.add(leaf)
        self.prev = leaf.hex()

    def _line(self, seq: int, line: Line) -> None:
        if seq == 0:
            self._genesis(line.leaf.hex())
            if line.kind != "ledger.genesis":
                self.fail("C4", 0, "line 0 is no genesis")
                self.counting = False
        self._chain(seq, line)
        paused = self.last is None or line.ts - self.last.ts > GRACE
        if paused or line.kind in ("epoch.open", "clock.step", "recovery", "run.isolated"):
            self.awake = line.ts
        self.overdue = line.ts - GRACE if line.ts - self.awake > GRACE else None
        before = self.books.limits_of(line)
        if before and line.kind in TWO_PERSON and line.gate2 is None:
            self.one_gate.append((seq, before))
        elif before and line.kind == "limits.set" and line.data["direction"] == "tighten":
            self.tightened.append((seq, line.data["rules_sha256"], before))
        if seq == 0:
            if line.kind == "ledger.genesis":
                self._fold(lambda: self.books.begin(line), line)
            self._fold(lambda: add_line(self.books, line), line)
            self._signature(seq, line)
            self._notes(line)
        else:
            self._signature(seq, line)
            self._notes(line)
            self._fold(lambda: add_line(self.books, line), line)
        self._collect(line)

    def _chain(self, seq: int, line: Line) -> None:
        origin = self.books.origin if seq else line.data.get("origin")
        if line.seq != seq or line.prev != self.prev or line.log != origin:
            self.fail("C3", seq, "seq, prev or log does not continue the chain")
            # From here on its place counts: a forged line may claim any seq.
            line.seq = seq
        before = self.last.epoch if self.last is not None else 0
        if line.epoch != before + (line.kind == "epoch.open"):
            self.fail("C3", seq, f"epoch {line.epoch} after {before}")
        last = self.last
        if last is None:
            return
        if line.ts < last.ts:
            self.fail("I18", seq, "the time runs back")
        if line.boot == last.boot:
            elapsed = line.mono - last.mono
            if elapsed <= 0:
                self.fail("I18", seq, "the time since boot does not increase")
            # An owner who enrols a log key signed the time of that line himself.
            told = line.kind == "clock.step" or is_log_enrolment(line)
            if not told and abs(line.ts - last.ts - elapsed) > 1_000_000:
                self.fail("I18", seq, "the clocks part by over a second without a clock.step")

    def _signature(self, seq: int, line: Line) -> None:
        key = self.books.keys.log[-1] if self.books.keys.log else None
        if is_log_enrolment(line):
            # The old key is lost: the new one introduces itself, and an owner's gate stands for it.
            try:
                key = Key(line.data["vkey"], "log", seq, None, None)
            except Malformed as error:
                self.fail("C2", seq, str(error))
                return
        if key is None or (line.name, line.key_id) != (key.name, key.id):
            self.fail("C2", seq, "not signed by the log key that is current here")
        elif key.until is not None and seq > key.until:
            self.fail("C2", seq, f"the log key was revoked after line {key.until}")
        else:
            self._verify(seq, key, line)

    def _genesis(self, leaf: str) -> None:
        if leaf != self.genesis:
            self.fail("C4", 0, f"the genesis hash is {leaf}")

    def _verify(self, seq: int, key: Key, line: Line) -> None:
        if not holds(key.public, line.text, line.signature):
            self.fail("C2", seq, "the signature does not hold")

    def _notes(self, line: Line) -> None:
        check = "C9" if line.proposal is not None else "C8"
        try:
            base = self.books.keys.check_notes(line, self.tree.root)
        except Broken as broken:
            self.fail(check, line.seq, broken.reason)
        else:
            self._cover(base, f"the gate in line {line.seq}")
        if line.actor.startswith("op:") and line.gate is None:
            self.ungated += 1

    def _fold(self, act: Any, line: Line) -> None:
        """After the first line that must not be, later violations may only follow from it."""
        if not self.counting:
            return
        try:
            act()
        except Broken as broken:
            self.fail(broken.check, line.seq, broken.reason)
            self.counting = False

    def _collect(self, line: Line) -> None:
        data = line.data
        if line.kind in FILES:
            self.files.setdefault(data[FILES[line.kind]], line.seq)
        elif line.kind == "run.start":
            self.files.setdefault(data["mandate"]["feed"]["config_sha256"], line.seq)
        elif line.kind == "blob.erase":
            self.erased.add(data["commit"])
        elif line.kind == "witness.cosign":
            self._cosign(line)
        if line.kind == "rollback.accept" and not self._is_of_this_tree(data):
            self.fail("I18", line.seq, "the accepted rollback is to another tree than this")
        if line.kind in ("rollback.accept", "clock.step", "policy.opt_out"):
            self.told.append(f"{line.kind} at {line.seq}")
        for name in ("rationale_commit", "reason_commit"):
            commit = data.get(name) or data.get("body", {}).get(name)
            if commit is not None:
                self.commits.setdefault(commit, line.seq)

    def _is_of_this_tree(self, data: dict[str, Any]) -> bool:
        """A rollback goes to a tree that this log holds; it comes from a longer one, or another of that size."""
        size = data["to_size"]
        if size > self.tree.size or data["from_size"] < size:
            return False
        try:
            root = unbase64(data["to_root"])
        except Malformed:
            return False
        return bool(root == self.tree.root(size) and data["from_root"] != data["to_root"])

    def _cosign(self, line: Line) -> None:
        name, size = line.data["witness"], line.data["size"]
        keys = self.books.keys
        try:
            checkpoint = Checkpoint(line.data["note"].encode(), keys.log, keys.witnesses())
            seconds = checkpoint.cosigned.get(name)
            if seconds is None or checkpoint.size != size or size > line.seq:
                raise Malformed("the cosignature is absent or of another size")
            if (checkpoint.root, checkpoint.origin) != (self.tree.root(size), self.books.origin):
                raise Malformed("cosigned another tree")
            if seconds < self.last_cosigned.get(name, 0):
                raise Malformed("the witness's time runs back")
        except (Malformed, UnicodeEncodeError) as error:
            self.fail("C7", line.seq, str(error))
            return
        self.last_cosigned[name] = seconds
        self.cosigned.setdefault(size, {})[name] = seconds
        self.cosign_lines.append((line.seq, size, seconds))

    def _ended(self) -> None:
        """After the last line."""
        if self.counting and self.last is not None:
            self._fold(lambda: self.books.end(self.overdue), self.last)

    def _cover(self, size: int, what: str) -> None:
        if size > self.covered:
            self.covered, self.anchor = size, what

    def _rule_files(self) -> None:
        """What only the rule files behind the hashes can tell; a missing one has failed C10 already."""
        for seq, rules in self.one_gate:
            if rule_members(self.rules.get(rules, b"")).get("two_person") is True:
                self.fail("C8", seq, "GATE_SECOND: the limits in force demand a second operator's gate")
        for seq, new, old in self.tightened:
            if new in self.rules and old in self.rules:
                setting = looser_setting(self.rules[new], self.rules[old])
                if setting is not None:
                    self.fail("I19", seq, f"told as tighter, but {setting} is looser")

    def _say(self) -> None:
        if self.ungated:
            self.notes["C8"] = f"gates; {self.ungated} lines of people rest on the daemon's word"
        if self.told:
            self.notes["I18"] = "clocks; " + ", ".join(self.told[:20])

    def first_bad(self) -> int | None:
        return min((seq for seq, _ in self.failures.values()), default=None)

    def reason(self, titles: dict[str, str]) -> str | None:
        """The failure at the lowest line, as `C2 at line 17: …`; among several the first of the titles."""
        first = self.first_bad()
        found = (name for name in titles if name in self.failures and self.failures[name][0] == first)
        return next((f"{name} at line {first}: {self.failures[name][1]}" for name in found), None)

    def checks(self, titles: dict[str, str]) -> list[dict[str, Any]]:
        """[{name, passed, detail}], all of them, in order."""
        found = []
        for name, title in titles.items():
            bad = self.failures.get(name)
            detail = f"line {bad[0]}: {bad[1]}" if bad else self.notes.get(name, title)
            found.append({"name": name, "passed": bad is None, "detail": detail})
        return found
