"""Which blobs the lines name: what an export has to carry."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from inalpha.audit.event import Event

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
