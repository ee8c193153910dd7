"""What a run is made of, and the ways in which a step or a run may not go on."""

from __future__ import annotations

import json
from dataclasses import dataclass

from inalpha.daemon.record import RunFacts
from inalpha.kernel.records import JournalEntry
from inalpha.kernel.spec import RunSpec
from inalpha.market.feedspec import FeedSpec
from inalpha.risk.rules import Rules


class StepVoided(Exception):
    """A halt arrived while the step was under way: nothing of it counts, the run is rebuilt."""


class RunFailed(Exception):
    """The run ends here. code is the reason word, text what the operator reads."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(text)
        self.code = code
        self.text = text


@dataclass(slots=True)
class RunPlan:
    """What the mandate fixes for one run. has_ended: its last line is written, its position is not flat yet.

    parked: why this program must not go on with it; "" where it may.
    """

    spec: RunSpec
    feed: FeedSpec
    source: bytes
    rules: Rules
    facts: RunFacts
    expires_us: int
    started_ns: int
    has_ended: bool = False
    parked: str = ""


def plan_ttl_us(rules: Rules, spec: RunSpec) -> int:
    """How long a plan of this run waits, host time in microseconds (P17): a person's, or the machine's one bar."""
    expiry, bar_s = rules.controls.plan_expiry, max(1, spec.timeframe_ns // 1_000_000_000)
    seconds = expiry.human_s if spec.approval == "human" else min(expiry.machine_s, bar_s)
    return seconds * 10**6


def not_as_signed(signed: RunSpec, journal: RunSpec) -> str:
    """P10: how a run's journal departs from the mandate that a person signed; "" where it does not.

    Symbol, venue, timeframe, candidate and limits: a journal of anything else is not gone on with.
    """
    for name in ("symbol", "venue", "timeframe", "strategy_sha256", "mandate_sha256", "rules_sha256"):
        said, was = getattr(signed, name), getattr(journal, name)
        if said != was:
            return f"ALLOW_LIST: its journal names the {name} {was}, its mandate was signed for {said}."
    if journal.instrument.symbol != journal.symbol:
        return f"ALLOW_LIST: its journal trades {journal.instrument.symbol} under the name {journal.symbol}."
    return ""


def last_warm_open(entries: list[JournalEntry]) -> int | None:
    """Open time of the last warm-up bar: a run that saw none of its own bars yet goes on behind it."""
    for entry in entries:
        if entry.kind == "warmup":
            bars = json.loads(entry.input)["bars"]
            return int(bars[-1][0]) if bars else None
    return None
