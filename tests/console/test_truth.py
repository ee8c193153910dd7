"""Each pane says what the log says: what is drawn against a fold of its own, not against the reader that fed it."""

from __future__ import annotations

import re
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from support.console_stage import FakeLink, TestClock
from support.installation import inalpha
from support.truth import Log, ask_home, read_log
from textual.pilot import Pilot

from inalpha.ledger import outcomes, readers
from inalpha.model import latch
from inalpha.model.home import Home
from inalpha.model.states import HaltState
from tui.app import ConsoleApp

SIZE = (180, 60)
WORDS = {"risk_rejected": "refused", "partially_filled": "partly"}


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("panes") / "home"
    made = inalpha(home, "demo", "--headless", "--bars", "200", "--speed", "max", "--json")
    assert made.returncode == 0, made.stderr[-800:]
    return home


@pytest.fixture(scope="module")
def log(demo: Path) -> Log:
    return read_log(ask_home(demo))


@asynccontextmanager
async def console(home: Path) -> AsyncIterator[tuple[ConsoleApp, Pilot[None]]]:
    """The console on a home at rest, as wide as all columns; its daemon is gone."""
    clock = TestClock(wall=time.time_ns() // 1000)
    app = ConsoleApp(Home(home), clock=clock.clock(), link=FakeLink(), live=False)
    async with app.run_test(size=SIZE) as pilot:
        yield app, pilot


async def pane(home: Path, key: str) -> list[str]:
    """The rows that a terminal shows after one key, with the docked ones above and below."""
    async with console(home) as (app, pilot):
        await pilot.press(key)
        await pilot.pause()
        strips = app.screen._compositor.render_strips()
        return ["".join(segment.text for segment in strip).rstrip() for strip in strips]


def money(text: str) -> Decimal:
    return Decimal(text.replace(",", ""))


def row_of(rows: list[str], *words: str) -> str:
    found = [
        row for row in rows if all(re.search(rf"(?<![\w-]){re.escape(word)}(?![\w-])", row) for word in words)
    ]
    assert found, (words, "\n".join(rows))
    return found[0]


def runs_differ(rows: list[str], log: Log) -> list[str]:
    found, header = [], row_of(rows, "run", "bars", "position", "refused")
    for name, run in log.runs.items():
        row = row_of(rows, name)
        refused = sum(
            decision["outcome"] in ("risk_rejected", "rejected") and decision["run"] == name
            for decision in log.decisions.values()
        )
        wanted = {"bars": run.bars, "position": run.position, "fills": run.fills, "refused": refused}
        for title, value in wanted.items():
            told = row[: header.index(title) + len(title)].split()[-1]
            if "≠" in row or money(told) != value:
                found.append(f"{name}: {title} {told}, the log says {value}")
        word = run.state if run.state in ("stopped", "failed") else "running|held|starting"
        if not re.search(word, row):
            found.append(f"{name}: {row}, the log says {run.state}")
    return found


def decisions_differ(rows: list[str], log: Log) -> list[str]:
    found = []
    for intent, decision in log.decisions.items():
        outcome, code = log.outcome(intent)
        row = row_of(rows, decision["run"], f"#{decision['seq']}")
        word = WORDS.get(outcome, outcome)
        if word not in row:
            found.append(f"{intent}: {row.strip()}, the log says {word}")
        if code and code not in row:
            found.append(f"{intent}: {row.strip()}, the log says {code}")
        plan = log.plans.get(decision["plan"] or "", {})
        order = log.orders.get(plan.get("order") or "")
        if order is not None and order.filled:
            price = f"{order.worth / order.filled:,.2f}"
            if price not in row:
                found.append(f"{intent}: {row.strip()}, the log says {price}")
    return found


def headline_differs(rows: list[str], log: Log) -> list[str]:
    told = row_of(rows, "SINCE")
    counts = {"filled": len(log.fills)}
    for order in log.orders.values():
        if order.state in ("cancelled", "expired", "rejected") and order.code not in (
            "OCO",
            "POSITION_CLOSED",
        ):
            counts[order.state] = counts.get(order.state, 0) + 1
    return [
        f"{told.strip()}, the log says {n} {word}"
        for word, n in counts.items()
        if n and f"{n} {word}" not in told
    ]


def plans_differ(rows: list[str], log: Log) -> list[str]:
    found = []
    for name, plan in log.plans.items():
        row = row_of(rows, name, plan["side"].upper(), plan["symbol"])
        glyph = {"executed": "✓", "rejected": "✗", "expired": "○", "cancelled": "○"}.get(plan["state"])
        order = log.orders.get(plan["order"] or "")
        if order is not None and order.outcome not in ("filled", "working"):
            glyph = WORDS.get(order.outcome, order.outcome)
        if glyph is not None and glyph not in row.partition("│")[0]:
            found.append(f"{name}: {row.strip()}, the log says {plan['state']} {glyph}")
        if plan["state"] == "pending" and not re.search(r"\d\d:\d\d|EXPIRED", row):
            found.append(f"{name}: {row.strip()}, the log says pending")
    return found


def positions_differ(rows: list[str], log: Log) -> list[str]:
    found = []
    for account in log.accounts.values():
        row = row_of(rows[2:-2], account["owner"])
        if f"cash {account['cash']:,.2f}" not in row:
            found.append(f"{row.strip()}, the log says cash {account['cash']}")
    for name, run in log.runs.items():
        told = [
            row
            for row in rows
            if re.search(rf"(?<![\w-]){name}(?![\w-])", row) and run.mandate["symbol"] in row
        ]
        if bool(told) != bool(run.position or any(order.run == name for order in log.working().values())):
            found.append(f"{name}: {told}, the log says {run.position}")
    working = {word for row in rows for word in re.findall(r"order-\d+", row)}
    if working != set(log.working()):
        found.append(f"working {sorted(working)}, the log says {sorted(log.working())}")
    return found


PANES: dict[str, tuple[str, Callable[[list[str], Log], list[str]]]] = {
    "plans": ("1", plans_differ),
    "runs": ("2", runs_differ),
    "positions": ("3", positions_differ),
    "decisions": ("4", decisions_differ),
    "headline": ("4", headline_differs),
}


@pytest.mark.parametrize("name", PANES)
async def test_a_pane_shows_what_the_log_says(demo: Path, log: Log, name: str) -> None:
    key, differ = PANES[name]
    assert differ(await pane(demo, key), log) == []


def _lie(rows: list[dict[str, Any]], **changes: Any) -> list[dict[str, Any]]:
    """The first row that has them says something else."""
    return [row | changes if place == 0 else row for place, row in enumerate(rows)]


async def test_a_decisions_reader_that_keeps_orders_working_is_named(
    demo: Path, log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outcomes, "order_outcome", lambda state, filled, code: "working")
    found = decisions_differ(await pane(demo, "4"), log)
    assert len(found) >= len(log.orders) and all("the log says" in line for line in found)


async def test_a_runs_reader_with_another_position_is_named(
    demo: Path, log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = readers.runs
    monkeypatch.setattr(
        readers, "runs", lambda reader, **kw: _lie(real(reader, **kw), position="7", fills=99)
    )
    found = runs_differ(await pane(demo, "2"), log)
    assert any("position" in line for line in found) and any("fills 99" in line for line in found)


async def test_a_protection_that_does_not_work_is_named(
    demo: Path, log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = outcomes.orders

    def every_order(
        reader: Any, run: str | None = None, *, plan: str | None = None, working_only: bool = False
    ) -> Any:
        return real(reader, run, plan=plan)

    monkeypatch.setattr(outcomes, "orders", every_order)
    assert positions_differ(await pane(demo, "3"), log)


async def test_a_plan_told_with_another_verdict_is_named(
    demo: Path, log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = readers.rows

    def approving(reader: Any, sql: str, *values: Any) -> list[dict[str, Any]]:
        return [
            row | {"state": "rejected"} if "decided_seq" in row else row for row in real(reader, sql, *values)
        ]

    monkeypatch.setattr(readers, "rows", approving)
    assert any("the log says executed" in line for line in plans_differ(await pane(demo, "1"), log))


async def test_the_top_line_names_the_latch_before_any_line_does(demo: Path) -> None:
    path = Home(demo).latch
    before = path.read_bytes()
    row = latch.LatchRow("all", HaltState.HALTED, "cli:anna", "nobody answers", time.time_ns() // 1000)
    try:
        latch.append_row(path, row)
        rows = await pane(demo, "2")
        assert "HALTED all" in rows[0] and "ACTIVE" not in rows[0]
        assert row_of(rows[-2:], "HALTED", "cli:anna", "in the latch file alone")
        assert row_of(rows, "run-2", "HALTED")
        told = ask_home(demo)("status")
        assert "HALTED all by cli:anna" in told and "in the latch file alone" in told
    finally:
        path.write_bytes(before)


async def test_a_dead_daemons_runs_are_dim_and_tell_its_age(demo: Path) -> None:
    async with console(demo) as (app, pilot):
        await pilot.press("2")
        row = next(row for row in app.main.pane.table.all_rows if row.key == "run-2")  # type: ignore[union-attr]
        state = row.cells[1]
        assert state.role == "dim" and re.fullmatch(r"○ running [\d.]+[smhd]\S*", state.text), state
        assert app.store.silence_s is not None


async def test_a_line_that_is_not_yet_checked_is_not_called_verified(demo: Path) -> None:
    """The console checks 400 lines at a time; the head is beside what was checked."""
    rows = await pane(demo, "6")
    head = row_of(rows, "HEAD")
    told = re.search(r"verified here up to line #([\d,]+)", head)
    assert told is not None
    size = read_log(ask_home(demo)).size
    assert ("✓" in head) == (int(told[1].replace(",", "")) == size - 1)
