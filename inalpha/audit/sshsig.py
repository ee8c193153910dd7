"""SSHSIG: a gate signed through ssh-agent or `ssh-keygen -Y sign` (openssh PROTOCOL.sshsig), Ed25519 only."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from inalpha.audit.notes import NoteError, b64decode, verify_ed25519

BEGIN = "-----BEGIN SSH SIGNATURE-----\n"
END = "-----END SSH SIGNATURE-----\n"
MAGIC = b"SSHSIG"
_HASHES = {b"sha512": hashlib.sha512, b"sha256": hashlib.sha256}
_KEY_TYPE = b"ssh-ed25519"


@dataclass(frozen=True, slots=True)
class SshSignature:
    """The parsed armour. public: the 32 bytes of the signing key, to be looked up among enrolled keys."""

    public: bytes
    namespace: bytes
    hash_name: bytes
    signature: bytes

    def holds(self, message: bytes, namespace: str) -> bool:
        """Whether it is over message in that namespace."""
        if self.namespace != namespace.encode():
            return False
        digest = _HASHES[self.hash_name](message).digest()
        signed = MAGIC + b"".join(map(string, (self.namespace, b"", self.hash_name, digest)))
        return verify_ed25519(self.public, signed, self.signature)


def parse(armour: str) -> SshSignature:
    """Read an armoured signature. Raises NoteError."""
    if not (armour.startswith(BEGIN) and armour.endswith(END)):
        raise NoteError("no SSH signature")
    reader = Reader(b64decode(armour[len(BEGIN) : -len(END)].replace("\n", "")))
    if reader.take(6) != MAGIC or reader.take(4) != b"\x00\x00\x00\x01":
        raise NoteError("not an SSHSIG of version 1")
    public = _ed25519(reader.string(), 32)
    namespace, reserved, hash_name = reader.string(), reader.string(), reader.string()
    signature = _ed25519(reader.string(), 64)
    if reader.rest() or reserved or hash_name not in _HASHES:
        raise NoteError("SSHSIG with unknown members")
    return SshSignature(public, namespace, hash_name, signature)


def _ed25519(blob: bytes, length: int) -> bytes:
    reader = Reader(blob)
    kind, value = reader.string(), reader.string()
    if kind != _KEY_TYPE or len(value) != length or reader.rest():
        raise NoteError("not an Ed25519 SSH key or signature")
    return value


def string(value: bytes) -> bytes:
    """A field of the SSH wire format: its length, then itself."""
    return len(value).to_bytes(4, "big") + value


class Reader:
    """Takes fields off SSH wire data. Raises NoteError where they are cut short."""

    def __init__(self, data: bytes) -> None:
        self._data, self._at = data, 0

    def take(self, count: int) -> bytes:
        piece = self._data[self._at : self._at + count]
        if len(piece) != count:
            raise NoteError("SSHSIG cut short")
        self._at += count
        return piece

    def string(self) -> bytes:
        return self.take(int.from_bytes(self.take(4), "big"))

    def rest(self) -> bytes:
        return self._data[self._at :]
