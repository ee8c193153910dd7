"""I20 on a journal that cannot be executed: a failure that is named, never a traceback."""

from __future__ import annotations

import sqlite3
from contextlib import nullcontext
from pathlib import Path

import pytest

import runners.local
from inalpha.cli.audit import _execute
from inalpha.model.home import Home
from inalpha.research import reexecute


@pytest.mark.parametrize("error", [ValueError("another kernel version"), KeyError("kernel")])
def test_header_of_another_kernel_fails_at_the_runs_start(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, error: Exception
) -> None:
    def load(*_: object) -> None:
        raise error

    monkeypatch.setattr(reexecute, "load_record", load)
    monkeypatch.setattr(runners.local, "LocalSandbox", nullcontext)
    reader = sqlite3.connect(":memory:")
    reader.executescript(
        "CREATE TABLE run (run, started_seq); CREATE TABLE journal (run);"
        "INSERT INTO run VALUES ('run-1', 7); INSERT INTO journal VALUES ('run-1')"
    )
    seq, reason = _execute(Home(tmp_path), reader)
    assert seq == 7 and reason.startswith("run-1: ") and "kernel" in reason
