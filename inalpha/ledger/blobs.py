"""Texts and files behind the hashes that lines hold; kept apart so that a text can be erased."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Mapping, Sequence

COMMIT_MEMBERS = ("rationale_commit", "reason_commit")
MAX_KNOWN_TEXTS = 4096


class KnownTexts:
    """The commitments of texts that runs gave lately and that are durable; forgotten at every start."""

    def __init__(self) -> None:
        self._names: dict[tuple[str, str], str] = {}

    def find(self, run: str, text: str) -> str | None:
        return self._names.get((run, text))

    def learn(self, names: Mapping[tuple[str, str], str]) -> None:
        if len(self._names) + len(names) > MAX_KNOWN_TEXTS:
            self._names.clear()
        self._names.update(names)

    def forget(self, name: str) -> None:
        """An erased text that is given again needs a new salt and a new name."""
        self._names = {key: known for key, known in self._names.items() if known != name}


def store(conn: sqlite3.Connection, blobs: Sequence[tuple[str, str, bytes | None, bytes]]) -> None:
    """Make them durable in one transaction."""
    conn.execute("BEGIN IMMEDIATE")
    try:
        conn.executemany("INSERT OR IGNORE INTO blob VALUES (?, ?, ?, ?)", blobs)
        conn.execute("COMMIT")
    except BaseException:
        if conn.in_transaction:
            conn.execute("ROLLBACK")
        raise


def drop_orphans(conn: sqlite3.Connection, named: Collection[str]) -> int:
    """Remove texts that no line names: their transaction never committed."""
    found = [
        name for (name,) in conn.execute("SELECT name FROM blob WHERE kind = 'text'") if name not in named
    ]
    if found:
        conn.execute("BEGIN IMMEDIATE")
        conn.executemany("DELETE FROM blob WHERE name = ?", [(name,) for name in found])
        conn.execute("COMMIT")
    return len(found)


def commits_in(data: object) -> set[str]:
    """The commitments that a line's data names, nested bodies included."""
    found: set[str] = set()
    if isinstance(data, dict):
        for name, value in data.items():
            if name in COMMIT_MEMBERS and isinstance(value, str):
                found.add(value)
            elif isinstance(value, dict):
                found |= commits_in(value)
    return found
