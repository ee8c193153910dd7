"""What only the owner's signature lets a home do: go on from an older copy, or under a new log key.

A copy whose head files know more lines does not open by itself, nor does one whose log key is gone. With the gates of
this page, written into the transaction that opens the next epoch, it does, and everything is HALTED.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from inalpha.audit import keys
from inalpha.audit.checkpoint import parse_note
from inalpha.audit.client import sign_gate, tree_of
from inalpha.audit.event import log_key_named, read_event
from inalpha.audit.head import read_heads
from inalpha.audit.merkle import Tree
from inalpha.audit.notes import NoteError, Signer, b64encode
from inalpha.audit.sshagent import AgentSigner
from inalpha.ledger.readers import open_reader
from inalpha.ledger.startup import rows_of, settle_log_key
from inalpha.ledger.txn import Txn
from inalpha.model.errors import ConfigError, IntegrityError, Refused
from inalpha.model.principals import DAEMON

Line = tuple[str, dict[str, Any], str]


@dataclass(frozen=True, slots=True)
class Mend:
    """Signed lines for the next epoch's first transaction. log: the new log key where the old one is gone."""

    actor: str
    signer_id: str
    salt: bytes
    reason: str
    reason_commit: str
    rekey: tuple[Line, ...]
    rollback: Line | None
    log: Signer | None

    def write(self, txn: Txn) -> None:
        """Before epoch.open: the new key introduces itself, then the rollback, then the halt."""
        if self.log is not None:
            txn.take_over(self.log)
        for kind, data, gate in [*self.rekey, *([self.rollback] if self.rollback else [])]:
            txn.line(kind, self.actor, data, gate=gate)
        if self.rollback is not None:
            txn.keep_text(self.reason_commit, self.salt, self.reason)
        halt = {
            "account": None,
            "reason_commit": txn.commit_text(f"mended by {self.actor}: {self.reason}"),
            "run": None,
            "scope": "all",
            "state": "HALTED",
        }
        txn.line("halt.set", DAEMON, halt)


def prepare(
    home: Path,
    signer: Signer | AgentSigner,
    actor: str,
    reason: str,
    *,
    known: tuple[int, bytes] | None = None,
) -> Mend:
    """Look at the home and sign what it needs. known: a longer head from elsewhere (the home that a restore replaces).

    Raises Refused("NOTHING_TO_MEND") for a home that opens by itself.
    """
    reader = open_reader(home)
    try:
        tree = tree_of(reader)
        longest = _longest(home, tree, known)
        last = _log_key(reader)
        origin = last.partition("+")[0]
        salt = os.urandom(32)
        commit = hmac.new(salt, reason.encode(), hashlib.sha256).hexdigest()

        def gated(kind: str, data: Mapping[str, Any]) -> Line:
            # The memory of what this person last saw is what a rollback contradicts: it is not asked.
            return kind, dict(data), sign_gate(reader, signer, kind, data)

        rollback: Line | None = None
        rekey: tuple[Line, ...] = ()
        log: Signer | None = None
        if longest is not None:
            size, root = longest
            data = {
                "from_root": b64encode(root),
                "from_size": size,
                "reason_commit": commit,
                "to_root": b64encode(tree.root()),
                "to_size": tree.size,
            }
            rollback = gated("rollback.accept", data)
        if not _holds_log_key(home, origin, last):
            log = Signer(origin, keys.new_key())
            enrol = {"principal": None, "role": "log", "sponsor": None, "vkey": log.vkey.text}
            revoke = {"principal": None, "valid_through_seq": tree.size - 1, "vkey": last}
            rekey = (gated("key.enrol", enrol), gated("key.revoke", revoke))
    finally:
        reader.close()
    if rollback is None and log is None:
        raise Refused("NOTHING_TO_MEND", "this home opens as it is.", "Start the daemon.")
    return Mend(actor, signer.vkey.id.hex(), salt, reason, commit, rekey, rollback, log)


def forget_heads(home: Path, kept: int, size: int) -> None:
    """After a rollback to kept lines has committed as size lines: heads and checkpoints of the lost history go."""
    (home / "head").unlink(missing_ok=True)
    directory = home / "checkpoints"
    for path in directory.iterdir() if directory.is_dir() else ():
        if path.name.isdigit() and kept < int(path.name) != size:
            os.replace(path, path.with_name(f"{path.name}.rolled-back"))


def _longest(home: Path, tree: Tree, known: tuple[int, bytes] | None) -> tuple[int, bytes] | None:
    """The longest head that this ledger does not hold."""
    heads = [(head.size, head.root) for head in read_heads(home / "head")]
    try:
        signed = parse_note((home / "head.checkpoint").read_bytes())
        heads.append((signed.size, signed.root))
    except (FileNotFoundError, NoteError):
        pass
    heads += [known] if known is not None else []
    if not heads:
        raise IntegrityError("HEAD_MISSING", "no head file tells how long it was.", "Restore a backup.")
    foreign = [(n, root) for n, root in heads if n > tree.size or tree.root(n) != root]
    if any(size < tree.size for size, _ in foreign):
        raise IntegrityError(
            "LEDGER_DAMAGED", "a shorter head is of another history.", "Run 'inalpha audit verify'."
        )
    return max(foreign, default=None)


def _log_key(reader: sqlite3.Connection) -> str:
    """The key that the last line leaves the log with."""
    found = ""
    for _, entry, _ in rows_of(reader):
        if b'"kind":"key.' in entry or not found:
            event = read_event(entry)
            found = log_key_named(event) or (event.data["log_vkey"] if event.seq == 0 else found)
    return found


def _holds_log_key(home: Path, origin: str, vkey: str) -> bool:
    if not (home / "log.key").exists() and not (home / "log.key.next").exists():
        return False
    try:
        return settle_log_key(home, origin, vkey).vkey.text == vkey
    except (ConfigError, IntegrityError):
        return False
