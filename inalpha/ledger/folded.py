"""What the lines added up to at the last start that folded many of them: the next start goes on from there.

Beside the ledger lie `folded.db`, a copy of the projections, and `folded.note`, which names its size, root and SHA-256
and is signed by the log key in force. Whoever lacks that key can spoil them, and the next start folds every line again;
it is a cache, so nothing is synced and no failure of it matters. Only bytes that nobody else can reach any more are
hashed and then read.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import sqlite3
import tempfile
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from inalpha.audit import keys
from inalpha.audit.fold.base import SCRATCH_CACHE_KIB, schema_sha256
from inalpha.audit.notes import NoteError, Signer, b64decode, b64encode, open_note, split
from inalpha.model.errors import ConfigError, IntegrityError

HEADER = "inalpha.ledger/folded/v1"
# About half a second of folding, and a file of some 5 MB.
WORTH_LINES = 20_000

_FILE = "folded.db"
_NOTE = "folded.note"


@dataclass(frozen=True, slots=True)
class Folded:
    """A tree's size and root, and the SHA-256 (hex) of the file with what its lines add up to.

    vkey: who signed the note that was found; "" for a copy that is new.
    """

    size: int
    root: bytes
    sha256: str
    vkey: str = ""

    def sign(self, home: Path, signer: Signer) -> None:
        """Write the note anew: under each next log key, as only the one in force is believed."""
        lines = (HEADER, signer.name, str(self.size), b64encode(self.root), schema_sha256(), self.sha256, "")
        text = "\n".join(lines).encode()
        part = home / f"{_NOTE}.part"
        with contextlib.suppress(OSError):
            part.write_bytes(signer.note(text))
            os.replace(part, home / _NOTE)


def find(home: Path) -> Folded | None:
    """What the key in the home's log.key vouches for; whether that key is in force, the lines tell. None: nothing."""
    try:
        note = (home / _NOTE).read_bytes()
        header, origin, size, root, schema, sha256, _ = split(note)[0].decode("utf-8").split("\n")
        vkey = keys.load_signer(home / "log.key", origin).vkey
        open_note(note, [vkey])
        if (header, schema) != (HEADER, schema_sha256()):
            return None
        return Folded(int(size), b64decode(root), sha256, vkey.text)
    except (OSError, ValueError, NoteError, ConfigError):
        return None


def load(home: Path, scratch: sqlite3.Connection, sha256: str) -> set[str]:
    """Fill an empty scratch database from the copy; returns the commitments that its lines name.

    Raises IntegrityError when its bytes are others than the note names.
    """
    try:
        with tempfile.NamedTemporaryFile(prefix="inalpha-folded-") as own:
            with (home / _FILE).open("rb") as file:
                shutil.copyfileobj(file, own, 1 << 20)
            own.flush()
            if _sha256(Path(own.name)) != sha256:
                raise IntegrityError("FOLDED", "folded.db is not what its note names.")
            scratch.execute("COMMIT")
            uri = f"{Path(own.name).resolve().as_uri()}?mode=ro&immutable=1"
            with contextlib.closing(sqlite3.connect(uri, uri=True)) as source:
                source.backup(scratch)
        scratch.execute(f"PRAGMA cache_size = -{SCRATCH_CACHE_KIB}")
        scratch.execute("BEGIN")
        return {name for (name,) in scratch.execute("SELECT name FROM named")}
    except (OSError, sqlite3.Error) as error:
        raise IntegrityError("FOLDED", f"folded.db cannot be read: {error}.") from error


def save(
    home: Path, scratch: sqlite3.Connection, named: Collection[str], size: int, root: bytes
) -> Folded | None:
    """Copy a scratch database whose fold was found equal to the projections; None when the disk does not let it."""
    part = home / f"{_FILE}.part"
    try:
        part.unlink(missing_ok=True)
        handle = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        os.close(handle)
        scratch.execute("CREATE TABLE IF NOT EXISTS named(name TEXT PRIMARY KEY) WITHOUT ROWID")
        scratch.execute("DELETE FROM named")
        scratch.executemany("INSERT INTO named VALUES (?)", [(name,) for name in named])
        scratch.execute("COMMIT")
        target = sqlite3.connect(part, isolation_level=None)
        try:
            target.execute("PRAGMA synchronous = OFF")
            scratch.backup(target)
        finally:
            target.close()
        sha256 = _sha256(part)
        os.replace(part, home / _FILE)
    except (OSError, sqlite3.Error):
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)
        return None
    return Folded(size, root, sha256)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
