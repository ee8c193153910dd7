"""Failing disks: each write and sync broken in turn, full volumes, lost journals, older copies, moving clocks.

A writer that the disk refused says so once (exit 75), writes nothing more, and the next start finds every
acknowledged line.
"""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from support.ledger_story import Story, TestClock

from inalpha.audit.verify import verify
from inalpha.ledger.readers import open_reader, size
from inalpha.model.errors import IntegrityError, TryAgain

ROOT = Path(__file__).parents[2]
STRACE = shutil.which("strace")
SEED = 5
CALLS = ("pwrite64", "fdatasync", "fsync", "write", "ftruncate", "rename", "unlink")
FAULTS = ("EIO", "ENOSPC", "KILL")
# The campaign in pieces: every call of the shorter kinds, the many page writes by their number modulo four.
PIECES = [(("fdatasync",), 1, 0), (CALLS[2:], 1, 0), *((("pwrite64",), 4, part) for part in range(4))]
DATA = {"code": "X", "command": "y", "count": 1, "principal": "op:anna"}

WRITER = """
import os
import sys
from collections import Counter
from pathlib import Path
from inalpha.ledger.writer import Ledger
from inalpha.model.errors import TryAgain
data = {"code": "X", "command": "y", "count": 1, "principal": "op:anna"}
def job(txn):
    halt = {"account": None, "reason_commit": txn.commit_text("why"), "run": None, "scope": "all", "state": "REDUCING"}
    txn.line("halt.set", "system:risk", halt)
    return txn.line("refusal", "system:daemon", data)
try:
    ledger = Ledger.open(Path(sys.argv[1]))
except TryAgain:
    sys.exit(75)
except OSError:
    sys.exit(75)
last, latched = -1, 0
for _ in range(12):
    try:
        last = ledger.submit(job).result()
        if latched:
            sys.exit(99)  # it wrote again after a failure
        os.writev(2, [b"%d\\n" % last])  # not by write(2), which may be the one that fails
    except TryAgain:
        latched += 1
ledger.close("end")
sys.exit(75 if ledger.latched else 0)
"""


@pytest.fixture(scope="module")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> Story:
    story = Story(tmp_path_factory.mktemp("faults") / "home").create()
    story.close()
    return story


def copy_of(story: Story, target: Path) -> Path:
    shutil.copytree(story.home, target)
    return target


def under_fault(home: Path, call: str, error: str, when: int) -> tuple[int, int]:
    """(exit code, last acknowledged seq) of a writer whose when-th call fails, or ends it (KILL)."""
    what = "signal=KILL" if error == "KILL" else f"error={error}"
    faults = ["-e", f"trace={call}", "-e", f"inject={call}:{what}:when={when}"]
    run = subprocess.run(
        [str(STRACE), "-f", "-qq", "-o", "/dev/null", *faults, sys.executable, "-c", WRITER, str(home)],
        capture_output=True, text=True, cwd=ROOT, timeout=60, check=False,
    )  # fmt: skip
    numbers = [int(line) for line in run.stderr.split() if line.isdigit()]
    assert run.returncode in (0, 75, -9), (call, error, when, run.returncode, run.stderr[-800:])
    return run.returncode, max(numbers, default=-1)


def calls_of(home: Path, call: str) -> int:
    """How often an undisturbed writer makes this call."""
    counted = subprocess.run(
        [str(STRACE), "-f", "-qq", "-e", f"trace={call}", "-o", "/dev/stdout", sys.executable, "-c", WRITER, str(home)],
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, cwd=ROOT, timeout=60, check=True,
    )  # fmt: skip
    return sum(f"{call}(" in line for line in counted.stdout.splitlines())


def survives(story: Story, root: Path, call: str, error: str, when: int) -> int:
    home = copy_of(story, root / f"{call}-{error}-{when}")
    code, last = under_fault(home, call, error, when)
    restarted = subprocess.run(
        [sys.executable, "-c", WRITER, str(home)], capture_output=True, cwd=ROOT, check=False
    )
    assert restarted.returncode == 0, (call, error, when, restarted.stderr[-800:])
    reader = open_reader(home)
    assert size(reader) > last
    reader.close()
    assert verify(home, story.genesis).reason is None, (call, error, when)
    shutil.rmtree(home)
    return code


@pytest.mark.skipif(STRACE is None, reason="needs strace")
def test_broken_write_or_sync_latches_and_a_restart_recovers(fresh: Story, tmp_path: Path) -> None:
    chooser = random.Random(SEED)
    print(f"seed {SEED}")  # noqa: T201
    for call in CALLS[:4]:
        survives(fresh, tmp_path, call, chooser.choice(FAULTS), chooser.randrange(1, 25))


@pytest.mark.campaign
@pytest.mark.skipif(STRACE is None, reason="needs strace")
@pytest.mark.parametrize(("calls", "step", "part"), PIECES)
def test_every_write_and_sync_broken_or_the_last(
    fresh: Story, tmp_path: Path, calls: tuple[str, ...], step: int, part: int
) -> None:
    codes: Counter[tuple[str, str, int]] = Counter()
    for call in calls:
        last = calls_of(copy_of(fresh, tmp_path / call), call)
        for error in FAULTS:
            for when in range(1 + part, last + 1, step):
                codes[call, error, survives(fresh, tmp_path, call, error, when)] += 1
    for (call, error, code), count in sorted(codes.items()):
        print(f"{call:10} {error:6} exit {code:3}: {count}")  # noqa: T201
    assert all(code == -9 for (_, error, code) in codes if error == "KILL")


def test_lost_journal_with_acknowledged_lines_is_refused(tmp_path: Path) -> None:
    """The write-ahead log deleted or cut while its lines are acknowledged: the head file knows better."""
    story = Story(tmp_path / "home").create()
    story.do(lambda txn: txn.conn.execute("PRAGMA wal_autocheckpoint = 0"))
    for _ in range(20):
        story.do(lambda txn: txn.line("refusal", "system:daemon", DATA))
    crashed = copy_of(story, tmp_path / "crashed")
    story.ledger.abandon()
    assert (crashed / "ledger.db-wal").stat().st_size > 0
    chooser = random.Random(SEED)
    whole = (crashed / "ledger.db-wal").read_bytes()
    for number, at in enumerate([0, *(chooser.randrange(len(whole)) for _ in range(24))]):
        home = tmp_path / f"cut-{number}"
        shutil.copytree(crashed, home)
        (home / "ledger.db-shm").unlink(missing_ok=True)
        (home / "ledger.db-wal").write_bytes(whole[:at]) if at else (home / "ledger.db-wal").unlink()
        assert not verify(home).passed, at
        with pytest.raises(IntegrityError):
            Story(home, clock=story.clock).open()


def test_older_database_is_refused_unless_its_head_comes_along(tmp_path: Path) -> None:
    story = Story(tmp_path / "home").create()
    story.close()
    older = copy_of(story, tmp_path / "older")
    story.open()
    story.do(lambda txn: txn.line("refusal", "system:daemon", DATA))
    story.close()
    kept = (story.home / "head.checkpoint").read_bytes()
    mixed = copy_of(story, tmp_path / "mixed")
    for name in ("ledger.db", "ledger.db-wal", "ledger.db-shm"):
        (mixed / name).unlink(missing_ok=True)
    shutil.copy(older / "ledger.db", mixed / "ledger.db")
    assert verify(mixed).failures["C11"]
    with pytest.raises(IntegrityError, match="tail is missing"):
        Story(mixed, clock=story.clock).open()
    assert verify(older).passed
    assert verify(older, kept=kept).failures["C6"]


@pytest.mark.parametrize("hours", [1, -1])
def test_stepped_clock_is_told(tmp_path: Path, hours: int) -> None:
    clock = TestClock()
    story = Story(tmp_path / "home", clock).create()
    clock.wall_us += hours * 3_600_000_000
    story.do(lambda txn: txn.line("refusal", "system:daemon", DATA))
    clock.advance(10_000_000)
    story.do(lambda txn: txn.line("refusal", "system:daemon", DATA))
    story.close()
    report = verify(story.home, story.genesis)
    assert report.reason is None
    assert "clock.step" in report.notes["I18"]


@pytest.mark.skipif(os.geteuid() != 0, reason="mounts a small volume")
def test_full_volume_latches_and_reads_go_on(tmp_path: Path) -> None:
    volume = tmp_path / "small"
    volume.mkdir(mode=0o700)
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1200k,mode=0700", "tmpfs", str(volume)],
                      capture_output=True, check=False).returncode:  # fmt: skip
        pytest.skip("tmpfs cannot be mounted here")
    try:
        story = Story(volume / "home").create()
        big = DATA | {"code": "Y" * 60}
        last = 0
        with pytest.raises(TryAgain):
            for _ in range(4000):
                last = story.do(lambda txn: [txn.line("refusal", "system:daemon", big) for _ in range(20)])[
                    -1
                ]
        assert story.ledger.latched
        with pytest.raises(TryAgain):
            story.do(lambda txn: txn.line("refusal", "system:daemon", DATA))
        reader = open_reader(story.home)
        assert size(reader) == last + 1
        reader.close()
        story.close()
        moved = tmp_path / "larger"
        shutil.copytree(story.home, moved)
    finally:
        subprocess.run(["umount", str(volume)], check=False)
    again = Story(moved, clock=story.clock).open()
    again.do(lambda txn: txn.line("refusal", "system:daemon", DATA))
    again.close()
    assert verify(moved).reason is None
