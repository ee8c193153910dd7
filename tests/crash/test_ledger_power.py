"""Power loss: FULL loses nothing acknowledged at any moment; NORMAL does, which shows that the test can see it."""

from __future__ import annotations

import random
import shutil
import sqlite3
from collections import Counter
from pathlib import Path

import pytest
from support.ledger_story import START_US, Story, TestClock

from inalpha.audit.event import read_event
from inalpha.audit.verify import verify
from inalpha.ledger.blobs import commits_in
from inalpha.model.errors import IntegrityError

pytest.importorskip("apsw", reason="the recording disk needs apsw")
from support.power import Act, disk_after, recorded

SEED = 17
LATER_US = START_US + 100_000_000
KEPT = (0.0, 0.5, 0.8)
DATA = {"code": "X", "command": "y", "count": 1, "principal": "op:anna"}


def recording(root: Path, synchronous: str, commits: int) -> tuple[Path, list[Act], str]:
    """(the home before, what the disk saw, genesis) of a writer that commits lines with texts."""
    story = Story(root / "home").create()
    story.close()
    before = root / "before"
    shutil.copytree(story.home, before)
    with recorded(synchronous, checkpoint_pages=12) as record:
        story.open()

        def told(size: int, _: bytes) -> None:
            record.note("acknowledged", at=size)

        told(story.ledger.size, b"")
        for number in range(commits):

            def job(txn, number=number):  # type: ignore[no-untyped-def]
                data = {
                    "account": None, "reason_commit": txn.commit_text(f"why {number}"), "run": None,
                    "scope": "all", "state": "REDUCING",
                }  # fmt: skip
                txn.line("halt.set", "system:risk", data)
                txn.line("refusal", "system:daemon", DATA)

            story.do(job)
            told(story.ledger.size, b"")
        story.ledger.abandon()
    # Keys are files of their own, synced before a line names them: the last ones serve every moment.
    for name in ("log.key",):
        shutil.copy(story.home / name, before / name)
    return before, record.acts, story.genesis


def moments(root: Path, synchronous: str, commits: int, step: int, verified: int) -> Counter[str]:
    """Cut the power at every step-th moment, thrice each; every verified-th disk is audited in full."""
    before, acts, genesis = recording(root, synchronous, commits)
    first = next(number for number, act in enumerate(acts) if act[0] == "acknowledged")
    chooser, found = random.Random(SEED), Counter[str]()
    for cut in range(first + 1, len(acts) + 1, step):
        for kept in KEPT:
            home = root / "disk"
            acknowledged = disk_after(before, acts, cut, chooser, kept, home)
            found["disks"] += 1
            lines, texts = contents(home)
            where = f"cut {cut} of {len(acts)}, kept {kept}, seed {SEED}"
            assert lines is not None, where
            assert [seq for seq, _ in lines] == list(range(len(lines))), where
            named = {name for _, entry in lines for name in commits_in(read_event(entry).data)}
            found["lost"] += len(lines) < acknowledged
            found["lines without their text"] += not named <= texts
            if found["disks"] % verified == 0:
                found["audited"] += 1
                try:
                    Story(home, TestClock(wall_us=LATER_US, mono_us=105_000_000)).open().close()
                    found["failed the audit"] += not verify(home, genesis).passed
                except IntegrityError:
                    found["refused"] += 1
            shutil.rmtree(home)
    return found


def is_whole(found: Counter[str]) -> bool:
    return not any(
        found[what] for what in ("lost", "lines without their text", "refused", "failed the audit")
    )


def contents(home: Path) -> tuple[list[tuple[int, bytes]], set[str]]:
    ledger, blobs = sqlite3.connect(home / "ledger.db"), sqlite3.connect(home / "blobs.db")
    try:
        assert ledger.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        lines = ledger.execute("SELECT seq, entry FROM ev ORDER BY seq").fetchall()
        return lines, {name for (name,) in blobs.execute("SELECT name FROM blob")}
    finally:
        ledger.close()
        blobs.close()


def test_power_loss_takes_nothing_acknowledged(tmp_path: Path) -> None:
    found = moments(tmp_path, "FULL", commits=6, step=5, verified=8)
    print(f"seed {SEED}: {dict(found)}")  # noqa: T201
    assert is_whole(found)
    assert found["audited"] > 5


def test_power_loss_without_the_sync_takes_acknowledged_lines(tmp_path: Path) -> None:
    """The control: synchronous=NORMAL, the writer being told that it is FULL."""
    found = moments(tmp_path, "NORMAL", commits=6, step=5, verified=8)
    print(f"seed {SEED}: {dict(found)}")  # noqa: T201
    assert found["lost"] > 5
    assert found["lines without their text"] > 0


@pytest.mark.campaign
@pytest.mark.parametrize("synchronous", ["FULL", "NORMAL"])
def test_power_loss_at_every_moment(tmp_path: Path, synchronous: str) -> None:
    found = moments(tmp_path, synchronous, commits=25, step=1, verified=20)
    print(f"{synchronous}, seed {SEED}: {dict(found)}")  # noqa: T201
    assert is_whole(found) == (synchronous == "FULL")
