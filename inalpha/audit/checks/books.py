"""I1 to I19: the lines folded into tables, up to the first that must not be."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass, field

from inalpha.audit.checks.clocks import Awake
from inalpha.audit.event import Event
from inalpha.audit.fold.apply import apply
from inalpha.audit.fold.base import Violation, get, row
from inalpha.audit.report import Report
from inalpha.audit.rulebook import Claims
from inalpha.audit.schema import TWO_PERSON

OPEN_PLAN = (
    "SELECT p.plan FROM plan p JOIN run r ON r.run = p.run WHERE p.state = 'pending' AND p.expires < ?"
    " AND r.state IN ('starting','running','parked') ORDER BY p.created_seq LIMIT 1"
)


@dataclass(slots=True)
class Books:
    """folding: false once a line broke an invariant; later violations may only follow from that one.

    settled: no recovery line is owed, so the tables are not asked for it at each line.
    """

    report: Report
    scratch: sqlite3.Connection
    folding: bool = True
    claims: Claims = field(default_factory=Claims)
    awake: Awake = field(default_factory=Awake)
    approved: str | None = None
    settled: bool = False
    last_ts: int = 0

    def add(self, event: Event, nonces: Sequence[str], seq: int) -> None:
        """One line, with the nonces of its notes; what is approved has to be executed by the very next line."""
        self.awake.hear(event)
        self.last_ts = event.ts
        waiting = self.approved
        self.approved = str(event.data["plan"]) if event.kind == "plan.approve" else None
        try:
            if waiting is not None and not (event.kind == "plan.execute" and event.data["plan"] == waiting):
                raise Violation("I2", f"{waiting} was approved and the next line does not execute it")
            apply(self.scratch, event, nonces, recovered=self.settled)
            if event.kind in ("ledger.genesis", "epoch.open", "recovery"):
                self.settled = get(self.scratch, "recovering") != "1"
        except Violation as violation:
            self._violated(violation, seq)

    def use_up(self, nonces: Sequence[str]) -> None:
        """The nonces of the genesis, which enrols the key that signs its own gate."""
        self.scratch.executemany("INSERT INTO nonce VALUES (?, 0)", [(nonce,) for nonce in nonces])

    def limits_of(self, event: Event) -> str | None:
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

    def claim(self, event: Event, before: str | None, seq: int) -> None:
        """Note what is proven once the rule files are at hand. before: the rules in force before the line."""
        if before is None:
            return
        if event.kind in TWO_PERSON and event.gate2 is None:
            self.claims.unsigned.append((seq, before))
        elif event.kind == "limits.set" and event.data["direction"] == "tighten":
            self.claims.tightened.append((seq, event.data["rules_sha256"], before))

    def end(self, seq: int) -> None:
        """Lines end where a transaction ended: nothing approved at rest, every intent decided. seq: the last."""
        if self.approved is not None:
            self._violated(Violation("I2", f"{self.approved} was approved and never executed"), seq)
        found = row(self.scratch, "SELECT run, awaited FROM run WHERE awaited > 0")
        if found is not None:
            reason = f"{found[0]}: {found[1]} intents of its last bar have no decision"
            self._violated(Violation("I11", reason), seq)
        late = self.awake.overdue(self.last_ts)
        plan = row(self.scratch, OPEN_PLAN, late) if late is not None else None
        if plan is not None:
            self._violated(Violation("I15", f"{plan[0]} expired long ago and is still open"), seq)
        if get(self.scratch, "recovering") == "1":
            self._violated(Violation("I16", "no recovery line follows the unclosed epoch"), seq)

    def _violated(self, violation: Violation, seq: int) -> None:
        if self.folding:
            self.report.fail(violation.check, seq, violation.reason)
        self.folding = False
