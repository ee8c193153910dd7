"""Refusals fold by the minute, and each attempt is counted in the end."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from inalpha.daemon import refusals
from inalpha.daemon.refusals import Refusals


class Ledger:
    """Takes the lines of each job."""

    def __init__(self) -> None:
        self.told: list[tuple[str, str, int]] = []

    async def write(self, job: Callable[[Any], None]) -> None:
        job(self)

    def line(self, kind: str, actor: str, data: dict[str, Any]) -> None:
        assert (kind, actor) == ("refusal", "system:daemon")
        self.told.append((data["code"], data["principal"], data["count"]))


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    at = [0.0]
    monkeypatch.setattr(refusals.time, "monotonic", lambda: at[0])
    return at


async def test_the_first_is_told_at_once_and_equal_ones_after_their_minute(now: list[float]) -> None:
    ledger = Ledger()
    made = Refusals(ledger)  # type: ignore[arg-type]
    for _ in range(5):
        await made.record("GATE_EXPIRED", "account.deposit", "op:anna")
    await made.record("GATE_EXPIRED", "account.deposit", "slot:cli-01")
    assert ledger.told == [("GATE_EXPIRED", "op:anna", 1), ("GATE_EXPIRED", "system:daemon", 1)]
    now[0] = 59.0
    await made.tell()
    assert len(ledger.told) == 2
    now[0] = 60.0
    await made.tell()
    assert ledger.told[2:] == [("GATE_EXPIRED", "op:anna", 4)]
    await made.record("GATE_EXPIRED", "account.deposit", "op:anna")
    assert ledger.told[3:] == [("GATE_EXPIRED", "op:anna", 1)]


async def test_one_that_comes_after_the_minute_tells_those_before_it_too(now: list[float]) -> None:
    ledger = Ledger()
    made = Refusals(ledger)  # type: ignore[arg-type]
    for at in (0.0, 10.0, 70.0):
        now[0] = at
        await made.record("ROLE", "plan.approve", "agent:claude")
    assert [count for _, _, count in ledger.told] == [1, 2]


async def test_what_is_counted_is_told_at_the_stop_and_when_there_are_too_many_kinds(
    now: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(refusals, "MAX_KINDS", 3)
    ledger = Ledger()
    made = Refusals(ledger)  # type: ignore[arg-type]
    for number in range(7):
        for _ in range(2):
            await made.record(f"C{number}", "x", "op:anna")
    await made.tell(everything=True)
    assert sum(count for _, _, count in ledger.told) == 14
