"""A ledger that another program holds: the daemon waits, tells, and goes on; nobody sees a traceback."""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.installation import Installation, first_bars, inalpha, until

HELD_S = float(os.environ.get("INALPHA_BUSY_S", "5"))  # a campaign holds it for 60
READING = (
    ("status",), ("run", "list"), ("run", "show", "run-1"), ("fills",), ("decisions",), ("positions",), ("account",),
    ("plan", "list"), ("candidate", "list"), ("audit", "log"), ("report",), ("risk", "show"),
)  # fmt: skip
STEADY = """from inalpha import Strategy


class Steady(Strategy):
    def on_bar(self, bar):
        if bar.sequence % 10 == 0:
            self.buy(1, reason="every tenth")
"""


@contextlib.contextmanager
def held(home: Path, sql: str = "BEGIN EXCLUSIVE") -> Iterator[None]:
    other = sqlite3.connect(home / "ledger.db", isolation_level=None)
    try:
        for statement in sql.split(";"):
            other.execute(statement)
        yield
        if other.in_transaction:
            other.execute("ROLLBACK")
    finally:
        other.close()


@pytest.fixture
def trading(tmp_path: Path) -> Iterator[tuple[Installation, str]]:
    home = Installation(tmp_path / "home")
    home.init()
    home.start()
    (tmp_path / "steady.py").write_text(STEADY)
    yield home, home.promote(tmp_path / "steady.py")
    home.stop()


@pytest.mark.parametrize(
    "sql",
    [
        "BEGIN EXCLUSIVE",
        pytest.param("BEGIN IMMEDIATE;UPDATE meta SET value = value", marks=pytest.mark.campaign),
    ],
)
def test_a_held_ledger_ends_neither_the_daemon_nor_a_run(
    trading: tuple[Installation, str], tmp_path: Path, sql: str
) -> None:
    home, candidate = trading
    assert home.daemon is not None
    run = home.run(candidate, first_bars("GOOG-1d.csv", 300, tmp_path / "goog.csv"), "40")
    until(lambda: home.json("run", "show", run)["bars"] > 5, what="bars")
    with held(home.home, sql):
        ends = time.monotonic() + HELD_S
        seen = home.json("run", "show", run)["bars"]
        until(lambda: "ledger_busy" in (home.home / "test.log").read_text(), what="the daemon's word")
        time_of_command = time.monotonic()
        refused = inalpha(home.home, "run", "stop", run)
        assert refused.returncode == 75, (refused.stdout, refused.stderr)
        assert "LEDGER_BUSY" in refused.stderr
        assert time.monotonic() - time_of_command < 10
        for verb in READING:
            found = inalpha(home.home, *verb)
            assert found.returncode in (0, 75), (verb, found.stderr)
            assert "Traceback" not in found.stderr
        until(lambda: time.monotonic() > ends, HELD_S + 5, "the end of the lock")
        assert home.daemon.poll() is None
        assert home.json("run", "show", run)["bars"] <= seen + 1
    until(lambda: home.json("run", "show", run)["bars"] > seen + 5, what="bars again")
    until(lambda: "ledger_free" in (home.home / "test.log").read_text(), what="the daemon's word")
    reader = sqlite3.connect(f"file:{home.home / 'ledger.db'}?mode=ro", uri=True)
    told = "SELECT text FROM alert WHERE kind = 'ledger'"
    until(lambda: reader.execute(told).fetchone(), what="the alert")
    reader.close()
    home("run", "wait", run, "--timeout", "60")
    shown = home.json("run", "show", run)
    assert (shown["state"], shown["reason"], shown["bars"]) == ("stopped", "feed_ended", 300)
    assert home.json("replay", run)["divergence"] is None
    home("audit", "verify", "--no-exec")


@pytest.mark.campaign
def test_blobs_that_are_held_are_waited_for(trading: tuple[Installation, str], tmp_path: Path) -> None:
    home, candidate = trading
    assert home.daemon is not None
    other = sqlite3.connect(home.home / "blobs.db", isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    run = ""
    try:
        found = inalpha(
            home.home, "run", "start", candidate, "--symbol", "GOOG", "--timeframe", "1d", "--feed",
            f"replay:{first_bars('GOOG-1d.csv', 60, tmp_path / 'goog.csv')}@max", "--json",
        )  # fmt: skip
        assert found.returncode == 75, (found.stdout, found.stderr)
        assert "Traceback" not in found.stderr
    finally:
        other.execute("ROLLBACK")
        other.close()
    until(lambda: home.items("run", "list"), what="the run that was waiting")
    run = home.items("run", "list")[0]["run"]
    home("run", "wait", run, "--timeout", "30")
    assert home.daemon.poll() is None


@pytest.mark.campaign
def test_a_daemon_that_waits_for_its_ledger_stops_within_ten_seconds(
    trading: tuple[Installation, str], tmp_path: Path
) -> None:
    home, candidate = trading
    assert home.daemon is not None
    run = home.run(candidate, first_bars("GOOG-1d.csv", 100, tmp_path / "goog.csv"), "40")
    until(lambda: home.json("run", "show", run)["bars"] > 5, what="bars")
    with held(home.home):
        until(lambda: "ledger_busy" in (home.home / "test.log").read_text(), what="the daemon's word")
        began = time.monotonic()
        home.daemon.terminate()
        home.daemon.wait(timeout=10)
        assert time.monotonic() - began < 10
        started = inalpha(home.home, "--daemon", timeout_s=30)
        assert started.returncode == 75, started.stderr
        assert "LEDGER_BUSY" in started.stderr
    home.start()
    home("run", "wait", run, "--timeout", "30")
    assert home.json("run", "show", run)["bars"] == 100
    home("audit", "verify", "--no-exec")


@pytest.mark.campaign
def test_a_file_held_whole_without_a_daemon_is_told_in_a_sentence(
    trading: tuple[Installation, str],
) -> None:
    home, _ = trading
    home.stop()
    with held(home.home, "PRAGMA locking_mode = EXCLUSIVE;BEGIN EXCLUSIVE"):
        for verb in (("fills",), ("audit", "verify"), ("--daemon",)):
            found = inalpha(home.home, *verb)
            assert found.returncode == 75, (verb, found.returncode, found.stderr)
            assert "LEDGER_BUSY" in found.stderr
            assert "Traceback" not in found.stderr
        found = inalpha(home.home, "status", "--json")
        assert json.loads(found.stdout)["error"]["code"] == "LEDGER_BUSY"
