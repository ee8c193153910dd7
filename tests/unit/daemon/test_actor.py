"""A run's step against a halt that arrives while it is under way."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any, cast

import pytest

from inalpha.daemon.actor import RunActor
from inalpha.daemon.runplan import StepVoided
from inalpha.model.states import HaltState
from inalpha.risk.rules import default_rules


def test_a_step_that_a_halt_overtook_writes_no_line() -> None:
    """Its fills would stand behind the halt's line, and no honest record may hold that."""

    def write(*args: Any) -> None:
        raise AssertionError("the voided step went on")

    office: Any = SimpleNamespace(halt_now=lambda txn, account, run: HaltState.HALTED)
    plan: Any = SimpleNamespace(
        spec=SimpleNamespace(run="run-1"),
        facts=SimpleNamespace(account="a"),
        rules=default_rules(),
        has_ended=False,
    )
    actor = RunActor(office, plan)
    kernel: Any = SimpleNamespace(finish=write)
    with pytest.raises(StepVoided):
        actor._commit(cast(Any, None), kernel, None, HaltState.ACTIVE)


def test_a_source_lost_five_times_is_a_block_until_a_fresh_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[str] = []
    pauses: list[float] = []

    async def nothing(*args: Any) -> None:
        return None

    async def write(job: Any, notice: Any = None) -> None:
        job(None)

    async def sleep(seconds: float) -> None:
        pauses.append(seconds)

    accounts: Any = SimpleNamespace(blocks={}, halt_of=lambda account, run: HaltState.ACTIVE)
    office: Any = SimpleNamespace(
        accounts=accounts,
        write=write,
        note_retry=nothing,
        log=lambda *args, **members: None,
        alert=lambda txn, kind, scope, text: told.append(f"{kind} {scope} {text}"),
    )
    plan: Any = SimpleNamespace(
        spec=SimpleNamespace(run="run-1"),
        facts=SimpleNamespace(account="a"),
        rules=default_rules(),
        has_ended=False,
    )
    monkeypatch.setattr("inalpha.daemon.retries.asyncio.sleep", sleep)
    actor = RunActor(office, plan)

    async def story() -> None:
        for _ in range(4):
            await actor.retries.back_off("FEED", "connection reset")
        assert (accounts.blocks, actor.retries.state(), told) == ({}, HaltState.ACTIVE, [])
        await actor.retries.back_off("FEED", "connection reset")
        (block,) = accounts.blocks["run-1"]
        assert (block.code, block.measured, block.limit) == ("FEED_LOST", "5", "5")
        assert actor.retries.state() is HaltState.REDUCING
        await actor.retries.back_off("FEED", "connection reset")
        assert told == ["disconnect run-1 FEED_LOST after 5 tries: connection reset"]
        await actor.retries.reconnected()
        assert (accounts.blocks, actor.retries.state()) == ({}, HaltState.ACTIVE)

    asyncio.run(story())
    assert pauses == [2.0, 4.0, 8.0, 16.0, 32.0, 60.0]
