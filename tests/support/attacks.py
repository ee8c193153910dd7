"""Exports under attack: taken apart, edited, packed again, and verified by the standalone verifier."""

from __future__ import annotations

import importlib.util
import io
import tempfile
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

from inalpha.audit.bundle import zip_pieces
from inalpha.audit.export import export_ledger
from inalpha.ledger.readers import open_reader

SCRIPT = Path(__file__).parents[2] / "inalpha" / "audit" / "standalone" / "verify.py"


@cache
def load_verifier() -> ModuleType:
    """verify.py as a module, loaded from its file as an auditor's copy would be."""
    spec = importlib.util.spec_from_file_location("standalone_verify", SCRIPT)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def members_of(data: bytes) -> dict[str, bytes]:
    archive = load_verifier().Archive(io.BytesIO(data))
    return {name: archive.read(name) for name in archive.members}


def pack(members: dict[str, bytes]) -> bytes:
    return b"".join(zip_pieces(sorted(members.items())))


@dataclass(frozen=True)
class Export:
    """The bytes of an export and the genesis hash that its auditor kept."""

    path: Path
    data: bytes
    genesis: str

    @classmethod
    def of(cls, home: Path, checkpoint: bytes | None = None) -> Export:
        path = Path(tempfile.mkdtemp(dir=home.parent)) / "export.zip"
        reader = open_reader(home)
        try:
            found = export_ledger(home, reader, path, checkpoint)
        finally:
            reader.close()
        return cls(path, path.read_bytes(), found.genesis)

    def with_data(self, data: bytes) -> Export:
        return replace(self, data=data)

    def verify(
        self, policy: str | None = None, kept: bytes | None = None, *, require_anchor: bool = False
    ) -> dict[str, Any]:
        verifier = load_verifier()
        try:
            rules = verifier.Policy(policy) if policy else None
            check = verifier.Verifier(verifier.Archive(io.BytesIO(self.data)), self.genesis, rules, kept)
            check.run()
            found: dict[str, Any] = check.result(require_anchor=require_anchor)
        except verifier.Malformed as error:
            return {"first_bad": 0, "reason": str(error), "size": 0}
        return found
