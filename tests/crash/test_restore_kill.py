"""SIGKILL inside `restore`: the old home stands untouched or the new one is whole, and what is left is cleared away."""

from __future__ import annotations

import random
import shutil
from pathlib import Path

import pytest
from support.installation import Installation, inalpha
from support.kills import STRACE, calls_of, killed_in

from inalpha.ledger.leftovers import leftovers

pytestmark = pytest.mark.skipif(STRACE is None, reason="needs strace")
SEED = 8


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home, a backup of it, and one epoch more than the backup holds."""
    root = tmp_path_factory.mktemp("restore")
    home = Installation(root / "home")
    home.init()
    home("backup", str(root / "backup.tar"))
    home.start()
    home.stop()
    return root


def size_of(home: Path) -> int:
    size: int = Installation(home).json("status")["audit"]["size"]
    return size


def survives(stage: Path, root: Path, call: str, when: int, *, keeps_old: bool) -> str:
    """Kill once; then a whole home must stand, and the next verb must leave nothing but homes."""
    home, backup = root / "home", stage / "backup.tar"
    more = () if keeps_old else ("--keys", str(stage / "home" / "keys"))
    if keeps_old:
        shutil.copytree(stage / "home", home)
    before = size_of(home) if keeps_old else 0
    assert killed_in(call, when, home, "restore", str(backup), *more) == -9, (call, when)
    found = inalpha(home, "status", "--json")
    outcome = "none"
    if keeps_old or found.returncode == 0:
        is_old = size_of(home) == before and (home / "test.log").exists()
        outcome = "old" if is_old else "new"
        if not is_old:
            assert Installation(home).json("status")["halt"] == "HALTED"
        Installation(home)("audit", "verify")
        left = leftovers(home)
        if left:
            assert str(left[0]) in inalpha(home, "doctor", "--json").stdout
    Installation(home)("restore", str(backup), *more) if outcome != "new" else Installation(home)(
        "backup", str(root / "again.tar")
    )
    assert leftovers(home) == []
    names = sorted(path.name for path in root.iterdir() if path.name not in ("home", "again.tar"))
    assert all(name.startswith("home.before-") for name in names), (call, when, names)
    assert len(names) == int(keeps_old), (call, when, names)  # the old home is never lost
    Installation(home)("audit", "verify")
    return outcome


def points(stage: Path, root: Path, *, keeps_old: bool = True) -> list[tuple[str, int]]:
    if keeps_old:
        shutil.copytree(stage / "home", root / "home")
    more = () if keeps_old else ("--keys", str(stage / "home" / "keys"))
    return calls_of(root / "home", "restore", str(stage / "backup.tar"), *more)


def test_a_killed_restore_leaves_one_whole_home(stage: Path, tmp_path: Path) -> None:
    every = points(stage, tmp_path)
    swap = every.index(("renameat2", 1))
    print(f"seed {SEED}")  # noqa: T201
    chosen = [every[swap], every[swap + 1], random.Random(SEED).choice(every[:swap])]
    outcomes = [
        survives(stage, folder(tmp_path, index), call, when, keeps_old=True)
        for index, (call, when) in enumerate(chosen)
    ]
    assert outcomes == ["old", "new", "old"], list(zip(chosen, outcomes, strict=True))


def folder(root: Path, index: int) -> Path:
    path = root / str(index)
    path.mkdir()
    return path


@pytest.mark.campaign
@pytest.mark.parametrize("keeps_old", [True, False])
def test_a_restore_killed_at_every_point(stage: Path, tmp_path: Path, keeps_old: bool) -> None:
    counts: dict[str, int] = {}
    for index, (call, when) in enumerate(points(stage, tmp_path, keeps_old=keeps_old)):
        outcome = survives(stage, folder(tmp_path, index), call, when, keeps_old=keeps_old)
        counts[outcome] = counts.get(outcome, 0) + 1
        shutil.rmtree(tmp_path / str(index))
    print(counts)  # noqa: T201
    assert counts["new"] and counts["old" if keeps_old else "none"]
