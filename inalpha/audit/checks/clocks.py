"""I18: the clocks of the lines; and since when the daemon had the time to expire plans (I15)."""

from __future__ import annotations

from dataclasses import dataclass

from inalpha.audit.event import Event, is_log_enrolment
from inalpha.audit.report import Report

MAX_DRIFT_US = 1_000_000
# The daemon looks for expired plans four times a second; a minute leaves room for a busy machine.
EXPIRY_GRACE_US = 60_000_000


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


def check_clock(report: Report, seq: int, event: Event, last: Event | None) -> None:
    """Wall and boot clock against the line before; part by over a second only where a line says so."""
    if last is None:
        return
    if event.ts < last.ts:
        report.fail("I18", seq, "the time runs back")
    if event.boot == last.boot:
        elapsed = event.mono - last.mono
        if elapsed <= 0:
            report.fail("I18", seq, "the time since boot does not increase")
        # An owner who enrols a log key signed the time of that line himself.
        told = event.kind == "clock.step" or is_log_enrolment(event)
        if not told and abs(event.ts - last.ts - elapsed) > MAX_DRIFT_US:
            report.fail("I18", seq, "the clocks part by over a second without a clock.step")
