"""Checkpoints: the signed (size, root) of the tree, with witness cosignatures (C2SP tlog-checkpoint)."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from inalpha.audit.notes import (
    ED25519,
    NoteError,
    OpenedNote,
    Signer,
    VerifierKey,
    b64decode,
    b64encode,
    open_note,
    split,
)

_SIZE = re.compile(r"0|[1-9][0-9]{0,19}")


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A tree head. extensions: further lines of the body; ours never has any."""

    origin: str
    size: int
    root: bytes
    extensions: tuple[str, ...] = ()

    @property
    def text(self) -> bytes:
        return f"{self.origin}\n{self.size}\n{b64encode(self.root)}\n".encode()

    def sign(self, signer: Signer) -> bytes:
        return signer.note(self.text)


def parse_body(text: bytes) -> Checkpoint:
    """Read origin, size and root. Raises NoteError."""
    try:
        lines = text.decode("utf-8").split("\n")
    except UnicodeDecodeError as error:
        raise NoteError("not UTF-8") from error
    if len(lines) < 4 or lines[-1] or not lines[0]:
        raise NoteError("a checkpoint has origin, size and root")
    origin, size, encoded, *extensions = lines[:-1]
    if _SIZE.fullmatch(size) is None:
        raise NoteError("the size is not a plain decimal number")
    root = b64decode(encoded)
    if len(root) != 32 or not all(extensions):
        raise NoteError("the root has not 32 bytes, or an extension is empty")
    return Checkpoint(origin, int(size), root, tuple(extensions))


def parse_note(note: bytes) -> Checkpoint:
    """The checkpoint of a note, signatures unverified. Raises NoteError."""
    return parse_body(split(note)[0])


def open_checkpoint(note: bytes, keys: Iterable[VerifierKey]) -> tuple[Checkpoint, OpenedNote]:
    """A checkpoint that its log signed, known cosignatures verified. Raises NoteError."""
    opened = open_note(note, keys)
    checkpoint = parse_body(opened.text)
    if not any(key.kind == ED25519 and key.name == checkpoint.origin for key in opened.by):
        raise NoteError("the log has not signed this checkpoint")
    return checkpoint, opened
