"""Checks of `doctor` that look at the home's disk and record."""

from __future__ import annotations

import os
import re
from pathlib import Path

from inalpha.audit.verify import verify
from inalpha.cli.client import reading
from inalpha.ledger import readers
from inalpha.ledger.database import LEDGER, SCHEMA_VERSION, read_version
from inalpha.model.errors import ConfigError, IntegrityError
from inalpha.model.home import Home

# Verified in well under the half minute that a doctor may take; the rest is `audit verify`'s.
LINES = 200_000
WAL_MIB = 64  # SQLite takes it back at 4 MiB; more means a reader that never ends

_FADING = {
    "tmpfs": "memory",
    "ramfs": "memory",
    "overlay": "a container's layer",
    "aufs": "a container's layer",
}
_FAR = ("nfs", "cifs", "smb", "9p", "afs", "ceph", "glusterfs", "lustre", "fuse.")


def file_system(path: Path, mounts: str) -> str:
    """The type of the file system that holds path. mounts: text of /proc/self/mountinfo, see proc(5)."""
    found, deepest = "unknown", -1
    for line in mounts.splitlines():
        before, _, after = line.partition(" - ")
        words = before.split()
        if len(words) < 5 or not after:
            continue
        # Spaces and the like are written as octal escapes.
        point = Path(re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), words[4]))
        if path.is_relative_to(point) and len(point.parts) >= deepest:
            found, deepest = after.split()[0], len(point.parts)
    return found


def durable_disk(home: Home) -> str:
    """Local and lasting: a lock means something there, and a sync too. Raises ConfigError."""
    kind = file_system(home.root.resolve(), Path("/proc/self/mountinfo").read_text(encoding="utf-8"))
    why = _FADING.get(kind) or ("another machine's" if kind.startswith(_FAR) else "")
    if why:
        fix = "Move the home to a local disk (in a container: a volume)."
        raise ConfigError("HOME_DISK", f"the home lies on {kind}, {why}.", fix)
    return kind


def record(home: Home) -> str:
    """The lines, verified up to the head, without executing strategies. Raises IntegrityError or ConfigError."""
    version = read_version(home.ledger)
    wal = home.root / f"{LEDGER}-wal"
    wal_mib = os.path.getsize(wal) >> 20 if wal.exists() else 0
    with reading(home) as reader:
        size = readers.size(reader)
    report = verify(home.root, from_seq=max(0, size - LINES))
    if not report.passed:
        raise IntegrityError("AUDIT", f"{report.reason}.", "inalpha audit verify; restore a backup.")
    if wal_mib > WAL_MIB:
        raise ConfigError("WAL_SIZE", f"the write-ahead log has {wal_mib} MiB.", "End old readers, restart.")
    upgrade = (
        ""
        if version == SCHEMA_VERSION
        else f", schema {version} of {SCHEMA_VERSION}: migrated at the next start"
    )
    return f"{report.size} lines, root {report.root[:16]}{upgrade}"
