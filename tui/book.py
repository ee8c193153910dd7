"""One reading of the ledger: everything the screens show, taken in one read transaction."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

from inalpha.audit.event import Event
from inalpha.execution.plans import plan_digest
from inalpha.ledger import readers
from inalpha.ledger.runbook import ChartBar, RunMoney, account_equity, chart_bars, run_money
from inalpha.model.errors import InalphaError
from inalpha.model.states import HaltState

Row = dict[str, Any]
DECIDED, DECISIONS, LINES, CHART = 300, 5000, 400, 400
SPARK_BARS = 24
_CLOSE = "SELECT input FROM journal WHERE run = ? AND bar = ? AND kind = 'bar'"


@dataclass(frozen=True, slots=True)
class RunView:
    """A run with its money and its last closes. waivers: every rule it was let off, with its end."""

    row: Row
    money: RunMoney | None
    recent: tuple[ChartBar, ...]
    halt: HaltState
    pending: int
    error: str
    waivers: tuple[Row, ...] = ()

    def waived(self, now_us: int) -> tuple[Row, ...]:
        """The waivers in force."""
        return tuple(row for row in self.waivers if row["expires"] > now_us)

    @property
    def name(self) -> str:
        return str(self.row["run"])

    @property
    def is_live(self) -> bool:
        return str(self.row["state"]) in readers.LIVE

    @property
    def is_finite(self) -> bool:
        """Its feed has an end and a clock of its own."""
        return str(self.row["feed_kind"]) in ("replay", "sim")

    @property
    def is_held(self) -> bool:
        """A finite feed waits on its bar for a person's decision."""
        return self.is_live and self.is_finite and self.pending > 0


@dataclass(frozen=True, slots=True)
class PlanCard:
    """All that a person decides by. recomputed: the digest as computed here from the stored body."""

    row: Row
    body: Row
    recomputed: str
    rationale: str | None
    candidate: Row | None
    run: RunView | None
    plan_close: str | None
    rules: Mapping[str, Any]
    size: int
    root: str

    @property
    def name(self) -> str:
        return str(self.row["plan"])

    @property
    def is_proposal(self) -> bool:
        """It came from a person or an agent, not from the strategy in whose run's book it works."""
        return self.row["intent"] is None

    @property
    def is_same(self) -> bool:
        return self.recomputed == str(self.row["digest"])


@dataclass(frozen=True, slots=True)
class RunDetail:
    view: RunView
    bars: tuple[ChartBar, ...]
    decisions: tuple[Row, ...]
    fills: tuple[Row, ...]


@dataclass(frozen=True, slots=True)
class CandidateDetail:
    row: Row
    source: str
    rationale: str | None
    reason: str | None
    evidence: Mapping[str, Any]


@dataclass(frozen=True)
class Book:
    """What the ledger said at one head. Newest first, except runs and pending plans."""

    size: int = 0
    root: str = ""
    epoch: int = 0
    origin: str = ""
    runs: tuple[RunView, ...] = ()
    pending: tuple[Row, ...] = ()
    decided: tuple[Row, ...] = ()
    decisions: tuple[Row, ...] = ()
    fills: Mapping[str, Row] = field(default_factory=dict)
    accounts: tuple[Row, ...] = ()
    candidates: tuple[Row, ...] = ()
    proposals: tuple[Row, ...] = ()
    halts: tuple[Row, ...] = ()
    alerts: tuple[Row, ...] = ()
    lines: tuple[Event, ...] = ()
    card: PlanCard | None = None
    detail: RunDetail | None = None
    candidate: CandidateDetail | None = None
    ledger_bytes: int = 0

    def run(self, name: str | None) -> RunView | None:
        return next((view for view in self.runs if view.name == name), None)

    @property
    def live(self) -> tuple[RunView, ...]:
        return tuple(view for view in self.runs if view.is_live)

    def halt(self) -> Row | None:
        """The worst halt in force."""
        return max(self.halts, key=lambda row: HaltState(row["state"]).severity, default=None)


@dataclass(frozen=True, slots=True)
class Interest:
    """What the open screen wants to see in full."""

    plan: str | None = None
    run: str | None = None
    candidate: str | None = None


def read_book(home: Path, reader: sqlite3.Connection, interest: Interest) -> Book:
    """Everything at one head. Raises sqlite3.Error or InalphaError."""
    with readers.snapshot(reader):
        size, root = readers.head(home, reader)
        runs = tuple(_run_view(reader, row) for row in readers.runs(reader))
        by_name = {view.name: view for view in runs}
        decisions = readers.with_words(reader, readers.rows(reader, _DECISIONS, DECISIONS))
        return Book(
            size=size,
            root=root,
            epoch=readers.epoch(reader),
            origin=readers.origin(reader),
            runs=runs,
            pending=tuple(readers.plans(reader, "pending")),
            decided=tuple(readers.rows(reader, _DECIDED, DECIDED)),
            decisions=tuple(_decided(row) for row in decisions),
            fills={
                row["plan"]: row
                for row in readers.with_words(reader, readers.rows(reader, _FILLS, DECISIONS))
            },
            accounts=tuple(_with_equity(reader, row) for row in readers.accounts(reader)),
            candidates=tuple(reversed(readers.candidates(reader))),
            proposals=tuple(readers.proposals(reader, "open")),
            halts=tuple(readers.halts(reader)),
            alerts=tuple(readers.alerts(reader)),
            lines=tuple(reversed(list(readers.lines(reader, max(size - LINES, 0))))),
            card=_card(home, reader, interest.plan, by_name, size, root),
            detail=_detail(reader, by_name.get(interest.run or "")),
            candidate=_candidate(home, reader, interest.candidate),
            ledger_bytes=(home / readers.LEDGER).stat().st_size,
        )


_DECIDED = "SELECT * FROM plan WHERE state != 'pending' ORDER BY decided_seq DESC LIMIT ?"
_FILLS = "SELECT f.*, t.reason, t.time_us FROM fill f LEFT JOIN fill_detail t ON t.fill = f.fill ORDER BY f.seq DESC LIMIT ?"  # fmt: skip  # noqa: E501
_DECISIONS = (
    'SELECT d.*, e.side, e.quantity, e.reason, e.refusals, s.close, p.state AS plan_state, p."order",'
    " p.decided_by, r.symbol, r.timeframe FROM decision d LEFT JOIN decision_detail e ON e.intent = d.intent"
    " LEFT JOIN step s ON s.run = d.run AND s.bar = d.bar LEFT JOIN plan p ON p.plan = d.plan"
    " LEFT JOIN run r ON r.run = d.run ORDER BY d.seq DESC LIMIT ?"
)


def outcome_of(row: Row, has_fill: bool) -> str:
    """What became of an intent, once its plan was decided."""
    outcome, plan = str(row["outcome"]), row["plan_state"]
    if plan is not None and outcome in ("working", "pending"):
        return ("filled" if has_fill else "working") if plan == "executed" else str(plan)
    return "refused" if outcome == "risk_rejected" else outcome


def _decided(row: Row) -> Row:
    refusals = json.loads(row["refusals"] or "[]")
    return row | {"told": refusals[0]["message"] if refusals else row["reason"], "refusals": refusals}


def _run_view(reader: sqlite3.Connection, row: Row) -> RunView:
    errors = readers.run_errors(reader, row["run"], 1)
    waiting = "SELECT count(*) FROM plan WHERE state = 'pending' AND run = ?"
    return RunView(
        row,
        run_money(reader, row["run"]),
        tuple(chart_bars(reader, row["run"], SPARK_BARS)),
        readers.halt_of(reader, row["account"], row["run"]),
        int(reader.execute(waiting, (row["run"],)).fetchone()[0]),
        f"{errors[0]['code']}: {errors[0]['text']}" if errors else "",
        tuple(readers.waivers(reader, 0, row["run"])),
    )


def _with_equity(reader: sqlite3.Connection, row: Row) -> Row:
    return row | {"equity": account_equity(reader, row["account"])}


def _card(
    home: Path,
    reader: sqlite3.Connection,
    name: str | None,
    runs: Mapping[str, RunView],
    size: int,
    root: str,
) -> PlanCard | None:
    found = readers.one(reader, "SELECT * FROM plan WHERE plan = ?", name) if name else None
    if found is None:
        return None
    body: Row = json.loads(found["body"])
    run = runs.get(found["run"] or "")
    risk = readers.rows(reader, "SELECT * FROM risk_check WHERE plan = ? ORDER BY seq", name)
    candidate = None
    if run is not None and found["intent"] is not None:
        candidate = readers.one(reader, "SELECT * FROM candidate WHERE sha256 = ?", run.row["sha256"])
    return PlanCard(
        row=found | {"risk": risk},
        body=body,
        recomputed=plan_digest(body),
        rationale=readers.read_text(home, body.get("rationale_commit")),
        candidate=candidate,
        run=run,
        plan_close=_plan_close(reader, found),
        rules=_rules(home, risk[-1]["rules_sha256"] if risk else None),
        size=size,
        root=root,
    )


def _plan_close(reader: sqlite3.Connection, row: Row) -> str | None:
    """The close of the bar on which the plan was made."""
    run, _, rest = str(row["intent"] or "").partition(":")
    bar = rest.partition(":")[0]
    found = reader.execute(_CLOSE, (run, int(bar))).fetchone() if bar.isdigit() else None
    header = reader.execute("SELECT input FROM journal WHERE run = ? AND n = 0", (run,)).fetchone()
    if found is None or header is None:
        return None
    ticks, tick = json.loads(found[0])["bar"][5], json.loads(header[0])["instrument"]["tick_e8"]
    return f"{Decimal(ticks) * Decimal(tick) / 10**8:f}"


def _rules(home: Path, sha256: str | None) -> Mapping[str, Any]:
    try:
        data = readers.read_blob(home, sha256) if sha256 else None
        controls = json.loads(data)["controls"] if data else {}
    except (ValueError, KeyError, TypeError, InalphaError):
        return {}
    return controls if isinstance(controls, dict) else {}


def _detail(reader: sqlite3.Connection, view: RunView | None) -> RunDetail | None:
    if view is None:
        return None
    return RunDetail(
        view,
        tuple(chart_bars(reader, view.name, CHART)),
        tuple(reversed([_decided(row) for row in readers.decisions(reader, view.name)])),
        tuple(readers.fills(reader, view.name)),
    )


def _candidate(home: Path, reader: sqlite3.Connection, name: str | None) -> CandidateDetail | None:
    found = readers.one(reader, "SELECT * FROM candidate WHERE candidate = ?", name) if name else None
    if found is None:
        return None
    source = readers.read_blob(home, found["sha256"])
    evidence = readers.read_blob(home, found["evidence_sha256"]) if found["evidence_sha256"] else None
    try:
        facts = json.loads(evidence) if evidence else {}
    except ValueError:
        facts = {}
    return CandidateDetail(
        found,
        (source or b"").decode("utf-8", "replace"),
        readers.read_text(home, found["rationale_commit"]),
        readers.read_text(home, found["reason_commit"]),
        facts,
    )
