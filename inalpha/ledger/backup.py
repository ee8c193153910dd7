"""A home's ledger and texts in one file, and a home made from it. No key is part of it.

A plain tar of the database copies, the settings and the last signed head. Copies come through SQLite's online API from
a reader, so the writer goes on; they are verified before the file gets its name, and again before they become a home.
"""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import sqlite3
import tarfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from inalpha.audit.head import Head, HeadFile
from inalpha.audit.keys import make_private, sync_directory
from inalpha.audit.report import Report
from inalpha.audit.verify import verify
from inalpha.ledger.database import BLOBS, LEDGER, migrations, split_script
from inalpha.ledger.leftovers import drop_parts, sweep, workplace
from inalpha.model.errors import IntegrityError, Refused
from inalpha.model.readonly import read_only_uri

SIGNED = "head.checkpoint"
NEEDED = (LEDGER, BLOBS, SIGNED)
SETTINGS = ("inalpha.toml", "risk.toml")
Progress = Callable[[int, int], None]
# No member is larger than this; the databases may be as large as their file.
MOST_OF = {SIGNED: 1 << 20, **dict.fromkeys(SETTINGS, 1 << 20)}
MOST_EXTENSION = 8 * 1024  # times and the like, which tar keeps in a member of their own
MOST_HEADERS = 2 * (len(NEEDED) + len(SETTINGS))
MARGIN = 64 << 20
_BLOCK = 512


def back_up(home: Path, target: Path, progress: Progress | None = None) -> Report:
    """Write target. Raises IntegrityError, and leaves no file, when the copy does not verify."""
    if target.is_dir() or not target.absolute().parent.is_dir():
        raise Refused("BACKUP_FILE", f"{target} can be no file.", "Name a new file in a folder that exists.")
    sweep(home)
    with workplace(home, "backup-") as copy:
        # In this order what one names is in the next: the head in the lines, the lines' texts in the blobs.
        for name in (SIGNED, *SETTINGS):
            if (home / name).exists():
                shutil.copyfile(home / name, copy / name)
        for name in (LEDGER, BLOBS):
            _copy(home / name, copy / name)
        report = check(copy, progress)
        drop_parts(target)
        temporary = target.with_name(f".{target.name}.{os.getpid()}.part")
        try:
            with temporary.open("xb") as file:
                fcntl.flock(file, fcntl.LOCK_EX)
                os.fchmod(file.fileno(), 0o600)
                with tarfile.open(fileobj=file, mode="w") as archive:
                    for name in (*NEEDED, *SETTINGS):
                        if (copy / name).exists():
                            archive.add(copy / name, name)
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, target)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
    sync_directory(target.absolute().parent)
    return report


def unpack(file: Path, directory: Path) -> None:
    """The file's members into a private directory. Raises Refused for anything but a backup."""
    make_private(directory)
    try:
        with file.open("rb") as raw:
            _scan(file, raw)
            with tarfile.open(fileobj=raw, mode="r:") as archive:
                _extract(file, archive, directory)
    except (tarfile.TarError, FileNotFoundError, IsADirectoryError) as error:
        raise Refused(
            "BACKUP_FILE", f"{file}: {error}.", "Give a file that 'inalpha backup' wrote."
        ) from error


def _scan(file: Path, raw: BinaryIO) -> None:
    """Headers alone, before any library reads what they promise: few, of files as they are, none beyond the file.

    A sparse member, or a file with holes, is a few bytes that become gigabytes.
    """
    length = raw.seek(0, os.SEEK_END)
    at = count = 0
    told: int | None = None
    while True:
        raw.seek(at)
        header = raw.read(_BLOCK)
        if len(header) < _BLOCK or not header.strip(b"\0"):
            break
        kind, digits = header[156:157], header[124:136].strip(b"\0 ")
        if not digits.isdigit() or not digits.isascii():
            raise _no_backup(file, "a member's size is no number")
        size, name = (
            int(digits, 8) if told is None else told,
            header[:100].rstrip(b"\0").decode("ascii", "replace"),
        )
        most = MOST_EXTENSION if kind == b"x" else MOST_OF.get(name, length)
        if kind not in (b"0", b"\0", b"x"):
            raise _no_backup(file, f"{name} is no ordinary file in it")
        if size > most or at + _BLOCK + size > length:
            raise _no_backup(
                file, f"{name} would be {size} bytes, of which at most {min(most, length)} can be"
            )
        told = _larger_than_octal(raw.read(size)) if kind == b"x" else None
        count += 1
        if count > MOST_HEADERS:
            raise _no_backup(file, "it has too many members")
        at += _BLOCK + -(-size // _BLOCK) * _BLOCK
    raw.seek(0)


def _larger_than_octal(extension: bytes) -> int | None:
    """The next member's size where eleven octal digits are too few for it."""
    found = re.search(rb"\d+ size=(\d{1,18})\n", extension)
    return int(found[1]) if found else None


def _demand_room(file: Path, declared: int, directory: Path) -> None:
    """Before a byte is written: holes in the file become real ones on the disk."""
    free = shutil.disk_usage(directory).free
    if declared > free - MARGIN:
        raise Refused(
            "DISK_FULL",
            f"{file} unpacks to {declared} bytes, {free} are free.",
            "Free some space, or restore elsewhere.",
        )


def _no_backup(file: Path, why: str) -> Refused:
    return Refused("BACKUP_FILE", f"{file} is no backup: {why}.", "Give a file that 'inalpha backup' wrote.")


def _check_schema(conn: sqlite3.Connection, known: frozenset[str]) -> None:
    """A trigger or view that no schema of ours has would change what the daemon writes and reads."""
    rows = conn.execute("SELECT name, sql FROM sqlite_schema WHERE type IN ('trigger', 'view')")
    strange = [str(name) for name, sql in rows if " ".join(str(sql).split()) not in known]
    if strange:
        raise IntegrityError(
            "BACKUP_DAMAGED", f"it holds {strange[0]!r}, which is none of ours.", "Use another backup."
        )


def _own_triggers() -> frozenset[str]:
    statements = (s for _, text, _ in migrations(0) for s in split_script(text))
    kept = ("\n".join(line for line in s.splitlines() if not line.startswith("--")) for s in statements)
    return frozenset(" ".join(s.split()).rstrip(";") for s in kept if "CREATE TRIGGER" in s)


def _extract(file: Path, archive: tarfile.TarFile, directory: Path) -> None:
    members = archive.getmembers()
    names = [member.name for member in members]
    is_ours = set(NEEDED) <= set(names) <= {*NEEDED, *SETTINGS} and len(set(names)) == len(names)
    if not is_ours or not all(member.isreg() and not member.issparse() for member in members):
        raise _no_backup(file, "its members are others")
    _demand_room(file, sum(member.size for member in members), directory)
    for member in members:
        source = archive.extractfile(member)
        assert source is not None
        with (directory / member.name).open("xb") as target:
            os.fchmod(target.fileno(), 0o600)
            shutil.copyfileobj(source, target)
            target.flush()
            os.fsync(target.fileno())


@contextmanager
def _reading(path: Path, what: str) -> Iterator[sqlite3.Connection]:
    conn = sqlite3.connect(path)
    try:
        yield conn
    except sqlite3.DatabaseError as error:
        text = f"{what} cannot be read: {error}."
        raise IntegrityError("BACKUP_DAMAGED", text, "Use another backup.") from error
    finally:
        conn.close()


def check(directory: Path, progress: Progress | None = None) -> Report:
    """Verify unpacked copies as a home, whose head is the one of its lines. Raises IntegrityError."""
    with _reading(directory / LEDGER, "the copy") as conn:
        _check_schema(conn, _own_triggers())
        size = conn.execute("SELECT ifnull(max(seq), -1) + 1 FROM ev").fetchone()[0]
    with _reading(directory / BLOBS, "the texts") as blobs:
        _check_schema(blobs, frozenset())
    report = verify(directory, progress=progress, head=False)
    if not report.passed or report.size != size:
        raise IntegrityError("BACKUP_DAMAGED", f"{report.reason}.", "Use another backup, or verify the home.")
    head = HeadFile(directory / "head")
    head.write(Head(report.size, bytes.fromhex(report.root)))
    head.sync()
    head.close()
    return report


def _copy(source: Path, target: Path) -> None:
    reader = sqlite3.connect(read_only_uri(source), uri=True, timeout=5.0)
    copy = sqlite3.connect(target)
    try:
        reader.backup(copy)
    finally:
        copy.close()
        reader.close()
    os.chmod(target, 0o600)
