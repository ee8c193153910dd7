"""Tightening without a key: ask the daemon, and bind it by the latch when it does not answer."""

from __future__ import annotations

import getpass
import os
import signal
import time
from collections.abc import Callable, Mapping
from typing import Any

from inalpha.client.operator import reading
from inalpha.client.presence import find
from inalpha.ledger import readers
from inalpha.model import latch
from inalpha.model.errors import InalphaError
from inalpha.model.home import Home
from inalpha.model.states import HaltState

ANSWER_S = 1.0
# Nobody answered: then the latch file binds instead.
SILENT = frozenset({"NO_DAEMON", "NO_REPLY", "NO_STATE", "BUS_DOWN", "NO_SLOT"})

Ask = Callable[[Mapping[str, Any]], object]


def set_halt(
    home: Home, scope: Mapping[str, Any], state: HaltState, reason: str, ask: Ask, where: str
) -> dict[str, Any]:
    """Row first for a kill; a plain halt asks the daemon and latches when it does not answer in 1 s.

    ask: sends the `halt` command with these arguments and raises InalphaError or OSError. where: cli or console.
    """
    warnings: list[str] = []
    by = "daemon"
    row = latch.LatchRow(
        scope["scope"], state, f"{where}:{getpass.getuser()}", reason, time.time_ns() // 1000, scope["account"],
        scope["run"],
    )  # fmt: skip
    if state is HaltState.KILLED:
        by = _latch(home, row, warnings) or by
        _kill_runners(home, scope)
    try:
        ask({**scope, "state": state.value, "reason": reason, "user": getpass.getuser()})
    except (InalphaError, OSError) as error:
        if isinstance(error, InalphaError) and error.code not in SILENT:
            raise
        if state is not HaltState.KILLED:
            by = _latch(home, row, warnings) or by
        if by != "latch":
            raise InalphaError(
                "LATCH",
                f"neither the daemon nor the latch took it: {warnings[-1]}.",
                "Mend the home's disk or modes.",
            ) from error
    return {"scope": row.scope_key, "state": state.value, "by": by, "warnings": warnings}


def _latch(home: Home, row: latch.LatchRow, warnings: list[str]) -> str:
    """ "latch", or "" when the row cannot be written: runners and daemon are still to be told."""
    try:
        if not latch.append_row(home.latch, row):
            warnings.append("a transaction was in flight when the latch was set; it may still commit")
    except OSError as error:
        warnings.append(f"the latch cannot be written: {error}")
        return ""
    return "latch"


def _kill_runners(home: Home, scope: Mapping[str, Any]) -> None:
    """By recorded pid, only while the recorded daemon's file names it; the host reaps."""
    found = find(home)
    if found is None:
        return
    for run, pid in found.runners.items():
        if scope["run"] not in (None, run):
            continue
        if scope["account"] is not None:
            with reading(home) as reader:
                if readers.run(reader, run)["account"] != scope["account"]:
                    continue
        try:
            os.kill(pid, signal.SIGKILL)
        except (ProcessLookupError, PermissionError):
            continue
