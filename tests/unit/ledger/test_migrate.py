"""An older schema is brought forward in one transaction, with a backup beside it and a line about it, or not at all."""

from __future__ import annotations

import hashlib
import os
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from support.forgery import events_of
from support.ledger_story import Story, whole_story

from inalpha.audit.verify import verify
from inalpha.ledger import database
from inalpha.model.errors import ConfigError

SCRIPT = "CREATE TABLE extra(x TEXT NOT NULL) STRICT;\nINSERT INTO extra VALUES ('made');\n"
SHA256 = hashlib.sha256(SCRIPT.encode()).hexdigest()
ROOT = Path(__file__).parents[3]

KILLED = """
import os, signal, sys
from pathlib import Path
from inalpha.ledger import database
from inalpha.ledger.writer import Ledger
database.SCHEMA_VERSION = 2
database.migrations = lambda after: [(2, "CREATE TABLE extra(x);\\nSELECT die();\\n", "0" * 64)]
connect = database.connect
def connected(path):
    conn = connect(path)
    conn.create_function("die", 0, lambda: os.kill(os.getpid(), signal.SIGKILL))
    return conn
database.connect = connected
Ledger.open(Path(sys.argv[1]))
"""


def version(path: Path) -> int:
    conn = sqlite3.connect(path)
    try:
        return int(conn.execute("PRAGMA user_version").fetchone()[0])
    finally:
        conn.close()


@pytest.fixture
def newer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "SCHEMA_VERSION", 2)
    monkeypatch.setattr(database, "migrations", lambda after: [(2, SCRIPT, SHA256)] if after < 2 else [])


@pytest.mark.usefixtures("newer")
def test_older_file_is_brought_forward_once(tmp_path: Path) -> None:
    with pytest.MonkeyPatch.context() as before:
        before.setattr(database, "SCHEMA_VERSION", 1)
        story = whole_story(tmp_path / "home")
    for _ in range(2):
        story.open()
        assert story.do(lambda txn: txn.conn.execute("SELECT x FROM extra").fetchall()) == [("made",)]
        story.close()
    told = [event.data for event in events_of(story.home) if event.kind == "schema.migrate"]
    assert told == [{"from": 1, "sha256": SHA256, "to": 2}]
    assert version(story.home / "ledger.db") == 2
    assert version(story.home / "ledger-schema1.backup") == 1
    assert verify(story.home, story.genesis).reason is None


def test_unclosed_epoch_recovers_before_its_migration_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    story = Story(tmp_path / "home").create()
    story.ledger.abandon()
    monkeypatch.setattr(database, "SCHEMA_VERSION", 2)
    monkeypatch.setattr(database, "migrations", lambda after: [(2, SCRIPT, SHA256)])
    story.open()
    story.close()
    kinds = [event.kind for event in events_of(story.home)]
    assert kinds.index("recovery") < kinds.index("schema.migrate")
    assert verify(story.home, story.genesis).reason is None


@pytest.mark.parametrize("script", ["CREATE TABLE extra(x);\nCREATE TABLE extra(x);\n", "DELETE FROM ev;\n"])
def test_failing_script_leaves_the_file_untouched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str
) -> None:
    story = whole_story(tmp_path / "home")
    before = events_of(story.home)
    with pytest.MonkeyPatch.context() as failing:
        failing.setattr(database, "SCHEMA_VERSION", 2)
        failing.setattr(database, "migrations", lambda after: [(2, script, SHA256)])
        with pytest.raises(sqlite3.Error):
            story.open()
    assert version(story.home / "ledger.db") == 1 and events_of(story.home) == before
    story.open()
    story.close()
    assert verify(story.home, story.genesis).reason is None


def test_killed_inside_a_migration_the_old_schema_opens(tmp_path: Path) -> None:
    story = whole_story(tmp_path / "home")
    child = subprocess.run(
        [sys.executable, "-c", KILLED, str(story.home)], cwd=ROOT, env=os.environ, check=False
    )
    assert child.returncode == -signal.SIGKILL
    assert version(story.home / "ledger.db") == 1
    assert version(story.home / "ledger-schema1.backup") == 1
    story.open()
    story.close()
    assert verify(story.home, story.genesis).reason is None


@pytest.mark.usefixtures("newer")
def test_newer_file_is_not_touched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    story = whole_story(tmp_path / "home")
    monkeypatch.setattr(database, "SCHEMA_VERSION", 1)
    before = (story.home / "ledger.db").read_bytes()
    with pytest.raises(ConfigError, match="SCHEMA_NEWER"):
        story.open()
    assert (story.home / "ledger.db").read_bytes() == before
