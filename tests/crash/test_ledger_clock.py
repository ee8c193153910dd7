"""The host's clock moved under a running writer by libfaketime: told in the record, never a broken one."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from support.installation import until
from support.ledger_story import Story, TestClock

from inalpha.audit.event import read_event
from inalpha.audit.verify import verify
from inalpha.ledger.clock import system_clock

LIBRARY = next(iter(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1")), None)
ROOT = Path(__file__).parents[2]

WRITER = """
import sys
from pathlib import Path
from inalpha.ledger.writer import Ledger
ledger = Ledger.open(Path(sys.argv[1]))
data = {"code": "X", "command": "y", "count": 1, "principal": "op:anna"}
for line in sys.stdin:
    ledger.submit(lambda txn: txn.line("refusal", "system:daemon", data)).result()
    print("written", flush=True)
ledger.close("end")
"""


@pytest.mark.skipif(LIBRARY is None, reason="needs libfaketime")
@pytest.mark.parametrize(("moved", "hours"), [("+1h", 1), ("-1h", -1)])
def test_clock_moved_under_a_running_writer_is_told(tmp_path: Path, moved: str, hours: int) -> None:
    now = system_clock()()
    story = Story(tmp_path / "home", TestClock(now.wall_us, now.mono_us, now.boot)).create()
    story.close()
    stamp = tmp_path / "time"
    stamp.write_text("+0\n")
    environment = os.environ | {
        "LD_PRELOAD": str(LIBRARY),
        "FAKETIME_TIMESTAMP_FILE": str(stamp),
        "FAKETIME_NO_CACHE": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
    }
    writer = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(story.home)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment, cwd=ROOT,
    )  # fmt: skip

    def write() -> None:
        assert writer.stdin is not None and writer.stdout is not None
        writer.stdin.write("go\n")
        writer.stdin.flush()
        assert writer.stdout.readline() == "written\n"

    write()
    stamp.write_text(f"{moved}\n")

    def is_told() -> bool:
        write()
        return any(b'"kind":"clock.step"' in entry for entry in entries(story.home))

    until(is_told, what="the line that tells of the step")
    assert writer.stdin is not None
    writer.stdin.close()
    assert writer.wait(timeout=30) == 0
    report = verify(story.home, story.genesis)
    assert report.reason is None
    events = [read_event(entry) for entry in entries(story.home)]
    steps = [event for event in events if event.kind == "clock.step"]
    jump = (steps[0].data["wall_after"] - steps[0].data["wall_before"]) / 3_600_000_000
    assert round(jump, 2) == hours
    # Time never runs back in the record, whatever the host's clock does.
    times = [event.ts for event in events]
    assert times == sorted(times)


def entries(home: Path) -> list[bytes]:
    conn = sqlite3.connect(f"{(home / 'ledger.db').as_uri()}?mode=ro", uri=True)
    found = [entry for (entry,) in conn.execute("SELECT entry FROM ev ORDER BY seq")]
    conn.close()
    return found


def test_clock_set_back_is_told_once_between_quick_lines(tmp_path: Path) -> None:
    """The record's own time stands still then, so its lines alone would never part from the boot clock."""
    clock = TestClock()
    story = Story(tmp_path / "home", clock).create()
    data = {"code": "X", "command": "y", "count": 1, "principal": "op:anna"}
    clock.wall_us -= 3_600_000_000
    for _ in range(5):
        clock.advance(10_000)
        story.do(lambda txn: txn.line("refusal", "system:daemon", data))
    story.close()
    assert sum(b'"kind":"clock.step"' in entry for entry in entries(story.home)) == 1
    assert verify(story.home, story.genesis).reason is None
