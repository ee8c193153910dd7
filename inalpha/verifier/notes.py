"""Signed notes (C2SP): their text, their signature lines, and the keys behind them."""

from __future__ import annotations

import base64
import binascii
import hashlib
import re

from nacl import bindings
from nacl.exceptions import BadSignatureError

from inalpha.verifier.checks import Malformed

ED25519, COSIGNATURE = 1, 4
DASH = "— ".encode()
CONTROL = re.compile(rb"[\x00-\x09\x0b-\x1f]")


def unbase64(text: str) -> bytes:
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise Malformed("not base64") from error
    if base64.b64encode(data).decode() != text:
        raise Malformed("base64 with stray bits")
    return data


class Key:
    """An enrolled key. until: the last line at which its signatures count, None while it is not revoked."""

    __slots__ = ("id", "kind", "name", "principal", "public", "role", "since", "sponsor", "text", "until")

    def __init__(self, text: str, role: str, since: int, principal: str | None, sponsor: str | None) -> None:
        self.text, self.role, self.since, self.principal, self.sponsor = text, role, since, principal, sponsor
        self.until: int | None = None
        self.name, _, rest = text.partition("+")
        hex_id, _, encoded = rest.partition("+")
        raw = unbase64(encoded)
        self.kind, self.public = raw[0], raw[1:]
        self.id = hashlib.sha256(self.name.encode() + b"\n" + raw).digest()[:4]
        if self.id.hex() != hex_id or len(raw) != 33 or self.kind not in (ED25519, COSIGNATURE):
            raise Malformed("not a verifier key")


def holds(public: bytes, message: bytes, signature: bytes) -> bool:
    if len(signature) != 64:
        return False
    try:
        bindings.crypto_sign_open(signature + message, public)
    except (BadSignatureError, ValueError):
        return False
    return True


def split_note(note: bytes) -> tuple[bytes, list[tuple[str, bytes, bytes]]]:
    """The signed text and (name, key id, signature) of each signature line."""
    cut = note.rfind(b"\n\n")
    if cut < 0 or not note.endswith(b"\n") or len(note) > 1_000_000:
        raise Malformed("no signed note")
    if CONTROL.search(note):
        raise Malformed("a control character in a note")
    found = []
    for line in note[cut + 2 : -1].split(b"\n"):
        if not line.startswith(DASH):
            raise Malformed("a signature line starts with a dash")
        try:
            name, _, encoded = line[len(DASH) :].decode("utf-8").partition(" ")
        except UnicodeDecodeError as error:
            raise Malformed("not UTF-8") from error
        raw = unbase64(encoded)
        if len(raw) < 5 or not name:
            raise Malformed("a malformed signature line")
        found.append((name, raw[:4], raw[4:]))
    return note[: cut + 1], found
