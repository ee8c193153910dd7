"""A run's step against a halt that arrives while it is under way."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any, cast

import pytest
from support.bench import bench, buy, sell

from inalpha.daemon.actor import RunActor
from inalpha.daemon.runplan import StepVoided
from inalpha.model.risk import AccountContext
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
    states: list[HaltState] = []

    async def cut_off(state: HaltState) -> None:
        states.append(state)

    monkeypatch.setattr(actor, "cut_off", cut_off)

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
    assert states == [HaltState.REDUCING]


@pytest.mark.parametrize("is_loaded", [True, False])
def test_a_run_that_is_cut_off_ends_its_entries_also_without_a_runner(is_loaded: bool) -> None:
    """An exit that works and a resting entry; the kernel of a run that cannot be loaded comes from its journal."""
    made = bench({0: [buy("10")], 2: [buy("5", limit="96"), sell("10", stop="90", reduce_only=True)]},
                 *[(10_000, 10_010, 9_990, 10_000)] * 3)  # fmt: skip
    written: list[Any] = []
    conn: Any = SimpleNamespace(
        execute=lambda *args: written.append(args) or SimpleNamespace(fetchone=lambda: None)
    )
    txn: Any = SimpleNamespace(conn=conn)

    async def write(job: Any, notice: Any = None) -> Any:
        return job(txn)

    context = AccountContext(base_cash_e8=10**14)
    accounts: Any = SimpleNamespace(claim=lambda *args: None, context=lambda *args: context)
    office: Any = SimpleNamespace(accounts=accounts, write=write)
    plan: Any = SimpleNamespace(spec=SimpleNamespace(run="test"), facts=SimpleNamespace(account="a", run="test"),
                                rules=default_rules(), has_ended=False)  # fmt: skip
    actor = RunActor(office, plan)

    async def rebuilt() -> Any:
        return made.kernel

    actor.kernel = made.kernel if is_loaded else None
    actor._rebuild_alone = rebuilt  # type: ignore[method-assign]
    asyncio.run(actor.cut_off(HaltState.REDUCING))
    assert [(order.id, order.is_entry) for order in made.kernel.orders] == [("2:1", False)]
    assert made.kernel.halt is HaltState.REDUCING and written
