"""Which daily backups are kept: one of each of the last seven days, one of each of the last four weeks."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

from inalpha.daemon.backupwatch import backups_of, superfluous

NEWEST = datetime(2026, 11, 22, 3, tzinfo=UTC)  # a Sunday


def name(when: datetime) -> str:
    return f"inalpha-{when:%Y%m%dT%H%M%S}Z.tar"


def kept_of(whens: list[datetime]) -> list[datetime]:
    found = {Path(name(when)): when for when in whens}
    gone = superfluous(found.items())
    return sorted((when for path, when in found.items() if path not in gone), reverse=True)


def test_sixty_days_leave_seven_days_and_the_newest_of_four_weeks() -> None:
    kept = kept_of([NEWEST - timedelta(days=days) for days in range(60)])
    week = [NEWEST - timedelta(days=days) for days in range(7)]
    sundays = [NEWEST - timedelta(weeks=weeks) for weeks in range(4)]
    assert kept == sorted({*week, *sundays}, reverse=True)
    assert kept_of(kept) == kept  # another day's pruning takes nothing more


def test_several_of_a_day_leave_its_newest() -> None:
    assert kept_of([NEWEST - timedelta(hours=hours) for hours in range(3)]) == [NEWEST]


def test_days_without_a_backup_do_not_count() -> None:
    whens = [NEWEST - timedelta(days=10 * step) for step in range(5)]
    assert kept_of(whens) == whens


def test_a_stranger_among_them_is_neither_counted_nor_touched(tmp_path: Path) -> None:
    for file in (
        name(NEWEST),
        "mine.tar",
        "inalpha-20261399T000000Z.tar",
        ".inalpha-20261122T030000Z.tar.1.part",
    ):
        (tmp_path / file).touch()
    assert [path.name for path in backups_of(tmp_path)] == [name(NEWEST)]
    assert backups_of(tmp_path / "absent") == {}
