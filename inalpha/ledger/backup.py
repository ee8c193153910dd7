"""A home's ledger and texts in one file, and a home made from it. No key is part of it.

A plain tar of the database copies, the settings and the last signed head. Copies come through SQLite's online API from
a reader, so the writer goes on; they are verified before the file gets its name, and again before they become a home.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import sqlite3
import tarfile
from collections.abc import Callable
from pathlib import Path

from inalpha.audit.head import Head, HeadFile
from inalpha.audit.keys import make_private, sync_directory
from inalpha.audit.report import Report
from inalpha.audit.verify import verify
from inalpha.ledger.database import BLOBS, LEDGER
from inalpha.ledger.leftovers import drop_parts, sweep, workplace
from inalpha.model.errors import IntegrityError, Refused
from inalpha.model.readonly import read_only_uri

SIGNED = "head.checkpoint"
NEEDED = (LEDGER, BLOBS, SIGNED)
SETTINGS = ("inalpha.toml", "risk.toml")
Progress = Callable[[int, int], None]


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
        with tarfile.open(file, mode="r:") as archive:
            members = archive.getmembers()
            names = [member.name for member in members]
            plain = all(member.isreg() for member in members) and len(set(names)) == len(names)
            if not plain or not set(NEEDED) <= set(names) <= {*NEEDED, *SETTINGS}:
                raise Refused(
                    "BACKUP_FILE", f"{file} is no backup.", "Give a file that 'inalpha backup' wrote."
                )
            for member in members:
                source = archive.extractfile(member)
                assert source is not None
                with (directory / member.name).open("xb") as target:
                    os.fchmod(target.fileno(), 0o600)
                    shutil.copyfileobj(source, target)
                    target.flush()
                    os.fsync(target.fileno())
    except (tarfile.TarError, FileNotFoundError, IsADirectoryError) as error:
        raise Refused(
            "BACKUP_FILE", f"{file}: {error}.", "Give a file that 'inalpha backup' wrote."
        ) from error


def check(directory: Path, progress: Progress | None = None) -> Report:
    """Verify unpacked copies as a home, whose head is the one of its lines. Raises IntegrityError."""
    conn = sqlite3.connect(directory / LEDGER)
    try:
        size = conn.execute("SELECT ifnull(max(seq), -1) + 1 FROM ev").fetchone()[0]
    except sqlite3.DatabaseError as error:
        raise IntegrityError(
            "BACKUP_DAMAGED", f"the copy cannot be read: {error}.", "Use another backup."
        ) from error
    finally:
        conn.close()
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
