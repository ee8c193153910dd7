"""One reading of the ledger: everything the screens show, taken in one read transaction."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

from inalpha.audit.event import Event
from inalpha.client.card import Card, Figures, read_card
from inalpha.ledger import outcomes, readers
from inalpha.ledger.halts import binding, standing
from inalpha.ledger.happened import TOLD, Happened, LinesOf, deposited, happened, restarts
from inalpha.ledger.runbook import ChartBar, RunMoney, account_equity, chart_bars, run_money
from inalpha.model.errors import Refused
from inalpha.model.latch import LatchRow
from inalpha.model.states import LIVE_RUN_STATES, HaltState

Row = dict[str, Any]
DECIDED, DECISIONS, LINES, CHART = 300, 5000, 400, 400
SPARK_BARS = 24


@dataclass(frozen=True, slots=True)
class RunView:
    """A run with its money and its last closes. halt: what binds it, by ledger and latch.

    waivers: every rule it was let off, with its end. restarts: how often its runner was started again.
    """

    row: Row
    money: RunMoney | None
    recent: tuple[ChartBar, ...]
    halt: HaltState
    pending: int
    error: str
    waivers: tuple[Row, ...] = ()
    restarts: int = 0

    def waived(self, now_us: int) -> tuple[Row, ...]:
        """The waivers in force."""
        return tuple(row for row in self.waivers if row["expires"] > now_us)

    @property
    def name(self) -> str:
        return str(self.row["run"])

    @property
    def differs(self) -> bool:
        """The fills of the log add up to another position than the run's own book holds."""
        return self.money is not None and Decimal(self.money.position) != Decimal(self.row["position"])

    @property
    def is_live(self) -> bool:
        return str(self.row["state"]) in LIVE_RUN_STATES

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
    """The card that `plan show` prints too, with its run as the screens show it, at one head."""

    card: Card
    run: RunView | None
    size: int
    root: str

    @property
    def row(self) -> Row:
        return self.card.row

    @property
    def figures(self) -> Figures:
        return self.card.figures

    @property
    def recomputed(self) -> str:
        return self.card.recomputed

    @property
    def rationale(self) -> str | None:
        return self.card.rationale

    @property
    def candidate(self) -> Row | None:
        return self.card.candidate

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
    orders: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class CandidateDetail:
    row: Row
    source: str
    rationale: str | None
    reason: str | None
    evidence: Mapping[str, Any]


@dataclass(frozen=True)
class Book:
    """What the ledger said at one head. Newest first, except runs and pending plans; halts worst first."""

    size: int = 0
    root: str = ""
    root_size: int = 0
    epoch: int = 0
    origin: str = ""
    runs: tuple[RunView, ...] = ()
    pending: tuple[Row, ...] = ()
    decided: tuple[Row, ...] = ()
    decisions: tuple[Row, ...] = ()
    working: tuple[Row, ...] = ()
    happened: Happened = field(default_factory=Happened)
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
        """The worst halt in force, of any scope."""
        return self.halts[0] if self.halts else None


@dataclass(frozen=True, slots=True)
class Interest:
    """What the open screen wants to see in full."""

    plan: str | None = None
    run: str | None = None
    candidate: str | None = None


@dataclass(frozen=True, slots=True)
class Kept:
    """Lines that one console has found already, so that no reading looks through the whole log again."""

    told: LinesOf = field(default_factory=lambda: LinesOf(*TOLD))
    isolated: LinesOf = field(default_factory=lambda: LinesOf("run.isolated"))
    deposits: LinesOf = field(default_factory=lambda: LinesOf("account.deposit"))


def read_book(
    home: Path,
    reader: sqlite3.Connection,
    interest: Interest,
    latched: Sequence[LatchRow] = (),
    mark: int = -1,
    kept: Kept | None = None,
) -> Book:
    """Everything at one head. mark: the line after which things happened. Raises sqlite3.Error or InalphaError."""
    kept = kept or Kept()
    kept.told.since(reader, mark)
    kept.isolated.since(reader)
    kept.deposits.since(reader)
    with readers.snapshot(reader):
        size, (covered, root) = readers.size(reader), readers.head(home, reader)
        halts = tuple(standing(reader, latched))
        again = restarts(kept.isolated.since(reader))
        runs = tuple(_run_view(reader, row, halts, again.get(row["run"], 0)) for row in readers.runs(reader))
        by_name = {view.name: view for view in runs}
        return Book(
            size=size,
            root=root,
            root_size=covered,
            epoch=readers.epoch(reader),
            origin=readers.origin(reader),
            runs=runs,
            pending=tuple(readers.plans(reader, "pending")),
            decided=tuple(outcomes.plans_decided(reader, DECIDED)),
            decisions=tuple(outcomes.decisions(reader, limit=DECISIONS, newest_first=True)),
            working=tuple(outcomes.orders(reader, working_only=True)),
            happened=happened(reader, mark, kept.told),
            accounts=tuple(_with_equity(reader, row, kept) for row in readers.accounts(reader)),
            candidates=tuple(reversed(readers.candidates(reader))),
            proposals=tuple(readers.proposals(reader, "open")),
            halts=halts,
            alerts=tuple(readers.alerts(reader)),
            lines=tuple(reversed(list(readers.lines(reader, max(size - LINES, 0))))),
            card=_card(home, reader, interest.plan, by_name, size, root),
            detail=_detail(reader, by_name.get(interest.run or "")),
            candidate=_candidate(home, reader, interest.candidate),
            ledger_bytes=(home / readers.LEDGER).stat().st_size,
        )


def _run_view(reader: sqlite3.Connection, row: Row, halts: Sequence[Row], again: int) -> RunView:
    errors = readers.run_errors(reader, row["run"], 1)
    waiting = "SELECT count(*) FROM plan WHERE state = 'pending' AND run = ?"
    return RunView(
        row,
        run_money(reader, row["run"]),
        tuple(chart_bars(reader, row["run"], SPARK_BARS)),
        binding(halts, row["account"], row["run"]),
        int(reader.execute(waiting, (row["run"],)).fetchone()[0]),
        f"{errors[0]['code']}: {errors[0]['text']}" if errors else "",
        tuple(readers.waivers(reader, 0, row["run"])),
        again,
    )


def _with_equity(reader: sqlite3.Connection, row: Row, kept: Kept) -> Row:
    """gain: of the equity over all that was paid in, as a fraction."""
    equity = Decimal(account_equity(reader, row["account"]))
    paid_in = Decimal(row["opening"]) + Decimal(deposited(kept.deposits.since(reader), row["account"]))
    return row | {"equity": f"{equity:f}", "gain": float(equity / paid_in) - 1 if paid_in else 0.0}


def _card(
    home: Path,
    reader: sqlite3.Connection,
    name: str | None,
    runs: Mapping[str, RunView],
    size: int,
    root: str,
) -> PlanCard | None:
    try:
        card = read_card(home, reader, name) if name else None
    except Refused:
        card = None
    if card is None:
        return None
    return PlanCard(card, runs.get(card.row["run"] or ""), size, root)


def _detail(reader: sqlite3.Connection, view: RunView | None) -> RunDetail | None:
    if view is None:
        return None
    return RunDetail(
        view,
        tuple(chart_bars(reader, view.name, CHART)),
        tuple(outcomes.decisions(reader, view.name, newest_first=True)),
        outcomes.order_counts(reader, view.name),
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
