"""What gates are checked against: enrolled keys and used nonces as folded, and the tree so far."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass

from inalpha.audit.gate import EnrolledKey
from inalpha.audit.merkle import Tree
from inalpha.audit.notes import parse_vkey


@dataclass(slots=True)
class LedgerContext:
    """The gate.GateContext of a ledger, or of a verifier's scratch fold. conn: holds the projections."""

    conn: sqlite3.Connection
    origin: str
    tree: Tree

    def keys_named(self, name: str, key_id: bytes) -> Sequence[EnrolledKey]:
        start = f"{name}+{key_id.hex()}+"
        return self._keys("WHERE substr(vkey, 1, ?) = ?", len(start), start)

    def keys_of(self, public: bytes) -> Sequence[EnrolledKey]:
        return [item for item in self._keys("") if item.key.public == public]

    def root(self, size: int) -> bytes | None:
        return self.tree.root(size) if size <= self.tree.size else None

    def seen(self, nonce: str) -> bool:
        return self.conn.execute("SELECT 1 FROM nonce WHERE nonce = ?", (nonce,)).fetchone() is not None

    def _keys(self, where: str, *values: object) -> list[EnrolledKey]:
        rows = self.conn.execute(
            f"SELECT vkey, principal, role, enrolled_seq, revoked_after FROM key {where}", values
        )
        return [EnrolledKey(parse_vkey(vkey), *rest) for vkey, *rest in rows if rest[1] != "log"]
