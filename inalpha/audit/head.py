"""The head file: two 512-byte slots that say how long the ledger was, so that a cut tail is noticed.

After each commit one slot is overwritten, the other one keeps the earlier head: a torn write spoils one.
Not synced: after a power loss it may lag behind the ledger, never lead it.
"""

from __future__ import annotations

import hashlib
import os
import re
from dataclasses import dataclass
from pathlib import Path

SLOT = 512
_FORM = re.compile(rb"(inalpha\.head/v1 (0|[1-9][0-9]{0,15}) ([0-9a-f]{64})) ([0-9a-f]{16})\n\x00*")


@dataclass(frozen=True, slots=True)
class Head:
    size: int
    root: bytes


def encode_slot(head: Head) -> bytes:
    text = f"inalpha.head/v1 {head.size} {head.root.hex()}"
    check = hashlib.sha256(text.encode()).hexdigest()[:16]
    return f"{text} {check}\n".encode().ljust(SLOT, b"\0")


def decode_slot(data: bytes) -> Head | None:
    """None for a torn or foreign slot."""
    found = _FORM.fullmatch(data)
    if found is None or hashlib.sha256(found[1]).hexdigest()[:16].encode() != found[4]:
        return None
    return Head(int(found[2]), bytes.fromhex(found[3].decode()))


def read_heads(path: Path) -> list[Head]:
    """The valid slots, longest first; empty when the file is missing or both are spoiled."""
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return []
    slots = [decode_slot(data[at : at + SLOT]) for at in (0, SLOT)]
    return sorted((slot for slot in slots if slot), key=lambda slot: slot.size, reverse=True)


class HeadFile:
    """The writer's side: overwrites the slots in turn."""

    def __init__(self, path: Path) -> None:
        self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        slots = [decode_slot(os.pread(self._fd, SLOT, at)) for at in (0, SLOT)]
        sizes = [slot.size if slot else -1 for slot in slots]
        self._next = 0 if sizes[0] < sizes[1] else 1

    def write(self, head: Head) -> None:
        os.pwrite(self._fd, encode_slot(head), self._next * SLOT)
        self._next ^= 1

    def sync(self) -> None:
        os.fsync(self._fd)

    def close(self) -> None:
        os.close(self._fd)
