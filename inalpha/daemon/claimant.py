"""Who claims to have tightened something without a key: a name for the record that nothing proves."""

from __future__ import annotations

import hashlib
import re
import sqlite3

_HANDLE = re.compile(r"[a-z0-9][a-z0-9-]{0,35}")
_PRINCIPAL = re.compile(r"(op|agent):[a-z0-9][a-z0-9-]{0,35}")


def os_claimant(user: str | None) -> str | None:
    """`os:` and the user's name, or None where none was told.

    A name that is no handle becomes one with a few digits of its hash, so that "Bob" never passes for "bob".
    """
    if not user:
        return None
    if _HANDLE.fullmatch(user):
        return f"os:{user}"
    digits = hashlib.sha256(user.encode("utf-8", "surrogatepass")).hexdigest()[:8]
    plain = re.sub(r"[^a-z0-9]+", "-", user.lower()).strip("-")[:27].rstrip("-")
    return f"os:{plain or 'user'}-{digits}"


def claimant(conn: sqlite3.Connection, names: str, user: str | None) -> str | None:
    """The principal that a client names, where one such is enrolled; else the user of its machine."""
    if _PRINCIPAL.fullmatch(names):
        sql = "SELECT 1 FROM key WHERE principal = ? AND revoked_after IS NULL"
        if conn.execute(sql, (names,)).fetchone() is not None:
            return names
    return os_claimant(user)


def latch_claimant(actor: str) -> str | None:
    """Of a latch row's actor, `cli:NAME` or `console:NAME`; what the program itself wrote claims nobody."""
    where, _, user = actor.partition(":")
    return os_claimant(user) if where in ("cli", "console") else None
