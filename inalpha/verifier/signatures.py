"""Ed25519 verification of many lines in a process of its own, so that the other core checks the rest.

`python -m inalpha.verifier.signatures` reads frames from stdin until it ends and answers with the seqs whose
signature does not hold. One signature at a time: batch verification would accept other signatures.
"""

from __future__ import annotations

import fcntl
import struct
import subprocess
import sys
from typing import IO

from nacl import bindings
from nacl.exceptions import BadSignatureError

from inalpha.verifier.notes import holds

# Below this many lines the second process costs more than it saves.
WORTHWHILE = 3000
# With the default 64 KiB each side would wait for the other.
PIPE_BYTES = 1 << 20
BATCH_BYTES = 128 * 1024
_FRAME = struct.Struct(">QI32s")
_READY, _DONE = b"ready\n", b"done\n"


def signature_verifier(lines: int) -> InlineVerifier | ProcessVerifier:
    """The faster one for so many lines; without a second process the slower one."""
    if lines < WORTHWHILE:
        return InlineVerifier()
    try:
        return ProcessVerifier()
    except OSError:
        return InlineVerifier()


class InlineVerifier:
    """Checks at once; for short ledgers."""

    def __init__(self) -> None:
        self._bad: list[int] = []

    def add(self, seq: int, public: bytes, text: bytes, signature: bytes) -> None:
        if not holds(public, text, signature):
            self._bad.append(seq)

    def finish(self) -> list[int]:
        """The seqs whose signature does not hold, ascending."""
        return self._bad

    def abandon(self) -> None:
        """Nothing to end."""


class ProcessVerifier:
    """The same through a child process. A child that dies early fails the lines that it was given."""

    def __init__(self) -> None:
        self._child = subprocess.Popen(
            [sys.executable, "-I", "-m", "inalpha.verifier.signatures"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        assert self._child.stdout is not None
        if self._child.stdout.readline() != _READY:
            self.abandon()
            raise OSError("the signature process does not start")
        assert self._child.stdin is not None
        _widen(self._child.stdin)
        self._pending = bytearray()
        self._first: int | None = None
        self._broken = False

    def add(self, seq: int, public: bytes, text: bytes, signature: bytes) -> None:
        if self._first is None:
            self._first = seq
        self._pending += _FRAME.pack(seq, len(signature) + len(text), public)
        self._pending += signature
        self._pending += text
        if len(self._pending) >= BATCH_BYTES:
            self._flush()

    def finish(self) -> list[int]:
        self._flush()
        answer = b""
        if not self._broken:
            answer, _ = self._child.communicate()
        else:
            self._child.kill()
            self._child.communicate()
        if not answer.endswith(_DONE):
            return [] if self._first is None else [self._first]
        return [int(line) for line in answer[: -len(_DONE)].split()]

    def abandon(self) -> None:
        """End the child without asking."""
        self._child.kill()
        self._child.communicate()

    def _flush(self) -> None:
        assert self._child.stdin is not None
        try:
            self._child.stdin.write(self._pending)
            self._child.stdin.flush()
        except OSError:
            self._broken = True
        self._pending.clear()


def serve(source: IO[bytes], answer: IO[bytes]) -> None:
    """The child's loop."""
    answer.write(_READY)
    answer.flush()
    check = bindings.crypto_sign_open
    while head := source.read(_FRAME.size):
        seq, length, public = _FRAME.unpack(head)
        signed = source.read(length)
        if len(signed) != length:
            return  # cut short: no "done", so the lines count as bad
        try:
            check(signed, public)
        except (BadSignatureError, ValueError):
            answer.write(b"%d\n" % seq)
    answer.write(_DONE)
    answer.flush()


def _widen(pipe: IO[bytes]) -> None:
    """A larger pipe where the system allows one (Linux, unprivileged up to 1 MiB)."""
    try:
        fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
    except (AttributeError, OSError):
        return


if __name__ == "__main__":
    serve(sys.stdin.buffer, sys.stdout.buffer)
