"""A run's step against a halt that arrives while it is under way."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest

from inalpha.daemon.actor import RunActor
from inalpha.daemon.runplan import StepVoided
from inalpha.model.states import HaltState


def test_a_step_that_a_halt_overtook_writes_no_line() -> None:
    """Its fills would stand behind the halt's line, and no honest record may hold that."""

    def write(*args: Any) -> None:
        raise AssertionError("the voided step went on")

    office: Any = SimpleNamespace(halt_now=lambda txn, account, run: HaltState.HALTED)
    plan: Any = SimpleNamespace(
        spec=SimpleNamespace(run="run-1"),
        facts=SimpleNamespace(account="a"),
        rules=SimpleNamespace(sha256=""),
        has_ended=False,
    )
    actor = RunActor(office, plan)
    kernel: Any = SimpleNamespace(finish=write)
    with pytest.raises(StepVoided):
        actor._commit(cast(Any, None), kernel, None, HaltState.ACTIVE)
