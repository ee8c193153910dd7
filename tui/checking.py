"""The console's own eye on the log: form, chain and log signature of each line as it arrives."""

from __future__ import annotations

import hashlib
import sqlite3

from inalpha.audit.event import ZERO_HASH, EventError, parse_entry
from inalpha.audit.notes import NoteError, VerifierKey, parse_vkey, verify_ed25519

_PAGE = "SELECT seq, entry FROM ev WHERE seq >= ? ORDER BY seq LIMIT ?"


class LineWatch:
    """checked: how many lines hold so far. broken: the first bad line and what is wrong with it."""

    def __init__(self) -> None:
        self.checked = 0
        self.broken: tuple[int, str] | None = None
        self._previous = ZERO_HASH
        self._key: VerifierKey | None = None

    def advance(self, reader: sqlite3.Connection, limit: int = 400) -> bool:
        """Check up to limit further lines; True when more may wait."""
        if self.broken is not None:
            return False
        found = reader.execute(_PAGE, (self.checked, limit)).fetchall()
        for seq, entry in found:
            try:
                self._line(seq, entry)
            except (EventError, NoteError, KeyError) as error:
                self.broken = (seq, str(error))
                return False
            self.checked = seq + 1
        return len(found) == limit

    def _line(self, seq: int, entry: bytes) -> None:
        signed = parse_entry(entry)
        event = signed.event
        if seq == 0:
            self._key = parse_vkey(event.data["log_vkey"])
        if event.seq != self.checked or event.prev != self._previous:
            raise EventError("the chain does not continue")
        key = self._key
        if key is None or signed.key_id != key.id or signed.name != key.name:
            raise EventError("not signed by the log key")
        if not verify_ed25519(key.public, signed.text, signed.signature):
            raise EventError("the signature does not hold")
        if event.kind == "key.rotate":
            self._key = parse_vkey(event.data["vkey"])
        # RFC 6962 leaf: the next line names it as its predecessor.
        self._previous = hashlib.sha256(b"\0" + entry).hexdigest()
