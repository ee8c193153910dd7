"""The proof of one fill: its lines, each with a C2SP tlog-proof to one signed checkpoint.

Self-contained: the key lines come along, so a reader who holds the genesis hash needs no ledger. It proves
that these lines stand in the log, never that others do not.
"""

from __future__ import annotations

import sqlite3
from pathlib import Path

from inalpha.audit import merkle
from inalpha.audit.canonical import encode
from inalpha.audit.checkpoint import parse_note
from inalpha.audit.client import tree_of
from inalpha.audit.lineage import key_lines, lineage
from inalpha.audit.notes import b64encode
from inalpha.model.errors import IntegrityError, TryAgain

BUNDLE = "inalpha.audit/prove/v1"
PROOF = "c2sp.org/tlog-proof@v1"


def prove_fill(home: Path, reader: sqlite3.Connection, fill: str) -> bytes:
    """The bundle's bytes. Raises Refused("NO_FILL"), TryAgain while the fill awaits its checkpoint."""
    note = (home / "head.checkpoint").read_bytes()
    head = parse_note(note)
    reader.execute("BEGIN")
    try:
        links = lineage(reader, fill)
        if links[-1].seq >= head.size:
            raise TryAgain(
                "NO_CHECKPOINT", f"no signed checkpoint covers {fill} yet.", "Ask again in a second."
            )
        tree = tree_of(reader)
        if tree.size < head.size or tree.root(head.size) != head.root:
            raise IntegrityError(
                "LEDGER_DAMAGED", "the signed head is of other lines.", "Run 'inalpha audit verify'."
            )
        found = {link.seq: link for link in [*links, *key_lines(reader, head.size)]}
        items = [
            {
                "entry": link.entry.decode("utf-8"),
                "proof": tlog_proof(tree, link.seq, head.size, note),
                "role": link.role,
            }
            for _, link in sorted(found.items())
        ]
    finally:
        reader.execute("COMMIT")
    return encode({"bundle": BUNDLE, "items": items, "log": head.origin}) + b"\n"


def tlog_proof(tree: merkle.Tree, index: int, size: int, note: bytes) -> str:
    """Line index in the tree that the checkpoint note signs."""
    hashes = [b64encode(node) for node in tree.inclusion(index, size)]
    return "\n".join([PROOF, f"index {index}", *hashes, "", note.decode("utf-8")])
