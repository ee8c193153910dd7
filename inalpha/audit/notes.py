"""C2SP signed notes: a text, a blank line, signature lines. Checkpoints, lines and gates all are notes.

Source: c2sp.org/signed-note, c2sp.org/tlog-cosignature. Key names hold no space and no plus sign; a key id
is the first four bytes of SHA-256(name, LF, type, public key).
"""

from __future__ import annotations

import binascii
import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property, lru_cache

from nacl import bindings
from nacl.exceptions import BadSignatureError

ED25519 = 0x01
COSIGNATURE = 0x04
DASH = "— "
MAX_NOTE = 1_000_000
MAX_SIGNATURES = 100
_SPLIT = b"\n\n"


class NoteError(ValueError):
    """Not a well-formed note, or a signature of a known key does not hold."""


def b64encode(data: bytes) -> str:
    return binascii.b2a_base64(data, newline=False).decode("ascii")


def b64decode(text: str) -> bytes:
    """Strict standard base64: padding required, unused bits zero. Raises NoteError."""
    try:
        data = binascii.a2b_base64(text)
    except ValueError as error:
        raise NoteError("not standard base64") from error
    # The decoder skips what it does not know; only the standard spelling comes back as it was.
    if b64encode(data) != text:
        raise NoteError("not standard base64, or with stray bits")
    return data


def key_id(name: str, kind: int, public: bytes) -> bytes:
    """The four bytes that stand before each signature of this key."""
    return hashlib.sha256(name.encode("utf-8") + b"\n" + bytes((kind,)) + public).digest()[:4]


def is_name(name: str) -> bool:
    """Whether name may name a key: not empty, no white space, no plus sign."""
    return bool(name) and "+" not in name and not any(letter.isspace() for letter in name)


@dataclass(frozen=True)
class VerifierKey:
    """A public key with its name and type (ED25519 or COSIGNATURE)."""

    name: str
    kind: int
    public: bytes

    @cached_property
    def id(self) -> bytes:
        return key_id(self.name, self.kind, self.public)

    @cached_property
    def text(self) -> str:
        return f"{self.name}+{self.id.hex()}+{b64encode(bytes((self.kind,)) + self.public)}"


@lru_cache(maxsize=4096)
def parse_vkey(text: str) -> VerifierKey:
    """Read `name+hex id+base64(type, key)`. Raises NoteError for a bad name, id, type or length."""
    name, _, rest = text.partition("+")
    hex_id, _, encoded = rest.partition("+")
    raw = b64decode(encoded)
    if not is_name(name) or len(raw) != 33 or raw[0] not in (ED25519, COSIGNATURE):
        raise NoteError("not a verifier key of a known type")
    key = VerifierKey(name, raw[0], raw[1:])
    if key.id.hex() != hex_id:
        raise NoteError("the key id does not belong to this key")
    return key


def verify_ed25519(public: bytes, message: bytes, signature: bytes) -> bool:
    """Whether signature (64 bytes) over message is by public (32 bytes)."""
    if len(signature) != 64 or len(public) != 32:
        return False
    try:
        bindings.crypto_sign_open(signature + message, public)
    except (BadSignatureError, ValueError):
        return False
    return True


class SigningKey:
    """An Ed25519 key without a name. seed: 32 bytes; never shown by repr."""

    __slots__ = ("_secret", "public")

    def __init__(self, seed: bytes) -> None:
        if len(seed) != 32:
            raise ValueError("an Ed25519 seed has 32 bytes")
        self.public, self._secret = bindings.crypto_sign_seed_keypair(seed)

    @property
    def seed(self) -> bytes:
        return self._secret[:32]

    def sign(self, message: bytes) -> bytes:
        return bindings.crypto_sign(message, self._secret)[:64]

    def __repr__(self) -> str:
        return f"SigningKey(public={self.public.hex()})"


class Signer:
    """A named key that writes signature lines."""

    __slots__ = ("_prefix", "key", "vkey")

    def __init__(self, name: str, key: SigningKey) -> None:
        self.key = key
        self.vkey = VerifierKey(name, ED25519, key.public)
        self._prefix = self.vkey.id

    @property
    def name(self) -> str:
        return self.vkey.name

    def line(self, text: bytes) -> bytes:
        """The signature line over text, with its LF."""
        signed = b64encode(self._prefix + self.key.sign(text))
        return f"{DASH}{self.vkey.name} {signed}\n".encode()

    def note(self, text: bytes) -> bytes:
        """text (ending in LF), a blank line and one signature line."""
        return text + b"\n" + self.line(text)


@dataclass(frozen=True, slots=True)
class SignatureLine:
    """One `— name base64` line, not verified. id: 4 bytes; signature: what follows them."""

    name: str
    id: bytes
    signature: bytes


@dataclass(frozen=True, slots=True)
class OpenedNote:
    """A note whose known signatures all hold. cosigned: witness name to seconds since 1970."""

    text: bytes
    by: tuple[VerifierKey, ...]
    cosigned: dict[str, int]


def split(note: bytes) -> tuple[bytes, list[SignatureLine]]:
    """The signed text (with its last LF) and the signature lines. Raises NoteError."""
    if len(note) > MAX_NOTE:
        raise NoteError("note too long")
    try:
        whole = note.decode("utf-8")
    except UnicodeDecodeError as error:
        raise NoteError("not UTF-8") from error
    if any(letter < " " and letter != "\n" for letter in whole):
        raise NoteError("control character in a note")
    cut = note.rfind(_SPLIT)
    if cut < 0 or not note.endswith(b"\n"):
        raise NoteError("no signature block")
    lines = note[cut + 2 : -1].decode("utf-8").split("\n")
    if len(lines) > MAX_SIGNATURES:
        raise NoteError("too many signatures")
    return note[: cut + 1], [_signature_line(line) for line in lines]


def open_note(note: bytes, keys: Iterable[VerifierKey]) -> OpenedNote:
    """Verify the signatures of known keys; lines of unknown keys are ignored.

    Raises NoteError when a known key's line does not hold, comes twice, or no known key signed.
    """
    text, lines = split(note)
    known = {(key.name, key.id): key for key in keys}
    by: list[VerifierKey] = []
    cosigned: dict[str, int] = {}
    for line in lines:
        key = known.get((line.name, line.id))
        if key is None:
            continue
        if key in by:
            raise NoteError(f"{key.name} signed twice")
        seconds = verify_line(key, text, line.signature)
        if seconds is None:
            raise NoteError(f"the signature of {key.name} does not hold")
        if key.kind == COSIGNATURE:
            cosigned[key.name] = seconds
        by.append(key)
    if not by:
        raise NoteError("no signature by a known key")
    return OpenedNote(text, tuple(by), cosigned)


def verify_line(key: VerifierKey, text: bytes, signature: bytes) -> int | None:
    """None when the signature does not hold; else its time in seconds (0 for a plain signature)."""
    if key.kind == ED25519:
        return 0 if verify_ed25519(key.public, text, signature) else None
    if len(signature) != 72:
        return None
    seconds = int.from_bytes(signature[:8], "big")
    return seconds if verify_ed25519(key.public, cosigned_text(seconds, text), signature[8:]) else None


def cosigned_text(seconds: int, text: bytes) -> bytes:
    """What a witness signs: its time and the checkpoint's body."""
    return b"cosignature/v1\ntime %d\n" % seconds + text


def _signature_line(line: str) -> SignatureLine:
    if not line.startswith(DASH):
        raise NoteError("a signature line starts with an em dash")
    name, _, encoded = line[len(DASH) :].partition(" ")
    raw = b64decode(encoded)
    if not is_name(name) or len(raw) < 5:
        raise NoteError("malformed signature line")
    return SignatureLine(name, raw[:4], raw[4:])
