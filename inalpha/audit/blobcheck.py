"""C10: what lies behind the hashes of the lines is there and is what they say."""

from __future__ import annotations

import hashlib
import hmac
import sqlite3
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from inalpha.audit.event import Event
from inalpha.audit.report import Report
from inalpha.audit.rulebook import Claims, check_claims
from inalpha.model.readonly import is_closed, read_only_uri

_COMMITS = ("rationale_commit", "reason_commit")
# Per kind: the members whose hashes name blobs that are never erased.
_FILES = {
    "candidate.submit": ("sha256",),
    "candidate.gate": ("evidence_sha256",),
    "limits.set": ("rules_sha256",),
    "run.isolated": ("evidence_sha256",),
}


@dataclass(slots=True)
class Needed:
    """Names of blobs with the first line that needs them."""

    files: dict[str, int] = field(default_factory=dict)
    commits: dict[str, int] = field(default_factory=dict)
    erased: set[str] = field(default_factory=set)

    def collect(self, event: Event) -> None:
        data: Any = event.data
        for member in _FILES.get(event.kind, ()):
            self.files.setdefault(data[member], event.seq)
        if event.kind == "run.start":
            self.files.setdefault(data["mandate"]["feed"]["config_sha256"], event.seq)
        elif event.kind == "blob.erase":
            self.erased.add(data["commit"])
        elif event.kind == "plan.create":
            data = data["body"]
        for member in _COMMITS:
            commit = data.get(member)
            if commit is not None:
                self.commits.setdefault(commit, event.seq)


def check_blobs(home: Path, needed: Needed, claims: Claims, report: Report) -> None:
    """Recompute every hash and commitment; absent ones fail, erased ones are counted. Then what rests on them."""
    path = home / "blobs.db"
    try:
        blobs = sqlite3.connect(read_only_uri(path), uri=True, isolation_level=None)
        try:
            found = _check_rows(blobs, needed, report)
            check_claims(claims, lambda name: _data(blobs, name), report)
        finally:
            blobs.close()
    except sqlite3.Error as error:
        if is_closed(error) and path.exists():
            raise
        report.fail("C10", 0, f"blobs.db cannot be read: {error}")
        return
    for names in (needed.files, needed.commits):
        for name, seq in names.items():
            if name not in found and name not in needed.erased:
                report.fail("C10", seq, f"blob {name[:16]}… is missing")
    if needed.erased:
        report.notes["C10"] = f"blobs and commitments; {len(needed.erased)} texts were erased by signature"


def _data(blobs: sqlite3.Connection, name: str) -> bytes | None:
    row = blobs.execute("SELECT data FROM blob WHERE name = ?", (name,)).fetchone()
    return bytes(row[0]) if row else None


def _check_rows(blobs: sqlite3.Connection, needed: Needed, report: Report) -> set[str]:
    found = set()
    for name, kind, salt, data in blobs.execute("SELECT name, kind, salt, data FROM blob"):
        if kind == "text":
            computed = hmac.new(salt or b"", data, hashlib.sha256).hexdigest()
        else:
            computed = hashlib.sha256(data).hexdigest()
        if computed != name:
            seq = needed.files.get(name, needed.commits.get(name, 0))
            report.fail("C10", seq, f"blob {name[:16]}… holds other bytes")
        found.add(name)
    return found
