"""The halt latch: what cannot be read counts as killed."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from inalpha.model import latch
from inalpha.model.states import HaltState

ROW = latch.LatchRow("run", HaltState.HALTED, "op:alice", "“enough”", 5, run="run-1")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    file = tmp_path / "halt.latch"
    latch.create(file)
    return file


def test_rows_are_read_back_as_written(path: Path) -> None:
    assert latch.read_rows(path) == []
    assert latch.append_row(path, ROW)
    assert latch.read_rows(path) == [ROW]


def test_every_flipped_byte_counts_as_killed(path: Path) -> None:
    data = latch.encode_row(ROW)
    for index in range(len(data)):
        path.write_bytes(data[:index] + bytes([data[index] ^ 1]) + data[index + 1 :])
        assert latch.read_rows(path)[-1].state is HaltState.KILLED


def test_a_torn_row_and_a_missing_file_count_as_killed(path: Path) -> None:
    path.write_bytes(latch.encode_row(ROW)[:-5])
    assert latch.read_rows(path) == [latch.UNREADABLE]
    path.unlink()
    assert latch.read_rows(path) == [latch.UNREADABLE]
    with latch.commit_guard(path) as rows:
        assert rows == [latch.UNREADABLE]


def test_a_row_in_place_of_a_missing_file_stays_killed_for_all(path: Path) -> None:
    path.unlink()
    assert latch.append_row(path, ROW)
    assert latch.read_rows(path) == [latch.UNREADABLE, ROW]
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_writer_waits_for_commits_in_flight_and_says_when_it_could_not(path: Path) -> None:
    with latch.commit_guard(path) as rows:
        assert rows == []
        assert not latch.append_row(path, ROW)
    assert latch.append_row(path, ROW)


def test_clearing_keeps_a_row_that_arrived_meanwhile(path: Path) -> None:
    latch.append_row(path, ROW)
    latch.append_row(path, ROW)
    assert not latch.clear(path, 1)
    assert len(latch.read_rows(path)) == 2
    assert latch.clear(path, 2)
    assert latch.read_rows(path) == []


def test_what_is_no_file_counts_as_killed_and_holds_nobody_up(path: Path) -> None:
    for make in (Path.mkdir, os.mkfifo):
        path.unlink() if path.is_file() else path.rename(path.with_name(f"old-{make.__name__}"))
        make(path)
        assert latch.read_rows(path) == [latch.UNREADABLE]
        with pytest.raises(OSError, match=r"directory|regular|device"):
            latch.append_row(path, ROW)
        latch.create(path)
        assert latch.read_rows(path) == []
