"""A halt reaches whoever can still take it, and says so when nobody can."""

from __future__ import annotations

import errno
import json
import signal
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from inalpha.client.halting import scope_of, set_halt
from inalpha.client.presence import start_ticks
from inalpha.model import latch
from inalpha.model.errors import InalphaError, Refused, TryAgain
from inalpha.model.home import Home
from inalpha.model.ownership import owner_account_id
from inalpha.model.states import HaltState

ALL = {"scope": "all", "account": None, "run": None}


def answers(args: Mapping[str, Any]) -> object:
    return {}


def silent(args: Mapping[str, Any]) -> object:
    raise TryAgain("NO_REPLY", "no reply to halt.", "")


@pytest.mark.parametrize("state", [HaltState.HALTED, HaltState.KILLED])
def test_a_latch_that_cannot_be_written_leaves_the_daemon(tmp_path: Path, state: HaltState) -> None:
    home = Home(tmp_path)
    home.latch.mkdir()
    assert set_halt(home, ALL, state, "enough", answers, "cli")["by"] == "daemon"
    found = set_halt(home, ALL, state, "enough", silent, "cli")
    assert found["by"] == "latch"  # what cannot be read is killed
    assert "all is killed until a person resumes" in found["warnings"][0]


@pytest.mark.parametrize("state", [HaltState.HALTED, HaltState.KILLED])
def test_neither_the_daemon_nor_the_latch_is_no_halt(
    tmp_path: Path, state: HaltState, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = Home(tmp_path)
    latch.create(home.latch)

    def refuses(path: Path, row: latch.LatchRow) -> bool:
        raise OSError(errno.EROFS, "Read-only file system", str(path))

    monkeypatch.setattr(latch, "append_row", refuses)
    assert set_halt(home, ALL, state, "enough", answers, "cli")["by"] == "daemon"
    with pytest.raises(InalphaError, match="neither the daemon nor the latch took it") as caught:
        set_halt(home, ALL, state, "enough", silent, "cli")
    assert (caught.value.code, caught.value.exit_code) == ("LATCH", 78)
    assert str(home.latch) in caught.value.message


def test_a_reason_that_is_no_text_is_written_all_the_same(tmp_path: Path) -> None:
    home = Home(tmp_path)
    latch.create(home.latch)
    set_halt(home, ALL, HaltState.KILLED, "caf\udce9", silent, "cli")
    assert [row.reason for row in latch.read_rows(home.latch)] == ["caf?"]


def test_whatever_asking_came_to_the_latch_binds(tmp_path: Path) -> None:
    home = Home(tmp_path)
    latch.create(home.latch)

    def breaks(args: Mapping[str, Any]) -> object:
        raise ValueError("daemon.json holds no key")

    for state in (HaltState.HALTED, HaltState.KILLED):
        assert set_halt(home, ALL, state, "enough", breaks, "cli")["by"] == "latch"
    assert [row.state for row in latch.read_rows(home.latch)] == [HaltState.HALTED, HaltState.KILLED]


def test_only_a_recorded_runner_with_its_start_time_is_killed(tmp_path: Path) -> None:
    home = Home(tmp_path)
    latch.create(home.latch)
    runner, stranger = (subprocess.Popen(["sleep", "60"]) for _ in range(2))
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        ticks = start_ticks(runner.pid)
        rows = [[runner.pid, ticks, boot], [stranger.pid, 1, boot], [stranger.pid, 1, "another boot"]]
        (tmp_path / "run").mkdir()
        (tmp_path / "run" / "runners.json").write_text(json.dumps(rows))
        gone = {"pid": 1, "start_ticks": -1, "state": "running", "epoch": 1, "instance": "x"}
        (tmp_path / "daemon.json").write_text(json.dumps({**gone, "run_dir": str(tmp_path / "run")}))
        assert set_halt(home, ALL, HaltState.KILLED, "enough", silent, "cli")["killed"] == 1
        assert runner.wait(5) == -signal.SIGKILL
        assert stranger.poll() is None
    finally:
        for process in (runner, stranger):
            process.kill()
            process.wait()


def test_a_name_is_taken_as_given_where_no_ledger_says_otherwise(tmp_path: Path) -> None:
    home = Home(tmp_path)
    (tmp_path / "ledger.db").write_bytes(b"no ledger at all" * 500)
    assert scope_of(home, None, None)[1] == []
    scope, told = scope_of(home, "run-7", None)
    assert (scope["run"], len(told)) == ("run-7", 1)
    scope, told = scope_of(home, None, "alice")
    assert (scope["account"], len(told)) == (owner_account_id("alice"), 1)
    with pytest.raises(Refused, match="NO_RUN"):
        scope_of(home, "everything", None)
