"""Who claims to halt, pause or stop: anyone may tighten without a key, so the name is told as a claim."""

from __future__ import annotations

import re
import sqlite3

from inalpha.audit.schema import HANDLE
from inalpha.model.principals import DAEMON


def claimant(conn: sqlite3.Connection, user: str | None) -> str:
    """The claim that a line carries for a client's user name: `op:H` where such a key is enrolled, else `os:H`.

    A name that is no handle (`[a-z0-9][a-z0-9-]{0,35}`) is spelled as one; none at all is `os:unknown`.
    """
    handle = re.sub(r"[^a-z0-9-]+", "-", (user or "").lower()).strip("-")[:36]
    if not re.fullmatch(HANDLE, handle):
        handle = "unknown"
    known = conn.execute(
        "SELECT 1 FROM key WHERE principal = ? AND revoked_after IS NULL", (f"op:{handle}",)
    ).fetchone()
    return f"{'op' if known and handle == user else 'os'}:{handle}"


def author(conn: sqlite3.Connection, principal: str, user: str | None) -> tuple[str, str | None]:
    """(actor, claimed_by) of a tightening line: the key that signed the command, else the daemon and a claim."""
    if principal.startswith("op:"):
        return principal, None
    return DAEMON, claimant(conn, user)
