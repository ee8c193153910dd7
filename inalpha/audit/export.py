"""The auditor's file: every line up to a signed checkpoint, what its hashes name, and the verifier.

The lines are folded again on the way out, so a ledger that does not add up is refused instead of exported.
The journal stays at home: it is needed to execute strategies again (I20), not to check the record.
"""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from inalpha.audit import merkle
from inalpha.audit.bundle import TILE, tile_names, write_zip
from inalpha.audit.canonical import encode
from inalpha.audit.checkpoint import Checkpoint, parse_note
from inalpha.audit.claims import claims_of
from inalpha.audit.event import read_event
from inalpha.audit.fold.apply import apply
from inalpha.audit.fold.base import Violation, create_scratch
from inalpha.audit.gate import GATE_HEADER, PROPOSAL_HEADER, parse
from inalpha.audit.needed import Needed
from inalpha.audit.notes import NoteError
from inalpha.model.errors import IntegrityError, Refused
from inalpha.model.readonly import read_only_uri
from inalpha.verifier.build import build

PAGE = 1024
HASH = 32
Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Exported:
    """What was written. size: lines; length: bytes of the file."""

    size: int
    root: str
    genesis: str
    length: int


def export_ledger(
    home: Path,
    reader: sqlite3.Connection,
    target: Path,
    checkpoint: bytes | None = None,
    progress: Progress | None = None,
) -> Exported:
    """Write target. checkpoint: a signed one of this ledger, cosigned or not; the home's last one else.

    Raises IntegrityError when the lines, a blob or the checkpoint do not hold together.
    """
    note = checkpoint if checkpoint is not None else (home / "head.checkpoint").read_bytes()
    try:
        head = parse_note(note)
    except NoteError as error:
        raise Refused("NO_CHECKPOINT", f"{error}.", "Give a signed checkpoint of this ledger.") from error
    reader.execute("BEGIN")
    try:
        export = _Export(home, reader, head, note, progress)
        write_zip(target, export.members())
    finally:
        reader.execute("COMMIT")
    return Exported(head.size, head.root.hex(), export.genesis, target.stat().st_size)


class _Export:
    def __init__(
        self,
        home: Path,
        reader: sqlite3.Connection,
        head: Checkpoint,
        note: bytes,
        progress: Progress | None,
    ) -> None:
        self.home, self.reader, self.head, self.note, self.progress = home, reader, head, note, progress
        self.levels: list[bytearray] = []
        self.needed = Needed()
        self.genesis = ""
        self.cosigned: dict[int, list[str]] = {}
        self.scratch = create_scratch()
        self._fold()

    def members(self) -> Iterator[tuple[str, bytes]]:
        """All members in the order of their names."""
        yield from self._blobs()
        yield "checkpoint", self._with_cosignatures(self.note)
        for size, note in sorted(self._checkpoints().items(), key=lambda item: str(item[0])):
            yield f"checkpoints/{size}", note
        yield "policy", self._policy().encode()
        yield "report.json", self._report()
        yield from self._leaves()
        for level, hashes in enumerate(self.levels, 1):
            for name, number in sorted_tiles(str(level), len(hashes) // HASH):
                yield name, bytes(hashes[number * TILE * HASH : (number + 1) * TILE * HASH])
        yield from self._entries()
        yield "verify.py", build()

    def _fold(self) -> None:
        """One pass over the lines: tree, tables, names of blobs, cosignatures."""
        tree = merkle.Tree(lambda start, end: [])
        tile: list[bytes] = []
        origin = None
        for seq, entry in self._rows():
            if seq != tree.size:
                raise _damaged(tree.size, "the line is missing")
            try:
                event = read_event(entry)
                nonces = [parse(text, GATE_HEADER).nonce for text in (event.gate, event.gate2) if text]
                nonces += [parse(event.proposal, PROPOSAL_HEADER).nonce] if event.proposal else []
                apply(self.scratch, event, nonces)
            except (Violation, Refused, ValueError, TypeError, KeyError) as error:
                raise _damaged(seq, str(error)) from error
            leaf = merkle.leaf_hash(entry)
            if seq == 0:
                self.genesis, origin = leaf.hex(), event.log
            tree.append(leaf)
            tile.append(leaf)
            if len(tile) == TILE:
                self._fill(0, merkle.root_of(tile))
                tile.clear()
            self.needed.collect(event)
            if event.kind == "witness.cosign":
                self._keep_cosignature(event.data)
            if self.progress is not None and tree.size % PAGE == 0:
                self.progress(tree.size, self.head.size)
        if (tree.size, tree.root(), origin) != (self.head.size, self.head.root, self.head.origin):
            raise _damaged(tree.size, "the checkpoint is not of these lines")

    def _fill(self, row: int, node: bytes) -> None:
        """Add the hash of a full tile of lines, and of each full tile that this completes above it."""
        if row == len(self.levels):
            self.levels.append(bytearray())
        hashes = self.levels[row]
        hashes += node
        if len(hashes) % (TILE * HASH) == 0:
            last = hashes[-TILE * HASH :]
            self._fill(
                row + 1, merkle.root_of([bytes(last[at : at + HASH]) for at in range(0, len(last), HASH)])
            )

    def _rows(self) -> Iterator[tuple[int, bytes]]:
        """Lines below the checkpoint's size."""
        for at in range(0, self.head.size, PAGE):
            end = min(at + PAGE, self.head.size)
            yield from self.reader.execute(
                "SELECT seq, entry FROM ev WHERE seq >= ? AND seq < ? ORDER BY seq", (at, end)
            ).fetchall()

    def _entries(self) -> Iterator[tuple[str, bytes]]:
        for name, number in sorted_tiles("entries", self.head.size):
            yield name, b"".join(len(entry).to_bytes(2, "big") + entry for entry in self._tile(number))

    def _leaves(self) -> Iterator[tuple[str, bytes]]:
        """Hashed again rather than kept: a million of them are larger than everything else here."""
        for name, number in sorted_tiles("0", self.head.size):
            yield name, b"".join(merkle.leaf_hash(entry) for entry in self._tile(number))

    def _tile(self, number: int) -> list[bytes]:
        start = number * TILE
        rows = self.reader.execute(
            "SELECT entry FROM ev WHERE seq >= ? AND seq < ? ORDER BY seq",
            (start, min(start + TILE, self.head.size)),
        )
        return [entry for (entry,) in rows]

    def _keep_cosignature(self, data: Mapping[str, Any]) -> None:
        """The signature lines that a witness.cosign line holds, the log's own left out."""
        note = str(data["note"])
        prefix = f"— {data['witness']} "
        found = [line for line in note.split("\n") if line.startswith(prefix)]
        self.cosigned.setdefault(int(data["size"]), []).extend(found)

    def _with_cosignatures(self, note: bytes) -> bytes:
        """The note with the cosignatures that the log holds for its size, each once."""
        lines = note.decode().rstrip("\n").split("\n")
        size = parse_note(note).size
        known = {line.split(" ")[1] for line in lines if line.startswith("— ")}
        for line in self.cosigned.get(size, []):
            if line.split(" ")[1] not in known:
                known.add(line.split(" ")[1])
                lines.append(line)
        return ("\n".join(lines) + "\n").encode()

    def _checkpoints(self) -> dict[int, bytes]:
        """Published checkpoints below the size, and those that a witness cosigned."""
        found: dict[int, bytes] = {}
        directory = self.home / "checkpoints"
        for path in directory.iterdir() if directory.is_dir() else ():
            if path.name.isdigit() and 0 < int(path.name) < self.head.size:
                found[int(path.name)] = path.read_bytes()
        for (note,) in self.scratch.execute("SELECT note FROM cosign ORDER BY seq"):
            size = parse_note(note.encode()).size
            if size < self.head.size:
                found.setdefault(size, note.encode())
        return {size: self._with_cosignatures(note) for size, note in found.items()}

    def _policy(self) -> str:
        """C2SP tlog-policy of the enrolled witnesses: any one of them."""
        log = self.scratch.execute(
            "SELECT vkey FROM key WHERE role = 'log' ORDER BY enrolled_seq"
        ).fetchone()[0]
        rows = self.scratch.execute(
            "SELECT vkey FROM key WHERE role = 'witness' AND revoked_after IS NULL ORDER BY enrolled_seq"
        ).fetchall()
        lines = [f"log {log}", *(f"witness w{number} {vkey}" for number, (vkey,) in enumerate(rows, 1))]
        if rows:
            lines.append(
                "group witnesses any " + " ".join(f"w{number}" for number in range(1, len(rows) + 1))
            )
        return "\n".join([*lines, f"quorum {'witnesses' if rows else 'none'}"]) + "\n"

    def _report(self) -> bytes:
        found = claims_of(self.scratch) | {
            "genesis": self.genesis,
            "origin": self.head.origin,
            "root": self.head.root.hex(),
            "size": self.head.size,
            "v": 1,
        }
        return encode(found) + b"\n"

    def _blobs(self) -> Iterator[tuple[str, bytes]]:
        """Files under their hash; texts with their salt, under the hash of both."""
        blobs = sqlite3.connect(read_only_uri(self.home / "blobs.db"), uri=True, isolation_level=None)
        try:
            blobs.execute("BEGIN")
            names = [name for (name,) in blobs.execute("SELECT name FROM blob")]
            wanted = self.needed.files.keys() | self.needed.commits.keys()
            missing = wanted - set(names) - self.needed.erased
            if missing:
                name = min(missing)
                seq = self.needed.files.get(name, self.needed.commits.get(name, 0))
                raise _damaged(seq, f"the blob {name[:16]}… that it names is missing")
            found = sorted((_stored_name(_blob(blobs, name)), name) for name in wanted.intersection(names))
            for stored, name in found:
                yield f"blobs/{stored}", _blob(blobs, name)
        finally:
            blobs.close()


def sorted_tiles(folder: str, count: int) -> list[tuple[str, int]]:
    """(name, number) of tiles, in the order of their names."""
    return sorted((name, number) for number, name in enumerate(tile_names(folder, count)))


def _blob(blobs: sqlite3.Connection, name: str) -> bytes:
    salt, data = blobs.execute("SELECT ifnull(salt, x''), data FROM blob WHERE name = ?", (name,)).fetchone()
    return bytes(salt) + bytes(data)


def _stored_name(blob: bytes) -> str:
    return hashlib.sha256(blob).hexdigest()


def _damaged(seq: int, reason: str) -> IntegrityError:
    return IntegrityError(
        "LEDGER_DAMAGED", f"line {seq}: {reason}.", "Run 'inalpha audit verify'.", detail={"seq": seq}
    )
