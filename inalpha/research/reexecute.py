"""A recorded run executed again: `replay` through its recorded inputs, `parity` through its bars alone.

Both ask the same source in a fresh sandbox and use the same kernel, so what differs is a fact about the
record, not about another implementation.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from inalpha.execution.reasons import Reasons, Salted, names_in
from inalpha.kernel.chain import heads
from inalpha.kernel.gateway import DirectGateway
from inalpha.kernel.journal import bar_from_members, context_from
from inalpha.kernel.kernel import Kernel
from inalpha.kernel.records import JournalEntry
from inalpha.kernel.replay import Divergence, rebuild
from inalpha.kernel.spec import RunSpec
from inalpha.model.errors import IntegrityError, Refused, TryAgain
from inalpha.model.instrument import Instrument
from inalpha.model.money import text_from_e8
from inalpha.model.runner import RunnerEnded
from inalpha.model.step import StepReply, StepRequest
from inalpha.risk.account import AccountBook
from inalpha.risk.engine import RiskEngine
from inalpha.risk.guard import PositionGuard
from inalpha.risk.rules import Rules, rules_from_canonical
from runners.local import LocalSandbox
from runners.protocol import Limits

# An order may end by the account's own cash, which the run's other company in it used up.
OF_THE_ACCOUNT = frozenset({"ACCOUNT_CASH"})

Blob = Callable[[str], bytes | None]
Words = Callable[[set[str]], Mapping[str, Salted]]


@dataclass(frozen=True, slots=True)
class RunRecord:
    """What the ledger holds of one run, enough to execute it again."""

    run: str
    spec: RunSpec
    rules: Rules
    source: bytes
    entries: tuple[JournalEntry, ...]
    head: str | None
    words: Mapping[str, Salted] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Replayed:
    """steps: bars executed. divergence: None, or step, kind, field, recorded and recomputed."""

    steps: int
    divergence: dict[str, object] | None


@dataclass(frozen=True, slots=True)
class Difference:
    """One fill that recorded run and backtest do not share; why is "" when no verdict explains it."""

    intent: str
    recorded: str | None
    backtest: str | None
    why: str


def load_record(conn: sqlite3.Connection, blob: Blob, run: str, words: Words) -> RunRecord:
    """Read a run. Raises IntegrityError when a part is missing, Refused for no run or one of another
    kernel, TryAgain before its journal.
    """
    row = conn.execute("SELECT mandate, head FROM run WHERE run = ?", (run,)).fetchone()
    if row is None:
        raise Refused("NO_RUN", f"there is no {run}.", "'inalpha run list' shows all.")
    mandate = json.loads(row[0])
    source, limits = blob(mandate["candidate_sha256"]), blob(mandate["limits_sha256"])
    rows = conn.execute(
        "SELECT n, kind, bar, input, output, head FROM journal WHERE run = ? ORDER BY n", (run,)
    )
    entries = tuple(JournalEntry(*row) for row in rows)
    if source is None or limits is None:
        raise IntegrityError(
            "BLOB_MISSING", f"{run}: its source or its rules are missing.", "Restore a backup."
        )
    if not entries:
        raise TryAgain("NO_BAR", f"{run} has no journal yet.", "Wait for its first bar.")
    spec = RunSpec.from_header(entries[0].input)
    said = words(names_in(entry.output for entry in entries))
    return RunRecord(run, spec, rules_from_canonical(limits.decode()), source, entries, row[1], said)


def unsigned_step(conn: sqlite3.Connection, run: str) -> int | None:
    """The first step line whose signed head the journal's texts do not hash to; None when all do.

    No entry's meaning is asked, so a journal of another kernel can be checked too, its header included.
    """
    rows = conn.execute(
        "SELECT n, kind, bar, input, output, head FROM journal WHERE run = ? ORDER BY n", (run,)
    )
    found: dict[int, str] = {}
    entries = [JournalEntry(*row) for row in rows]
    for entry, head in zip(entries, heads(entries), strict=True):
        if entry.kind == "bar" and entry.bar is not None:
            found[entry.bar] = head
    signed = conn.execute("SELECT seq, bar, state_sha256 FROM step WHERE run = ? ORDER BY bar", (run,))
    return next((seq for seq, bar, head in signed if found.get(bar) != head), None)


def limits_of(rules: Rules) -> Limits:
    """What a runner of these rules may take."""
    settings = rules.controls.runner_limits
    return Limits(step_s=float(settings.bar_s), memory_bytes=settings.memory_mib << 20)


class _Counted:
    """The sandboxed runner, started when the first bar asks; counts and reports the bars."""

    def __init__(
        self, record: RunRecord, sandbox: LocalSandbox, progress: Callable[[int], None] | None
    ) -> None:
        self._record = record
        self._progress = progress
        self.steps = 0
        spec = record.spec
        self.runner = sandbox.start_run(
            record.source,
            spec.strategy_sha256,
            dict(spec.params),
            spec.instrument,
            spec.timeframe,
            spec.seed,
            limits_of(record.rules),
            run=record.run,
        )

    def warm(self, bars: Sequence[Any]) -> None:
        self.runner.warm(bars)

    def step(self, request: StepRequest) -> StepReply:
        self.steps += 1
        if self._progress is not None and self.steps % 50 == 0:
            self._progress(self.steps)
        return self.runner.step(request)


def replay_run(
    record: RunRecord, sandbox: LocalSandbox, progress: Callable[[int], None] | None = None
) -> Replayed:
    """Feed back every input and compare every output with the record."""
    runner = _Counted(record, sandbox, progress)
    try:
        kernel = rebuild(
            record.spec, RiskEngine(record.rules), record.entries, runner,
            guard=PositionGuard(record.rules), words=Reasons(record.words),
        )  # fmt: skip
        if record.head is not None and record.head not in {entry.head for entry in record.entries}:
            raise Divergence(kernel.bars, "bar", "head", record.head, kernel.head)
    except Divergence as error:
        names = ("step", "kind", "field", "recorded", "recomputed")
        return Replayed(runner.steps, {name: getattr(error, name) for name in names})
    except RunnerEnded as error:
        found: dict[str, object] = {
            "step": runner.steps, "kind": "bar", "field": "reply", "recorded": "a reply", "recomputed": error.message
        }  # fmt: skip
        return Replayed(runner.steps, found)
    finally:
        runner.runner.kill()
    return Replayed(runner.steps, None)


def parity_run(
    record: RunRecord, sandbox: LocalSandbox, progress: Callable[[int], None] | None = None
) -> tuple[int, list[Difference]]:
    """Backtest the run's own bars; answer how many fills agree and each difference with its cause."""
    runner = _Counted(record, sandbox, progress)
    spec = replace(record.spec, approval="machine")
    kernel = Kernel(
        spec,
        RiskEngine(record.rules),
        DirectGateway(),
        guard=PositionGuard(record.rules),
    )
    account = _opening_account(record)
    found: dict[str, str] = {}
    order: dict[str, int] = {}
    refused: set[tuple[str, str]] = set()
    try:
        for entry in record.entries:
            if entry.kind == "warmup":
                warm = [bar_from_members(members) for members in json.loads(entry.input)["bars"]]
                kernel.warm(warm)
                runner.warm(warm)
            if entry.kind != "bar":
                continue
            members = json.loads(entry.input)
            bar = bar_from_members(members["bar"])
            received_ns = bar.close_time_ns + members.get("lag", 0)
            request = kernel.begin(bar, received_ns, account.context(record.run))
            account.begin(record.run, kernel.mark(), kernel.claim)
            result = kernel.finish(kernel.ask(request, runner), account.context(record.run))
            for fill in result.fills:
                key = _key(fill.intent, fill.child, fill.n)
                found[key] = _fill_text(
                    spec.instrument, fill.side.text, fill.quantity_lots, fill.price_ticks, fill.fee_e8
                )
                order[key] = fill.bar
            refused |= {(d.intent, d.code) for d in result.decisions if d.outcome == "risk_rejected"}
            account.mark(record.run, kernel.mark(result.closed))
    except RunnerEnded:
        pass  # a run that failed by its strategy fails here too; its last bar has no reply in either
    finally:
        runner.runner.kill()
    return _compare(record, found, order, refused)


def _opening_account(record: RunRecord) -> AccountBook:
    """The account as it stood at the run's first bar, without its other runs."""
    start = record.spec.opening_cash_e8
    for entry in record.entries:
        if entry.kind == "bar":
            start = context_from(json.loads(entry.input)["begin"]).base_cash_e8
            break
    account = AccountBook("parity", start, record.rules)
    account.open_book(record.run, record.spec.symbol)
    return account


def _fill_text(instrument: Instrument, side: str, lots: int, ticks: int, fee_e8: int) -> str:
    """A fill as a person reads it; equal texts are equal fills."""
    price = instrument.price_text(ticks)
    return f"{side} {instrument.quantity_text(lots)} at {price}, fee {text_from_e8(fee_e8)}"


def _key(intent: str, child: str | None, n: int) -> str:
    return f"{intent}:{child}" if child else intent


def _recorded_fills(record: RunRecord) -> tuple[dict[str, str], dict[str, int]]:
    fills: dict[str, str] = {}
    bars: dict[str, int] = {}
    for entry in record.entries:
        if entry.kind != "bar":
            continue
        for intent, child, n, side, lots, ticks, fee, *_ in json.loads(entry.output).get("fills", ()):
            key = _key(intent, child, n)
            name = "buy" if side > 0 else "sell"
            fills[key] = _fill_text(record.spec.instrument, name, lots, ticks, fee)
            bars[key] = entry.bar or 0
    return fills, bars


def _verdicts(record: RunRecord, refused: set[tuple[str, str]]) -> list[tuple[int, str]]:
    """(bar, words) of everything that people or the account decided and a backtest cannot know.

    refused: (intent, code) that risk refuses in the backtest too; those explain nothing.
    """
    found: list[tuple[int, str]] = []
    pending: dict[str, int] = {}
    for entry in record.entries:
        if entry.kind == "command":
            data = json.loads(entry.input)
            kind, intent = data["kind"], data["intent"]
            bar = entry.bar or 0
            if kind == "approve":
                pending.pop(intent, None)
                if not json.loads(entry.output)["accepted"]:
                    found.append((bar, f"the plan of {intent} was refused when it was approved"))
            elif kind in ("reject", "expire", "cancel"):
                pending.pop(intent, None)
                found.append((bar, f"the plan of {intent} ended by {kind}"))
            elif kind == "plan":
                found.append((bar, "somebody proposed an order"))
            elif kind == "limits":
                found.append((bar, "other limits came into force"))
            elif kind in ("halt", "resume", "stop"):
                found.append((bar, f"{kind} {data['state'] or ''}".strip()))
        elif entry.kind == "bar":
            data = json.loads(entry.output)
            for intent, child, _, code, *_ in data.get("ends", ()):
                if code in OF_THE_ACCOUNT:
                    found.append((entry.bar or 0, f"the account ended {_key(intent, child, 0)}: {code}"))
            for intent, outcome, code, *_ in data.get("decisions", ()):
                if outcome == "pending":
                    pending[intent] = entry.bar or 0
                elif outcome == "risk_rejected" and (intent, code) not in refused:
                    found.append((entry.bar or 0, f"risk refused {intent}: {code}"))
            if json.loads(entry.input).get("lost"):
                found.append((entry.bar or 0, "the runner ended"))
    found += [(bar, f"the plan of {intent} is still pending") for intent, bar in pending.items()]
    return sorted(found)


def _undecided(record: RunRecord) -> set[str]:
    """Intents of the last bar whose plans wait: no person was late for them yet, so they are no difference."""
    last = next((entry for entry in reversed(record.entries) if entry.kind == "bar"), None)
    if last is None:
        return set()
    decisions = json.loads(last.output).get("decisions", ())
    decided = {json.loads(entry.input)["intent"] for entry in record.entries if entry.kind == "command"}
    return {intent for intent, outcome, *_ in decisions if outcome == "pending" and intent not in decided}


def _compare(
    record: RunRecord, found: dict[str, str], found_bars: dict[str, int], refused: set[tuple[str, str]]
) -> tuple[int, list[Difference]]:
    recorded, recorded_bars = _recorded_fills(record)
    verdicts = _verdicts(record, refused)
    equal, differences, undecided = 0, [], _undecided(record)
    for key in sorted(
        recorded.keys() | found.keys(), key=lambda k: recorded_bars.get(k, found_bars.get(k, 0))
    ):
        if recorded.get(key) == found.get(key):
            equal += 1
            continue
        if key not in recorded and ":".join(key.split(":")[:2]) in undecided:
            continue
        bar = min(recorded_bars.get(key, 1 << 62), found_bars.get(key, 1 << 62))
        before = [words for at, words in verdicts if at <= bar]
        differences.append(Difference(key, recorded.get(key), found.get(key), before[0] if before else ""))
    return equal, differences
