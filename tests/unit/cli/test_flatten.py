"""Flatten beside a busy run: each of its two acts is asked again alone, so no second closing order is proposed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from inalpha.cli import propose
from inalpha.model.errors import InalphaError


def busy_at_first(told: list[str], name: str, value: Any, code: str = "RUN_BUSY") -> Callable[..., Any]:
    """An act that the daemon refuses once; a client gets its refusals as plain InalphaError."""

    def act(*args: Any) -> Any:
        told.append(name)
        if told.count(name) == 1:
            raise InalphaError(code, "the run is inside a step.")
        return value

    return act


def test_a_busy_run_is_asked_again_for_the_act_that_it_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[str] = []
    made = {"plan": "plan-1", "plan_sha256": "d"}
    monkeypatch.setattr(propose, "propose", busy_at_first(told, "propose", made))
    monkeypatch.setattr(propose, "approve_plan", busy_at_first(told, "approve", {"order": "order-1"}))
    nobody: Any = None
    assert propose.flatten(nobody, nobody, "run-1") == {"order": "order-1"}
    assert told == ["propose", "propose", "approve", "approve"]


def test_another_refusal_is_told_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[str] = []
    monkeypatch.setattr(propose, "propose", busy_at_first(told, "propose", None, "HALTED"))
    nobody: Any = None
    with pytest.raises(InalphaError, match="HALTED"):
        propose.flatten(nobody, nobody, "run-1")
    assert told == ["propose"]
