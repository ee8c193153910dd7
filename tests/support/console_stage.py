"""A console on a real small ledger, with a bus without sockets and clocks that move when told to."""

from __future__ import annotations

import json
import os
import random
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from inalpha.audit import keys
from inalpha.client.operator import Operator
from inalpha.execution import lines
from inalpha.ledger.txn import Txn
from inalpha.model.home import Home
from support import ledger_story
from support.ledger_story import START_US, Story
from tui.app import ConsoleApp
from tui.clock import Clock

CONTROLS = {
    "max_order": {"enabled": True, "equity_pct": "10"},
    "max_position": {"enabled": True, "symbol_pct": "25"},
    "price_drift": {"enabled": True, "bps": "100"},
    "daily_loss": {"enabled": False, "pct": "2"},
}
CENT = 1_000_000
LOT = 1_000_000
BARS = 40


@dataclass
class TestClock:
    """Seconds of the monotonic clock and microseconds of the wall clock, moved together."""

    __test__ = False
    mono_s: float = 1000.0
    wall: int = START_US

    def clock(self) -> Clock:
        return Clock(lambda: self.mono_s, lambda: self.wall)

    def advance(self, seconds: float) -> None:
        self.mono_s += seconds
        self.wall += int(seconds * 1e6)


@dataclass
class FakeLink:
    """Remembers what was sent. answer: what a request returns; an exception is raised."""

    sent: list[tuple[str, dict[str, Any], Operator | None]] = field(default_factory=list)
    answer: dict[str, Any] | Exception = field(default_factory=dict)

    async def run(self) -> None:
        return

    async def request(
        self, cmd: str, args: Mapping[str, Any], operator: Operator | None, timeout_s: float
    ) -> dict[str, Any]:
        self.sent.append((cmd, dict(args), operator))
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer

    @property
    def commands(self) -> list[str]:
        return [cmd for cmd, _, _ in self.sent]


@dataclass
class Stage:
    """A home, its story, and consoles on it."""

    story: Story
    time: TestClock
    link: FakeLink = field(default_factory=FakeLink)

    def app(self, *, view: bool = False, as_ascii: bool = False, up: bool = True) -> ConsoleApp:
        app = ConsoleApp(
            Home(self.story.home),
            view=view,
            as_ascii=as_ascii,
            clock=self.time.clock(),
            link=self.link,
            live=False,
        )
        if up:
            app.store.set_bus(True)
            app.store.beat(0)
            self.time.advance(0.4)
        return app

    def digest(self, plan: str) -> str:
        query = "SELECT digest FROM plan WHERE plan = ?"
        return str(self.story.do(lambda txn: txn.conn.execute(query, (plan,)).fetchone()[0]))

    def to_host_time(self) -> None:
        """Notes are signed at host time: so that the ledger's clock judges them there."""
        self.story.clock.wall_us = time.time_ns() // 1000

    def header(self, run: str, symbol: str) -> None:
        instrument = {"calendar": "24/7", "currency": "USD", "lot_e8": LOT, "symbol": symbol, "tick_e8": CENT}
        body = {"instrument": instrument, "opening_cash_e8": 50_000 * 10**8}
        self._journal(run, 0, "header", None, body, {})

    def bars(self, run: str, count: int = BARS, held: int = 0, intents: int = 0) -> None:
        """Bars of a price that goes up and down a little; the last one announces the intents."""
        walk = random.Random(run)
        price = 6_500_000
        for bar in range(count):
            opened = price
            price += walk.randint(-20_000, 21_000)
            high, low = max(opened, price) + walk.randint(0, 9000), min(opened, price) - walk.randint(0, 9000)
            begin = (START_US - (count - bar) * 60_000_000) * 1000
            self.story.bar(run, bar, intents if bar == count - 1 else 0)
            book = [50_000 * 10**8, held, held * 6_500_000 * CENT * LOT // 10**8, 0, 0]
            entry = {"bar": [begin, begin + 60_000_000_000, opened, high, low, price, 5], "seq": bar}
            self._journal(run, bar + 1, "bar", bar, entry, {"book": book})

    def _journal(self, run: str, n: int, kind: str, bar: int | None, given: object, out: object) -> None:
        row = (run, n, kind, bar, json.dumps(given), json.dumps(out), f"{n:064x}")
        self.story.do(lambda txn: txn.conn.execute("INSERT INTO journal VALUES (?, ?, ?, ?, ?, ?, ?)", row))

    def detail(self, intent: str, side: str, quantity: str, reason: str, refusals: str = "[]") -> None:
        row = (intent, side, quantity, reason, refusals)
        self.story.do(lambda txn: txn.conn.execute("INSERT INTO decision_detail VALUES (?, ?, ?, ?, ?)", row))

    def pending(self, run: str, bar: int, reason: str = "fast above slow", **changes: Any) -> str:
        """A plan that waits for a person, with its decision."""
        story = self.story

        def job(txn: Txn) -> str:
            members = {"quantity": "0.05", "rationale_commit": txn.commit_text(reason)} | changes
            plan = story.plan(txn, run, bar, **members)
            lines.record_decision(txn, run, bar, "b" * 64, 0, "pending", plan)
            return plan

        plan = str(story.do(job))
        self.detail(f"{run}:{bar}:0", "buy", str(changes.get("quantity", "0.05")), reason)
        return plan


def _prepared(home: Path) -> Stage:
    story = Story(home).create().prepare()
    keys.write_open(keys.operator_path(home, "anna"), story.owner)
    sha256 = str(story.do(lambda txn: txn.conn.execute("SELECT sha256 FROM candidate").fetchone()[0]))
    story.candidate_sha256 = sha256  # type: ignore[attr-defined]
    return Stage(story, TestClock())


def _started(stage: Stage, symbol: str, approval: str) -> str:
    story = stage.story
    sha256 = story.candidate_sha256  # type: ignore[attr-defined]
    signed = story.mandate(sha256, symbol, approval=approval, allocation="50000")
    run = story.start(signed)
    stage.header(run, symbol)
    return run


def machine_story(stage: Stage, run: str) -> None:
    """A buy, a sell and a refusal on a machine run, all in its first bars."""
    story = stage.story
    plan, order = story.bar(run, BARS, 1, lambda txn: story.order(txn, run, BARS))
    story.bar(run, BARS + 1, 0, lambda txn: lines.record_fill(txn, plan, order, "0.5", "65000.25", "3.25"))
    stage.detail(f"{run}:{BARS}:0", "buy", "0.5", "fast above slow")
    paid = 32_503_375 * 10**5  # 0.5 at 65000.25 and a fee of 3.25
    flat, held = [50_000 * 10**8, 0, 0, 0, 0], [50_000 * 10**8 - paid, 50, paid - 325 * 10**6, 0, 325 * 10**6]
    for bar, book in ((BARS, flat), (BARS + 1, held), (BARS + 2, held)):
        begin = (START_US + bar * 60_000_000) * 1000
        entry = {
            "bar": [begin, begin + 60_000_000_000, 6_495_000, 6_503_000, 6_490_000, 6_500_000, 5],
            "seq": bar,
        }
        stage._journal(run, bar + 1, "bar", bar, entry, {"book": book})
    story.bar(run, BARS + 2, 1, lambda txn: story.refuse(txn, run, BARS + 2))
    refusals = json.dumps(
        [
            {
                "code": "MAX_ORDER",
                "control": "P3",
                "measured": "90",
                "limit": "10",
                "unit": "% of equity",
                "setting": "max_order.equity_pct",
                "message": "the order is too large: 90 % of equity, 10 % allowed.",
            }
        ]
    )
    stage.detail(f"{run}:{BARS + 2}:0", "buy", "900", "double up", refusals)


def build(home: Path, reason: str = "fast above slow", symbol: str = "btc-usd") -> Stage:
    """Two runs, one of them waiting for a person with one pending plan. Every random byte is fixed."""
    walk = random.Random(7)
    patch = pytest.MonkeyPatch()
    patch.setattr(os, "urandom", walk.randbytes)
    patch.setattr(ledger_story, "RULES", json.dumps({"controls": CONTROLS}).encode())
    try:
        stage = _prepared(home)
        machine = _started(stage, "eth-usd", "machine")
        stage.bars(machine)
        machine_story(stage, machine)
        human = _started(stage, symbol, "human")
        stage.bars(human, intents=1)
        stage.pending(human, BARS - 1, reason)
    finally:
        patch.undo()
    stage.time.wall = stage.story.clock.wall_us + 30_000_000
    return stage


__all__ = ["BARS", "FakeLink", "Stage", "TestClock", "build"]
