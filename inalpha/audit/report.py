"""The verifier's answer: every check by name, and the lowest bad line."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from inalpha.verifier.home import HOME_CHECKS

CHECKS = HOME_CHECKS


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
