"""Who stopped it and why, on a real daemon: a claim without a key, a principal with one."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.installation import Installation, first_bars, inalpha, until

from inalpha.client.halting import set_halt
from inalpha.daemon.claimant import os_claimant
from inalpha.ledger import readers
from inalpha.model.home import Home
from inalpha.model.states import HaltState
from inalpha.model.whoami import user_name

IDLE = """from inalpha import Strategy


class Idle(Strategy):
    def on_bar(self, bar):
        pass
"""


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Installation]:
    found = Installation(tmp_path / "home")
    found.init()
    found.start()
    yield found
    found.stop()


def test_stops_and_halts_tell_who_and_why(home: Installation) -> None:
    (home.home.parent / "idle.py").write_text(IDLE)
    candidate = home.promote(home.home.parent / "idle.py")
    for symbol, file in (("GOOG", "GOOG-1d.csv"), ("IBM", "IBM-1d.csv")):
        home.run(candidate, first_bars(file, 2000, home.home.parent / f"{symbol}.csv"), "20", symbol)
    home("run", "stop", "run-1", "--reason", "seen enough")
    inalpha(
        home.home, "run", "stop", "run-2", "--flatten", "--reason", "signed"
    )  # signed, with nothing to close
    home("halt", "--all", "--reason", "lunch")
    silent = Home(home.home)

    def nobody(args: object) -> object:
        raise OSError("nobody answers")

    scope = {"scope": "all", "account": None, "run": None}
    set_halt(silent, scope, HaltState.KILLED, "fire", nobody, "console")
    reader = readers.open_reader(home.home)

    def states() -> list[str]:
        return [row["state"] for row in readers.halts(reader)]

    until(lambda: states() == ["KILLED"], what="the row's way into the ledger")
    claimed = os_claimant(user_name())
    stops = [(event.actor, event.data) for event in readers.lines(reader, kind="run.stop")]
    assert [(actor, data.get("claimed_by")) for actor, data in stops] == [
        ("system:daemon", claimed), ("op:alice", None),
    ]  # fmt: skip
    halts = [(event.actor, event.data) for event in readers.lines(reader, kind="halt.set")]
    assert {(actor, data["claimed_by"]) for actor, data in halts} == {("system:daemon", claimed)}
    texts = [readers.read_text(home.home, data["reason_commit"]) for _, data in [*stops, *halts]]
    assert texts == ["seen enough", "signed", "lunch", "fire"]
    assert [row["claimed_by"] for row in readers.halts(reader)] == [claimed]
    assert readers.read_text(home.home, readers.run(reader, "run-1")["reason_commit"]) == "seen enough"
    raised = [row for row in readers.alerts(reader) if row["kind"] == "halt"]
    assert [(row["scope"], row["state"], row["count"]) for row in raised] == [
        ("all", "HALTED", 1), ("all", "KILLED", 1),
    ]  # fmt: skip
    assert all(row["last_ts"] >= row["ts"] for row in raised)
    reader.close()
    home("audit", "verify", "--no-exec")
    home("audit", "export", str(home.home.parent / "night.zip"))


def test_repeats_of_an_alert_move_its_last_time(home: Installation) -> None:
    home("halt", "--all", "--reason", "one")
    for reason in ("two", "three"):
        home("resume", "all", "--reason", "again")
        home("halt", "--all", "--reason", reason)
    conn = sqlite3.connect(home.home / "ledger.db")
    sql = "SELECT count, ts < last_ts FROM alert WHERE kind = 'halt' AND scope = 'all'"
    assert conn.execute(sql).fetchall() == [(3, 1)]
    conn.close()
