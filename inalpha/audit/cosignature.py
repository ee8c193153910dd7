"""Whether a note that came back from a witness may enter the log."""

from __future__ import annotations

import sqlite3

from inalpha.audit.checkpoint import open_checkpoint, parse_note
from inalpha.audit.context import LedgerContext
from inalpha.audit.notes import NoteError, parse_vkey
from inalpha.model.errors import Refused


def check_cosignature(conn: sqlite3.Connection, context: LedgerContext, note: str) -> tuple[str, int]:
    """(witness, size) of a note with one enrolled witness's cosignature. Raises Refused("COSIGNATURE")."""
    try:
        rows = conn.execute(
            "SELECT vkey, role FROM key WHERE role = 'log' OR (role = 'witness' AND revoked_after IS NULL)"
        ).fetchall()
        log = [parse_vkey(vkey) for vkey, role in rows if role == "log"]
        witnesses = [parse_vkey(vkey) for vkey, role in rows if role == "witness"]
        size = parse_note(note.encode()).size
        checkpoint, opened = open_checkpoint(note.encode(), [*log, *witnesses])
        if checkpoint.origin != context.origin or context.root(size) != checkpoint.root:
            raise NoteError("it is of another tree")
        if len(opened.cosigned) != 1:
            raise NoteError("not exactly one enrolled witness cosigned it")
    except (NoteError, UnicodeEncodeError) as error:
        raise Refused("COSIGNATURE", f"{error}.", "Enrol the witness, or cosign a newer request.") from error
    (witness,) = opened.cosigned
    last = conn.execute(
        "SELECT note FROM cosign WHERE witness = ? ORDER BY seq DESC LIMIT 1", (witness,)
    ).fetchone()
    if last is not None:
        _, before = open_checkpoint(last[0].encode(), [*log, *witnesses])
        if before.cosigned.get(witness, 0) > opened.cosigned[witness]:
            raise Refused("COSIGNATURE", "the witness's time runs back.", "Set that machine's clock.")
    return witness, size
