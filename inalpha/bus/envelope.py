"""What travels on the bus: plain envelopes for notices and states, sealed (signed) ones for the rest.

A sealed payload is the exact bytes that were signed, base64, never encoded anew.
"""

from __future__ import annotations

import base64
import binascii
import secrets
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

import msgspec
from nacl.exceptions import BadSignatureError
from nacl.signing import SigningKey, VerifyKey

from inalpha.bus.topics import may_be_retained

VERSION = 1
MAX_MESSAGE = 98_304


class EnvelopeError(ValueError):
    """A message is dropped and counted. code: SIZE, FORM, VERSION, EXPIRED, RETAINED, KEY, SIGNATURE."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(f"{code}: {text}")
        self.code = code


class Envelope(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """ts and exp: microseconds since 1970; exp None: never. corr: id of what it answers."""

    v: int
    id: str
    type: str
    ts: int
    epoch: int
    corr: str | None
    exp: int | None
    body: msgspec.Raw


class Sealed(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """kid names the key; sig and payload are base64."""

    v: int
    kid: str
    sig: str
    payload: str


@dataclass(frozen=True, slots=True)
class Opened:
    """A payload whose signature held."""

    kid: str
    payload: bytes


_plain = msgspec.json.Decoder(Envelope)
_sealed = msgspec.json.Decoder(Sealed)


def wall_us() -> int:
    """Host time in microseconds: expiry of messages only, never a trading decision."""
    return time.time_ns() // 1000


_fresh: deque[str] = deque()


def new_id() -> str:
    """A fresh 128-bit id. Drawn by the hundred: a system call lets another thread in, and that one is not quick."""
    while True:
        try:
            return _fresh.pop()
        except IndexError:
            block = secrets.token_hex(16 * 128)
            _fresh.extend(block[first : first + 32] for first in range(0, len(block), 32))


def encode(
    kind: str,
    body: object,
    *,
    epoch: int,
    now_us: int,
    identifier: str | None = None,
    corr: str | None = None,
    ttl_s: float | None = None,
) -> bytes:
    """A plain envelope. Raises EnvelopeError("SIZE") above 96 KiB."""
    expires = None if ttl_s is None else now_us + int(ttl_s * 1_000_000)
    raw = msgspec.Raw(msgspec.json.encode(body))
    envelope = Envelope(VERSION, identifier or new_id(), kind, now_us, epoch, corr, expires, raw)
    return _sized(msgspec.json.encode(envelope))


def decode(raw: bytes, *, topic: str, is_retained: bool, now_us: int) -> Envelope:
    """Check and open a plain envelope. Raises EnvelopeError naming what is wrong."""
    _check_carrier(raw, topic, is_retained)
    try:
        envelope = _plain.decode(raw)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise EnvelopeError("FORM", str(error)) from None
    _check_version(envelope.v)
    if envelope.exp is not None and now_us >= envelope.exp:
        raise EnvelopeError("EXPIRED", f"{now_us - envelope.exp} us ago")
    return envelope


def seal(key: SigningKey, kid: str, payload: bytes) -> bytes:
    """Sign payload and wrap it. Raises EnvelopeError("SIZE") above 96 KiB."""
    signature = key.sign(payload).signature
    sealed = Sealed(VERSION, kid, _text(signature), _text(payload))
    return _sized(msgspec.json.encode(sealed))


def unseal(
    raw: bytes, keys: Callable[[str], bytes | None], *, topic: str = "", is_retained: bool = False
) -> Opened:
    """Check size, form, key and signature. keys: public key of a kid, None when unknown."""
    _check_carrier(raw, topic, is_retained)
    try:
        sealed = _sealed.decode(raw)
        signature = base64.b64decode(sealed.sig, validate=True)
        payload = base64.b64decode(sealed.payload, validate=True)
    except (msgspec.MsgspecError, ValueError, binascii.Error, RecursionError) as error:
        raise EnvelopeError("FORM", str(error)) from None
    _check_version(sealed.v)
    public = keys(sealed.kid)
    if public is None:
        raise EnvelopeError("KEY", f"{sealed.kid[:80]!r} is not known here")
    try:
        VerifyKey(public).verify(payload, signature)
    except (BadSignatureError, ValueError):
        raise EnvelopeError("SIGNATURE", f"not made by {sealed.kid[:80]!r}") from None
    return Opened(sealed.kid, payload)


def _check_carrier(raw: bytes, topic: str, is_retained: bool) -> None:
    if len(raw) > MAX_MESSAGE:
        raise EnvelopeError("SIZE", f"{len(raw)} bytes, at most {MAX_MESSAGE}")
    if is_retained and not may_be_retained(topic):
        raise EnvelopeError("RETAINED", f"a retained message on {topic}")


def _check_version(version: int) -> None:
    if version != VERSION:
        raise EnvelopeError("VERSION", f"{version}, {VERSION} spoken here")


def _sized(raw: bytes) -> bytes:
    if len(raw) > MAX_MESSAGE:
        raise EnvelopeError("SIZE", f"{len(raw)} bytes, at most {MAX_MESSAGE}")
    return raw


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()
