"""C11: the writer's own tables against what its fold makes of the lines that the verifier has accepted."""

from __future__ import annotations

import sqlite3

from inalpha.audit.event import read_event
from inalpha.audit.fold.apply import apply, differing_table
from inalpha.audit.fold.base import Violation, create_scratch
from inalpha.audit.gate import GATE_HEADER, PROPOSAL_HEADER, parse
from inalpha.model.errors import Refused

PAGE = 1000


def differs(reader: sqlite3.Connection) -> tuple[int | None, str] | None:
    """None where all tables are what the lines add up to; else a line, where one is to blame, and the reason.

    A line that the fold refuses, although the verifier took it, is a defect of one of the two and told as such.
    """
    scratch = create_scratch()
    try:
        at = -1
        while page := reader.execute(
            "SELECT seq, entry FROM ev WHERE seq > ? ORDER BY seq LIMIT ?", (at, PAGE)
        ).fetchall():
            for seq, entry in page:
                reason = _refused(scratch, bytes(entry))
                if reason is not None:
                    return seq, f"the fold that guards the writer refuses the line: {reason}"
            at = page[-1][0]
        table = differing_table(reader, scratch)
    finally:
        scratch.close()
    return None if table is None else (None, f"table {table} is not what the lines add up to")


def _refused(scratch: sqlite3.Connection, entry: bytes) -> str | None:
    try:
        event = read_event(entry)
        nonces = [parse(text, GATE_HEADER).nonce for text in (event.gate, event.gate2) if text]
        nonces += [parse(event.proposal, PROPOSAL_HEADER).nonce] if event.proposal else []
        apply(scratch, event, nonces)
    except (Violation, Refused, ValueError, TypeError, KeyError) as error:
        return str(error)
    return None
