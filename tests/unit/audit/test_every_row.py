"""Each row of the audit table deleted, repeated or swapped, each stored byte flipped: noticed, every one.

The attacker holds the files but no key. Rows are moved both ways: with their old numbers, which leaves a gap
or a wrong seq, and renumbered, so that only the chain inside the lines can tell.
"""

from __future__ import annotations

import shutil
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest
from support.ledger_story import Story, whole_story

from inalpha.audit.verify import verify

Row = tuple[int, bytes, bytes]
Attack = Callable[[list[Row], int], list[Row]]


@pytest.fixture(scope="module")
def honest(tmp_path_factory: pytest.TempPathFactory) -> Story:
    story = whole_story(tmp_path_factory.mktemp("rows") / "home")
    assert verify(story.home, story.genesis).passed
    return story


def rows_of(story: Story) -> list[Row]:
    conn = sqlite3.connect(f"{(story.home / 'ledger.db').as_uri()}?mode=ro", uri=True)
    found = conn.execute("SELECT seq, entry, leaf FROM ev ORDER BY seq").fetchall()
    conn.close()
    return found


def renumbered(rows: Iterable[Row]) -> list[Row]:
    return [(seq, entry, leaf) for seq, (_, entry, leaf) in enumerate(rows)]


def swapped(rows: list[Row], at: int, other: int) -> list[Row]:
    changed = list(rows)
    changed[at], changed[other] = changed[other], changed[at]
    return renumbered(changed)


ATTACKS: dict[str, Attack] = {
    "delete": lambda rows, at: rows[:at] + rows[at + 1 :],
    "delete, close the gap": lambda rows, at: renumbered(rows[:at] + rows[at + 1 :]),
    "repeat after itself": lambda rows, at: renumbered([*rows[: at + 1], *rows[at:]]),
    "repeat at the end": lambda rows, at: renumbered([*rows, rows[at]]),
    "swap with the next": lambda rows, at: swapped(rows, at, (at + 1) % len(rows)),
    "swap with the farthest": lambda rows, at: swapped(rows, at, 0 if at > len(rows) // 2 else -1),
    "put another in its place": lambda rows, at: renumbered([*rows[:at], rows[at - 1], *rows[at + 1 :]]),
}


def stored(home: Path, rows: list[Row]) -> None:
    conn = sqlite3.connect(home / "ledger.db", isolation_level=None)
    conn.execute("PRAGMA synchronous = OFF")
    conn.execute("BEGIN")
    for (trigger,) in conn.execute("SELECT name FROM sqlite_schema WHERE type = 'trigger'").fetchall():
        conn.execute(f"DROP TRIGGER {trigger}")
    conn.execute("DELETE FROM ev")
    conn.executemany("INSERT INTO ev VALUES (?, ?, ?)", rows)
    conn.execute("COMMIT")
    conn.close()


def run(story: Story, home: Path, places: Iterable[int]) -> Counter[str]:
    shutil.copytree(story.home, home)
    rows, noticed = rows_of(story), Counter[str]()
    for at in places:
        for name, attack in ATTACKS.items():
            forged = attack(rows, at)
            stored(home, forged)
            first = next(
                (seq for seq, (left, right) in enumerate(zip(rows, forged, strict=False)) if left != right),
                min(len(rows), len(forged)),
            )
            report = verify(home, story.genesis)
            assert not report.passed, (name, at)
            # Lines before the first changed one are never blamed.
            assert report.first_bad is not None and report.first_bad >= min(first, len(rows) - 1), (name, at)
            noticed[name] += 1
    return noticed


def told(noticed: Counter[str]) -> None:
    for name, count in noticed.items():
        print(f"{name:40} {count} of {count} noticed")  # noqa: T201


def test_a_row_deleted_repeated_or_swapped_is_noticed(honest: Story, tmp_path: Path) -> None:
    count = len(rows_of(honest))
    told(run(honest, tmp_path / "home", (0, 1, count // 2, count - 2, count - 1)))


def test_deleted_tail_is_noticed_by_the_head_alone(honest: Story, tmp_path: Path) -> None:
    """The defence that matters for the last row: without the head file the shorter chain is a good one."""
    rows = rows_of(honest)
    shutil.copytree(honest.home, tmp_path / "home")
    stored(tmp_path / "home", rows[:-1])
    assert {"C11", "C5"} & verify(tmp_path / "home", honest.genesis).failures.keys()
    bare = sqlite3.connect(":memory:", isolation_level=None)
    bare.execute("CREATE TABLE ev(seq INTEGER PRIMARY KEY, entry BLOB, leaf BLOB)")
    bare.executemany("INSERT INTO ev VALUES (?, ?, ?)", rows[:-1])
    assert verify(bare, honest.genesis).passed


@pytest.mark.campaign
def test_every_row_deleted_repeated_or_swapped_is_noticed(honest: Story, tmp_path: Path) -> None:
    told(run(honest, tmp_path / "home", range(len(rows_of(honest)))))


def flip_leaves(story: Story, step: int) -> int:
    """Each step-th byte of the stored leaf hashes flipped."""
    rows, flips = rows_of(story), 0
    conn = sqlite3.connect(":memory:", isolation_level=None)
    conn.execute("CREATE TABLE ev(seq INTEGER PRIMARY KEY, entry BLOB, leaf BLOB)")
    conn.executemany("INSERT INTO ev VALUES (?, ?, ?)", rows)
    for number in range(0, len(rows) * 32, step):
        seq, at = divmod(number, 32)
        leaf = bytearray(rows[seq][2])
        leaf[at] ^= 1 << (number % 8)
        conn.execute("UPDATE ev SET leaf = ? WHERE seq = ?", (bytes(leaf), seq))
        assert verify(conn).first_bad == seq, (seq, at)
        conn.execute("UPDATE ev SET leaf = ? WHERE seq = ?", (rows[seq][2], seq))
        flips += 1
    return flips


def test_some_flipped_bytes_of_stored_leaves_are_noticed(honest: Story) -> None:
    flip_leaves(honest, 97)


@pytest.mark.campaign
def test_every_flipped_byte_of_stored_leaves_is_noticed(honest: Story) -> None:
    flips = flip_leaves(honest, 1)
    print(f"{flips} of {flips} flips in stored leaves noticed")  # noqa: T201
