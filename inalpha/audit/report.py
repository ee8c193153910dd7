"""The verifier's answer: every check by name, and the lowest bad line."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

CHECKS = {
    "C1": "form and canonical bytes of every line",
    "C2": "signature by the log key current at that line",
    "C3": "sequence, chain, origin and epochs",
    "C4": "genesis hash",
    "C5": "tree root at every checkpoint",
    "C6": "consistency with kept checkpoints",
    "C7": "witness cosignatures",
    "C8": "gates",
    "C9": "proposals",
    "C10": "blobs and commitments",
    "C11": "head file and projections",
    "I1": "fills follow from executed plans",
    "I2": "one execution and one token per plan",
    "I3": "plan and mandate digests",
    "I4": "who approved",
    "I5": "one owner for account, candidate and run",
    "I6": "risk results before approval",
    "I7": "only promoted candidates run",
    "I8": "plans within their mandate",
    "I9": "halts bind",
    "I10": "one step per closed bar",
    "I11": "one decision per intent",
    "I12": "no fill in its decision's bar",
    "I13": "cash, positions and fees",
    "I14": "live runs per account and symbol",
    "I15": "legal transitions, each once",
    "I16": "recovery after an unclosed epoch",
    "I17": "ids and nonces",
    "I18": "clocks",
    "I19": "loosening is signed",
    "I20": "re-execution of the journal",
    "I22": "isolation below sealed is waived",
}


@dataclass(frozen=True, slots=True)
class Failure:
    """The first line at which a check fails."""

    seq: int
    reason: str


@dataclass(slots=True)
class Report:
    """size, root: of the ledger as read. unanchored_since: first seq without an anchor, or None."""

    size: int = 0
    root: str = ""
    genesis: str = ""
    failures: dict[str, Failure] = field(default_factory=dict)
    notes: dict[str, str] = field(default_factory=dict)
    unanchored_since: int | None = None
    unanchored_ts: int | None = None

    def fail(self, check: str, seq: int, reason: str) -> None:
        """Record a failure; the lowest seq of each check stays."""
        known = self.failures.get(check)
        if known is None or seq < known.seq:
            self.failures[check] = Failure(seq, reason)

    @property
    def passed(self) -> bool:
        return not self.failures

    @property
    def first_bad(self) -> int | None:
        return min((failure.seq for failure in self.failures.values()), default=None)

    @property
    def reason(self) -> str | None:
        """The failure at the lowest seq, as `C2 at line 17: …`."""
        bad = self.first_bad
        for check in CHECKS:
            failure = self.failures.get(check)
            if failure is not None and failure.seq == bad:
                return f"{check} at line {bad}: {failure.reason}"
        return None

    @property
    def checks(self) -> list[dict[str, Any]]:
        """[{name, passed, detail}], all of them, in order."""
        found = []
        for name, title in CHECKS.items():
            failure = self.failures.get(name)
            detail = f"line {failure.seq}: {failure.reason}" if failure else self.notes.get(name, title)
            found.append({"name": name, "passed": failure is None, "detail": detail})
        return found

    def to_json(self) -> dict[str, Any]:
        return {
            "size": self.size,
            "root": self.root,
            "genesis": self.genesis,
            "checks": self.checks,
            "first_bad": self.first_bad,
            "reason": self.reason,
            "unanchored_since": self.unanchored_since,
        }
