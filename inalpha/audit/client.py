"""The signing side: remembers the tree that this person last saw and refuses to sign on another history."""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from inalpha.audit import gate, merkle
from inalpha.audit.event import read_event
from inalpha.audit.keys import make_private
from inalpha.audit.notes import Signer
from inalpha.audit.sshagent import AgentSigner
from inalpha.model.errors import IntegrityError

MAX_TTL_S = 300


def tree_of(reader: sqlite3.Connection) -> merkle.Tree:
    """The tree over the stored leaves, in one read transaction of the reader."""

    def fetch(start: int, end: int) -> list[bytes]:
        found = reader.execute("SELECT leaf FROM ev WHERE seq >= ? AND seq < ? ORDER BY seq", (start, end))
        return [leaf for (leaf,) in found]

    tree = merkle.Tree(fetch)
    for (leaf,) in reader.execute("SELECT leaf FROM ev ORDER BY seq"):
        tree.append(leaf)
    return tree


def sign_gate(
    reader: sqlite3.Connection,
    signer: Signer | AgentSigner,
    kind: str,
    subject: Mapping[str, Any],
    ttl_s: int = MAX_TTL_S,
    *,
    memory: Path | None = None,
) -> str:
    """A gate note over the tree that this reader shows, consistent with the last one that was signed.

    memory: the directory (HOME/clients) that holds the last seen (size, root) per ledger and signer.
    """
    # Read before the tree: this person may sign elsewhere at the same time, and only see a larger one.
    seen = _last_seen(signer, memory)
    origin, last_ts = _tail(reader)
    tree = tree_of(reader)
    _demand_consistency(tree, seen)
    # The ledger's time never runs back: a note signed on a clock that was set back must still fit it.
    now = max(time.time_ns() // 1000, last_ts)
    text = gate.gate_text(
        log=origin,
        action=kind,
        subject=subject,
        base_size=tree.size,
        base_root=tree.root(),
        ts=now,
        exp=now + min(ttl_s, MAX_TTL_S) * 1_000_000,
    )
    _remember(tree, signer, memory)
    return gate.sign(signer, text)


def sign_proposal(
    reader: sqlite3.Connection,
    signer: Signer | AgentSigner,
    kind: str,
    subject: Mapping[str, Any],
    ttl_s: int = MAX_TTL_S,
) -> str:
    """An agent's proposal note."""
    origin, last_ts = _tail(reader)
    now = max(time.time_ns() // 1000, last_ts)
    exp = now + min(ttl_s, MAX_TTL_S) * 1_000_000
    return gate.sign(signer, gate.proposal_text(log=origin, action=kind, subject=subject, ts=now, exp=exp))


def _tail(reader: sqlite3.Connection) -> tuple[str, int]:
    found = reader.execute("SELECT entry FROM ev ORDER BY seq DESC LIMIT 1").fetchone()
    if found is None:
        raise IntegrityError("LEDGER_DAMAGED", "the ledger is empty.", "Restore a backup.", detail={"seq": 0})
    event = read_event(found[0])
    return event.log, event.ts


def _path(signer: Signer | AgentSigner, memory: Path) -> Path:
    return memory / f"seen-{signer.vkey.id.hex()}.json"


def _last_seen(signer: Signer | AgentSigner, memory: Path | None) -> tuple[int, bytes] | None:
    if memory is None or not _path(signer, memory).exists():
        return None
    try:
        seen = json.loads(_path(signer, memory).read_bytes())
        return int(seen["size"]), bytes.fromhex(seen["root"])
    except (ValueError, KeyError, TypeError) as error:
        raise IntegrityError(
            "SEEN_TREE", "the note of the last seen tree is spoiled.", "Verify, then remove it."
        ) from error


def _demand_consistency(tree: merkle.Tree, seen: tuple[int, bytes] | None) -> None:
    if seen is None:
        return
    size, root = seen
    if size > tree.size or tree.root(size) != root:
        raise IntegrityError(
            "HISTORY_CHANGED",
            f"the ledger no longer holds the {size} lines that you last signed on.",
            "Do not sign; run 'inalpha audit verify' and compare with your kept checkpoints.",
        )


def _remember(tree: merkle.Tree, signer: Signer | AgentSigner, memory: Path | None) -> None:
    if memory is None:
        return
    make_private(memory)
    path = _path(signer, memory)
    temporary = path.with_suffix(f".{os.getpid()}-{threading.get_ident()}.part")
    temporary.write_text(json.dumps({"root": tree.root().hex(), "size": tree.size}))
    with contextlib.suppress(OSError):
        os.chmod(temporary, 0o600)
    os.replace(temporary, path)
