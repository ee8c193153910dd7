"""SIGKILL during commits: what was acknowledged is there, nothing is half done, the next start recovers."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from support.ledger_story import Story

from inalpha.audit.verify import verify
from inalpha.ledger.readers import open_reader, size

WRITER = """
import sys
from pathlib import Path
from inalpha.ledger.writer import Ledger
ledger = Ledger.open(Path(sys.argv[1]))
data = {"code": "X", "command": "y", "count": 1, "principal": "op:anna"}
def job(txn):
    commit = txn.commit_text("why")
    halt = {"account": None, "reason_commit": commit, "run": None, "scope": "all", "state": "REDUCING"}
    txn.line("halt.set", "system:risk", halt)
    return txn.line("refusal", "system:daemon", data)
while True:
    print(ledger.submit(job).result(), flush=True)
"""


def killed_after(home: Path, commits: int) -> int:
    """Start a writer, kill it after so many acknowledged commits; returns the last acknowledged seq."""
    process = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(home)],
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[2],
    )
    assert process.stdout is not None
    last = -1
    for _ in range(commits):
        last = int(process.stdout.readline())
    os.kill(process.pid, signal.SIGKILL)
    rest = process.stdout.read().split("\n")[:-1]
    process.wait()
    return int(rest[-1]) if rest else last


def loop(home: Path, rounds: int, seed: int) -> None:
    story = Story(home).create()
    story.close()
    chooser = random.Random(seed)
    for _ in range(rounds):
        last = killed_after(home, chooser.randrange(1, 60))
        reader = open_reader(home)
        assert size(reader) > last
        odd = reader.execute("SELECT entry FROM ev ORDER BY seq DESC LIMIT 1").fetchone()[0]
        assert b'"kind":"refusal"' in odd
        reader.close()
        report = verify(home, story.genesis)
        assert report.reason is None, seed


def test_killed_writer_loses_nothing_acknowledged(tmp_path: Path) -> None:
    loop(tmp_path / "home", 6, 11)


@pytest.mark.campaign
def test_killed_writer_loses_nothing_acknowledged_for_long(tmp_path: Path) -> None:
    loop(tmp_path / "home", 200, 12)
