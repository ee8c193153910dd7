"""What is checked before a ledger is taken: chain, tree, head file, log key, projections."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from inalpha.audit import keys, merkle
from inalpha.audit.checkpoint import parse_note
from inalpha.audit.event import ZERO_HASH, Event, EventError, is_log_enrolment, parse_entry, read_event
from inalpha.audit.fold.apply import apply, differing_table
from inalpha.audit.fold.base import Violation, create_scratch, get
from inalpha.audit.gate import GATE_HEADER, PROPOSAL_HEADER, parse
from inalpha.audit.head import read_heads
from inalpha.audit.notes import NoteError, Signer, parse_vkey, verify_ed25519
from inalpha.ledger import folded
from inalpha.ledger.blobs import commits_in
from inalpha.ledger.folded import Folded
from inalpha.model.errors import ConfigError, IntegrityError

PAGE = 2000


@dataclass(slots=True)
class Chain:
    """What the lines say about the tail, and their tree. commits: the texts that they name."""

    origin: str
    genesis: str
    tree: merkle.Tree
    prev: str
    epoch: int
    ts: int
    mono: int
    boot: str
    log_vkey: str
    clean: bool
    commits: set[str]
    folded: Folded | None


def open_chain(home: Path, conn: sqlite3.Connection, *, trusts_heads: bool = True) -> Chain:
    """Recompute leaves and tree, check the links, fold the lines and compare. Raises IntegrityError naming the seq.

    trusts_heads: false where the owner has just signed that this copy is older than its head files.
    """
    heads = known_heads(home) if trusts_heads else [(0, merkle.EMPTY_ROOT)]
    known = folded.find(home) if trusts_heads else None
    if known is not None:
        size = conn.execute("SELECT ifnull(max(seq), -1) + 1 FROM ev").fetchone()[0]
        if size < known.size:
            raise _damaged(size, f"{known.size} lines were folded before; the tail is missing")
        with suppress(IntegrityError):  # every line is looked at again, to name the one
            return _Opening(home, conn, dict(heads), known).chain()
    return _Opening(home, conn, dict(heads), None).chain()


class _Opening:
    """One pass over the lines. known: what those before its size add up to, so that they are hashed alone."""

    def __init__(
        self, home: Path, conn: sqlite3.Connection, heads: dict[int, bytes], known: Folded | None
    ) -> None:
        self.home = home
        self.conn = conn
        self.heads = heads
        self.known = known
        self.tree = merkle.Tree(lambda start, end: leaves_of(conn, start, end))
        self.scratch = create_scratch()
        self.named = folded.load(home, self.scratch, known.sha256) if known is not None else set()
        self.trusted = dict([(known.size, known.root)] if known is not None else [])

    def chain(self) -> Chain:
        try:
            chain = self._chain()
        except BaseException:
            self.scratch.close()
            raise
        if chain.tree.size - (self.known.size if self.known else 0) >= folded.WORTH_LINES:
            root = chain.tree.root()
            chain.folded = folded.save(self.home, self.scratch, self.named, chain.tree.size, root)
        self.scratch.close()
        return chain

    def _chain(self) -> Chain:
        tree, begin = self.tree, self.known.size if self.known is not None else 0
        genesis, before, entry, event = "", ZERO_HASH, b"", None
        for seq, found, leaf in rows_of(self.conn):
            entry = found
            if seq != tree.size or merkle.leaf_hash(entry) != leaf:
                raise _damaged(tree.size, "its stored hash is not of its bytes, or a line is missing")
            if seq >= begin:
                event = self._fold(seq, entry, before)
            before = leaf.hex()
            genesis = genesis or before
            tree.append(leaf)
            for known in (self.heads, self.trusted):
                if tree.size in known and tree.root() != known[tree.size]:
                    raise _damaged(seq, "the head file knows another tree of this size")
        if not tree.size:
            raise _damaged(0, "the ledger is empty")
        longest = max(self.heads)
        if tree.size < longest:
            raise _damaged(tree.size, f"the head file knows {longest} lines; the tail is missing")
        event = event or read_event(entry)
        in_force = _check_tail(entry, self.scratch, event.kind)
        if self.known is not None and self.known.vkey != in_force:
            raise _damaged(self.known.size, "a key that is not in force vouches for what was folded")
        table = differing_table(self.conn, self.scratch)
        if table is not None:
            raise IntegrityError(
                "PROJECTION",
                f"table {table} is not what the lines add up to.",
                "Restore a backup; do not trade on it.",
            )
        log_vkey = get(self.scratch, "log_vkey")
        clean = event.kind in ("epoch.close", "ledger.genesis")
        return Chain(
            event.log, genesis, tree, before, event.epoch, event.ts, event.mono, event.boot, log_vkey, clean,
            self.named | self._reasons(), self.known,
        )  # fmt: skip

    def _reasons(self) -> set[str]:
        """Reasons of intents that no plan came of stand in no line, only beside the decision's."""
        sql = 'SELECT DISTINCT reason FROM decision_detail WHERE reason NOT IN (SELECT "commit" FROM erased)'
        return {reason for (reason,) in self.conn.execute(sql)}

    def _fold(self, seq: int, entry: bytes, before: str) -> Event:
        try:
            event = read_event(entry)
            # With the last line's signature this ties every byte of the log to the key in force.
            if event.prev != before or event.seq != seq:
                raise _damaged(seq, "it does not follow the line before it")
            apply(self.scratch, event, nonces_of(event.gate, event.gate2, event.proposal))
        except (Violation, ValueError, TypeError, KeyError) as error:
            raise _damaged(seq, str(error)) from error
        self.named |= commits_in(event.data)
        if event.kind == "blob.erase":
            # A kill between the line and its deletion leaves the text for this start.
            self.named.discard(event.data["commit"])
        return event


def settle_log_key(home: Path, origin: str, log_vkey: str) -> Signer:
    """Finish an interrupted rotation and load the current key. Raises ConfigError or IntegrityError."""
    following = home / "log.key.next"
    if following.exists():
        if _vkey(following, origin) == log_vkey:
            os.replace(following, home / "log.key")
            keys.sync_directory(home)
        else:
            following.unlink()
    signer = keys.load_signer(home / "log.key", origin)
    if signer.vkey.text != log_vkey:
        raise IntegrityError(
            "LOG_KEY", "log.key is not the key that the ledger names.", "Restore the right home."
        )
    return signer


def known_heads(home: Path) -> list[tuple[int, bytes]]:
    """(size, root) of the head file's slots and of the signed head. Raises IntegrityError when absent."""
    slots = [(head.size, head.root) for head in read_heads(home / "head")]
    if not slots:
        raise IntegrityError(
            "HEAD_MISSING", "the head file is missing or spoiled.", "Run 'inalpha audit verify'."
        )
    try:
        signed = parse_note((home / "head.checkpoint").read_bytes())
    except (FileNotFoundError, NoteError) as error:
        raise IntegrityError(
            "HEAD_MISSING", "the signed head is missing or spoiled.", "Restore a backup."
        ) from error
    return [*slots, (signed.size, signed.root)]


def rows_of(conn: sqlite3.Connection, start: int = 0) -> Iterator[tuple[int, bytes, bytes]]:
    """All (seq, entry, leaf) from start on, page by page, so that a long ledger needs little memory."""
    sql = "SELECT seq, entry, leaf FROM ev WHERE seq >= ? ORDER BY seq LIMIT ?"
    while True:
        page = conn.execute(sql, (start, PAGE)).fetchall()
        yield from page
        if len(page) < PAGE:
            return
        start = page[-1][0] + 1


def leaves_of(conn: sqlite3.Connection, start: int, end: int) -> list[bytes]:
    found = conn.execute("SELECT leaf FROM ev WHERE seq >= ? AND seq < ? ORDER BY seq", (start, end))
    return [leaf for (leaf,) in found]


def nonces_of(gate: str | None, gate2: str | None, proposal: str | None) -> list[str]:
    """The nonces of a line's notes."""
    found = [parse(note, GATE_HEADER).nonce for note in (gate, gate2) if note is not None]
    return found + ([parse(proposal, PROPOSAL_HEADER).nonce] if proposal is not None else [])


def _check_tail(entry: bytes, scratch: sqlite3.Connection, kind: str) -> str:
    """The last line must be signed by the key that was current before it. Answers the one that is after it."""
    try:
        signed = parse_entry(entry)
    except EventError as error:
        raise _damaged(-1, str(error)) from error
    order = "ORDER BY enrolled_seq DESC LIMIT 1"
    before = scratch.execute(
        f"SELECT vkey FROM key WHERE role = 'log' AND (enrolled_seq < ? OR enrolled_seq = 0) {order}",
        (signed.event.seq,),
    ).fetchone()[0]
    if is_log_enrolment(signed.event):
        before = signed.event.data["vkey"]
    if not verify_ed25519(parse_vkey(before).public, signed.text, signed.signature):
        raise _damaged(signed.event.seq, f"the {kind} line is not signed by the log key")
    return str(signed.event.data["vkey"]) if kind == "key.rotate" else before


def _vkey(path: Path, origin: str) -> str | None:
    """None for a file that a crash left half-written."""
    try:
        return keys.load_signer(path, origin).vkey.text
    except ConfigError:
        return None


def _damaged(seq: int, reason: str) -> IntegrityError:
    return IntegrityError(
        "LEDGER_DAMAGED", f"line {seq}: {reason}.", "Run 'inalpha audit verify'.", detail={"seq": seq}
    )
