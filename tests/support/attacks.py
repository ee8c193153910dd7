"""Exports under attack: taken apart, edited, packed again, and verified by the standalone verifier."""

from __future__ import annotations

import hashlib
import hmac
import importlib.util
import io
import tempfile
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

from inalpha.audit import merkle
from inalpha.audit.bundle import zip_pieces
from inalpha.audit.checkpoint import Checkpoint, parse_note
from inalpha.audit.export import export_ledger
from inalpha.audit.notes import Signer
from inalpha.ledger.readers import open_reader
from inalpha.verifier.build import build


@cache
def built_verifier() -> Path:
    """verify.py in a folder of its own, as an auditor takes it from a release."""
    path = Path(tempfile.mkdtemp()) / "verify.py"
    path.write_bytes(build())
    return path


@cache
def load_verifier() -> ModuleType:
    """verify.py as a module, loaded from its file as an auditor's copy would be."""
    spec = importlib.util.spec_from_file_location("standalone_verify", built_verifier())
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


def repack(export: Export, entries: list[bytes], signer: Signer | None) -> Export:
    """Other lines in an otherwise fitting export: tiles, claims, and, with a key, checkpoints signed anew."""
    verifier = load_verifier()
    members = members_of(export.data)
    names = [name for name in members if name.startswith("tile/")]
    for name in names:
        del members[name]
    tree = verifier.Tree()
    for entry in entries:
        tree.add(merkle.leaf_hash(entry))
    for level, row in enumerate(tree.levels):
        for number, name in enumerate(verifier.tile_names(str(level), len(row) // 32)):
            members[name] = tree.tile(level, number)
    for number, name in enumerate(verifier.tile_names("entries", len(entries))):
        bundle = entries[number * 256 : (number + 1) * 256]
        members[name] = b"".join(len(entry).to_bytes(2, "big") + entry for entry in bundle)
    if signer is not None:
        origin = parse_note(members["checkpoint"]).origin
        members["checkpoint"] = Checkpoint(origin, len(entries), tree.root(len(entries))).sign(signer)
        for name in [name for name in members if name.startswith("checkpoints/")]:
            size = int(name.removeprefix("checkpoints/"))
            if size >= len(entries) or parse_note(members[name]).root != tree.root(size):
                del members[name]
    check = _read(entries, export.genesis)
    members["report.json"] = _claims(check.books, export.genesis, tree)
    if check.books.keys.log:
        members["policy"] = verifier.policy_text(check.books.keys).encode()
    for name in [name for name in members if name.startswith("blobs/")]:
        data = members[name]
        commit = hmac.new(data[:32], data[32:], hashlib.sha256).hexdigest()
        if name.removeprefix("blobs/") not in check.files and commit not in check.commits:
            del members[name]
    return export.with_data(pack(members))


def _read(entries: list[bytes], genesis: str) -> Any:
    check = load_verifier().Verifier(None, genesis, None, None)
    for entry in entries:
        check._entry(entry)
    return check


def _claims(books: Any, genesis: str, tree: Any) -> bytes:
    verifier = load_verifier()
    found = {
        "genesis": genesis,
        "origin": books.origin,
        "root": tree.root(tree.size).hex(),
        "size": tree.size,
        "v": 1,
    }
    claims: bytes = verifier.canonical(verifier.claim_lists({**found, **books.claims()}))
    return claims + b"\n"
