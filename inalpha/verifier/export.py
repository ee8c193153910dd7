"""The door for an export: its own tiles, checkpoints, blobs and claims against its lines."""

from __future__ import annotations

import hashlib
import hmac
from typing import Any

from inalpha.verifier.archive import Archive, entries_of, tile_names
from inalpha.verifier.brackets import brackets
from inalpha.verifier.canonical import canonical, read_json
from inalpha.verifier.checkpoints import Checkpoint, Policy, checkpoint_body
from inalpha.verifier.checks import CHECKS, Malformed
from inalpha.verifier.embedded import own_source
from inalpha.verifier.judge import Judge
from inalpha.verifier.keyring import policy_text
from inalpha.verifier.line import Line
from inalpha.verifier.notes import Key, split_note
from inalpha.verifier.tree import WIDTH


class Verifier(Judge):
    """One pass over the lines of an export, then what hangs on their end."""

    def __init__(self, archive: Archive, genesis: str, policy: Policy | None, kept: bytes | None) -> None:
        super().__init__(genesis)
        self.archive, self.policy, self.kept, self.size = archive, policy, kept, 0
        self.fill_lines: list[tuple[int, str, int]] = []

    def run(self) -> None:
        try:
            self.size = checkpoint_body(split_note(self.archive.read("checkpoint"))[0])[1]
            for name in tile_names("entries", self.size):
                for entry in entries_of(self.archive.read(name)):
                    self._entry(entry)
        except Malformed as error:
            self.fail("C1", self.tree.size, str(error))
            return
        if self.tree.size != self.size or self.last is None:
            self.fail("C3", self.tree.size, f"{self.tree.size} lines where the checkpoint says {self.size}")
            return
        if not self.books.keys.log:
            self.fail("C4", 0, "there is no genesis line that names the log's key")
            return
        self._ended()
        for check, act in (("C5", self._tiles), ("C5", self._checkpoints), ("C6", self._since), ("C7", self._policy),
                           ("C10", self._blobs), ("I13", self._claims), ("C1", self._surplus)):  # fmt: skip
            try:
                act()
            except Malformed as error:
                self.fail(check, self.tree.size, str(error))
        self._say()

    def _collect(self, line: Line) -> None:
        super()._collect(line)
        if line.kind == "fill":
            self.fill_lines.append((line.seq, line.data["fill"], line.ts))

    def _tiles(self) -> None:
        for level, row in enumerate(self.tree.levels):
            for number, name in enumerate(tile_names(str(level), len(row) // 32)):
                if self.archive.read(name) != self.tree.tile(level, number):
                    self.fail(
                        "C5", min(number * WIDTH ** (level + 1), self.size - 1), f"{name} holds other hashes"
                    )

    def _checkpoints(self) -> None:
        keys = self.books.keys
        for name in ["checkpoint", *self._folder("checkpoints/")]:
            try:
                found = Checkpoint(self.archive.read(name), keys.log, keys.witnesses())
            except Malformed as error:
                self.fail("C5", self.size, f"{name}: {error}")
                continue
            if name not in ("checkpoint", f"checkpoints/{found.size}"):
                self.fail("C5", self.size, f"{name} is of size {found.size}")
            elif found.origin != self.books.origin or found.size > self.size or not found.size:
                self.fail("C5", self.size, f"{name} is of another ledger or of lines that are not here")
            elif self.tree.root(found.size) != found.root:
                self.fail("C5", found.size - 1, f"{name} knows another tree of {found.size} lines")
            self.cosigned.setdefault(found.size, {}).update(found.cosigned)

    def _since(self) -> None:
        if self.kept is None:
            self.notes["C6"] = "no checkpoint was kept"
            return
        found = Checkpoint(self.kept, self.books.keys.log, self.books.keys.witnesses())
        if found.origin != self.books.origin:
            self.fail("C6", 0, "the kept checkpoint is of another ledger")
        elif found.size > self.size:
            self.fail("C6", self.size, f"the kept checkpoint knows {found.size} lines: the tail is missing")
        elif self.tree.root(found.size) != found.root:
            self.fail(
                "C6", max(found.size - 1, 0), f"the kept checkpoint knows another tree of {found.size} lines"
            )
        else:
            self._cover(found.size, "the kept checkpoint")

    def _policy(self) -> None:
        """The auditor's policy, or the one that the export holds and the log's own enrolments must lead to."""
        text = self.archive.read("policy").decode("ascii", "replace")
        if text != policy_text(self.books.keys):
            self.fail("C7", self.size, "policy is not what the enrolled witnesses lead to")
        given = self.policy
        policy = given or Policy(text, any_type=True)
        if not any(key.text == log.text for key in policy.logs for log in self.books.keys.log):
            self.fail("C7", 0, "the policy is for another log")
        names = {key.name for key in policy.witnesses.values()}
        if given is not None:
            self._recheck(list(given.witnesses.values()))
        met = [
            size
            for size, by in self.cosigned.items()
            if policy.is_met({n: s for n, s in by.items() if n in names})
        ]
        if met:
            self._cover(max(met), "cosignatures under the policy")
            self.notes["C7"] = f"quorum {policy.quorum} up to {max(met)} lines"
        elif given is not None and policy.quorum != "none":
            self.fail("C7", self.size, f"no checkpoint carries the quorum {policy.quorum}")
        else:
            self.notes["C7"] = f"quorum {policy.quorum}: no cosigned checkpoint"

    def _recheck(self, witnesses: list[Key]) -> None:
        """Cosignatures once more, by the keys of the auditor's policy instead of the log's enrolments."""
        self.cosigned = {size: {} for size in self.cosigned}
        for name in ["checkpoint", *self._folder("checkpoints/")]:
            try:
                found = Checkpoint(self.archive.read(name), self.books.keys.log, witnesses)
            except Malformed as error:
                self.fail("C7", self.size, f"{name}: {error}")
                continue
            self.cosigned.setdefault(found.size, {}).update(found.cosigned)

    def _blobs(self) -> None:
        seen: set[str] = set()
        wanted_rules = {rules for _, rules in self.one_gate}
        wanted_rules.update(name for _, new, old in self.tightened for name in (new, old))
        for name in self._folder("blobs/"):
            data, digest_ = self.archive.read(name), name.removeprefix("blobs/")
            commit = hmac.new(data[:32], data[32:], hashlib.sha256).hexdigest()
            if hashlib.sha256(data).hexdigest() != digest_:
                self.fail("C10", self.files.get(digest_, 0), f"{name} holds other bytes")
            elif digest_ in self.files:
                seen.add(digest_)
                if digest_ in wanted_rules:
                    self.rules[digest_] = data
            elif commit in self.commits:
                seen.add(commit)
            else:
                self.fail("C10", self.size, f"{name} belongs to no line")
        for needed in (self.files, self.commits):
            for wanted, seq in needed.items():
                if wanted not in seen and wanted not in self.erased:
                    self.fail("C10", seq, f"the blob or text {wanted[:16]}… is missing")
        self._rule_files()
        if self.erased:
            self.notes["C10"] = f"blobs and commitments; {len(self.erased)} texts were erased by signature"

    def _claims(self) -> None:
        told = read_json(self.archive.read("report.json").rstrip(b"\n"))
        found = {"genesis": self.genesis, "origin": self.books.origin, "root": self.tree.root(self.size).hex(),
                 "size": self.size, "v": 1, **self.books.claims()}  # fmt: skip
        if self.counting and canonical(claim_lists(found)) + b"\n" != self.archive.read("report.json"):
            told = told if type(told) is dict else {}
            differing = [name for name, value in claim_lists(found).items() if told.get(name) != value]
            self.fail("I13", self.size, f"report.json claims other {', '.join(differing) or 'members'}")

    def _surplus(self) -> None:
        known = {"checkpoint", "policy", "report.json", "verify.py", *tile_names("entries", self.size)}
        for level, row in enumerate(self.tree.levels):
            known.update(tile_names(str(level), len(row) // 32))
        for name in self.archive.members:
            if name not in known and not name.startswith(("blobs/", "checkpoints/")):
                raise Malformed(f"{name} does not belong into an export")
        if self.archive.read("verify.py") != own_source():
            self.notes["C1"] = "form of every line; the verify.py inside is not this program"

    def _folder(self, prefix: str) -> list[str]:
        return [name for name in self.archive.members if name.startswith(prefix)]

    def time_at(self, seq: int) -> int | None:
        """The time that line seq tells."""
        if seq >= self.size:
            return None
        bundle = self.archive.read(tile_names("entries", self.size)[seq // WIDTH])
        try:
            return int(Line(entries_of(bundle)[seq % WIDTH]).ts)
        except (Malformed, IndexError):
            return None

    def result(self, *, require_anchor: bool) -> dict[str, Any]:
        open_tail = self.covered < self.size
        if require_anchor and open_tail and not self.failures:
            self.fail("C7", self.covered, "nothing outside of the log's machine covers this line")
        return {
            "size": self.size, "root": self.tree.root(self.tree.size).hex(), "genesis": self.genesis,
            "checks": self.checks(CHECKS), "first_bad": self.first_bad(), "reason": self.reason(CHECKS),
            "anchor": self.anchor, "anchored": self.covered,
            "unanchored_since": self.covered if open_tail else None,
            "unanchored_time": self.time_at(self.covered) if open_tail and not self.failures else None,
            "fills": brackets(self.fill_lines, self.cosign_lines), "not_checked": "I20, re-execution of the strategies",
        }  # fmt: skip


def claim_lists(claims: dict[str, Any]) -> dict[str, Any]:
    """Claims with lists in place of objects whose names are ids."""
    listed = dict(claims)
    listed["accounts"] = [{"account": name, **item} for name, item in sorted(claims["accounts"].items())]
    listed["halts"] = [list(item) for item in sorted(claims["halts"].items())]
    return listed
