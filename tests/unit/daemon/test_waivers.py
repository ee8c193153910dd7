"""A waiver that ends while a runner is being loaded: the run knows."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any, cast

import pytest

from inalpha.daemon.actor import RunActor
from inalpha.daemon.office import Office
from inalpha.daemon.runplan import RunFailed
from inalpha.execution.waivers import Waiver
from inalpha.risk.rules import default_rules

RULE = "isolation.fenced.host-local"


def loaded_at(now_us: int) -> RunActor:
    """A run whose owner ends its waiver (at 5) between demand and load: such jobs are done together."""
    actor = object.__new__(RunActor)
    actor.run, actor.account, actor.waivers = "run-1", "a", []
    actor.plan = cast(Any, SimpleNamespace(rules=default_rules()))
    ended = Waiver(RULE, "run-1", 5, 9)
    later = [ended]

    async def write(job: Any, notice: Any = None) -> Any:
        value = job(SimpleNamespace(line=lambda *_: 0, blob=lambda _: "", now_us=now_us))
        if later:
            actor.rely_on(later.pop())
        return value

    async def load(plan: Any, limits: Any, level: str) -> Any:
        return SimpleNamespace(members={}, host="host-local", level="fenced")

    office = SimpleNamespace(
        write=write,
        rules_in_force=lambda txn, account: default_rules(),
        demand_waivers=lambda *_: [Waiver(RULE, "run-1", 1000, 3)],
        link=SimpleNamespace(load=load),
    )
    asyncio.run(Office.load_runner(cast(Any, office), actor))
    return actor


def test_the_owners_word_between_demand_and_load_is_not_forgotten() -> None:
    assert loaded_at(4).waiver_over(6) == Waiver(RULE, "run-1", 5, 9)


def test_no_line_tells_of_a_runner_whose_waiver_ended_meanwhile() -> None:
    with pytest.raises(RunFailed, match="line 9"):
        loaded_at(6)
