"""Canonical JSON: the one spelling of an object, so that equal facts have equal bytes (restricted RFC 8785).

Allowed are objects, arrays, strings, booleans, null and integers up to 2^53-1 in size. Floats are not:
two writers spell the same float differently and the signature would depend on the library.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterable
from typing import Any, NoReturn

MAX_INTEGER = 2**53 - 1
MAX_DEPTH = 32
MAX_DECIMAL_DIGITS = 38

_KEY = re.compile(r"[a-z][a-z0-9_]*")
_DECIMAL = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]*[1-9])?")
_encoder = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def _make_chunks() -> Callable[[Any, int], Iterable[str]]:
    """The encoder's inner loop, built once: JSONEncoder.encode builds it anew for each value (4 us)."""
    make = getattr(json.encoder, "c_make_encoder", None)
    if make is None:
        return lambda value, _: (_encoder.encode(value),)
    chunks: Callable[[Any, int], Iterable[str]] = make(
        None, _encoder.default, json.encoder.encode_basestring, None, ":", ",", True, False, False
    )
    return chunks


_chunks = _make_chunks()


class CanonicalError(ValueError):
    """The value has no canonical form, or the bytes are not it."""


def encode(value: Any) -> bytes:
    """The canonical UTF-8 bytes of value. Raises CanonicalError."""
    _check(value, 0)
    try:
        return _encoder.encode(value).encode("utf-8")
    except UnicodeEncodeError as error:
        raise CanonicalError("a string holds a lone surrogate") from error


def encode_checked(value: Any) -> str:
    """Canonical text of a value whose types a schema has already proven; skips the walk."""
    return "".join(_chunks(value, 0))


def decode(data: bytes) -> Any:
    """Parse bytes that must be canonical: they are encoded again and compared. Raises CanonicalError."""
    value = parse(data)
    if encode(value) != data:
        raise CanonicalError("the bytes are not the canonical form of their content")
    return value


def parse(data: bytes) -> Any:
    """Parse UTF-8 JSON without floats; the spelling is not compared yet. Raises CanonicalError."""
    try:
        return _decoder.decode(data.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise CanonicalError(f"not JSON: {error}") from error


def digest(header: str, value: Any) -> str:
    """SHA-256 over header, LF, canonical bytes, LF: the digest of a plan or a mandate."""
    return digest_of(header, encode(value))


def digest_of(header: str, canonical: bytes) -> str:
    """The same over bytes that are canonical already, or whose digest must prove that they are."""
    return hashlib.sha256(header.encode("ascii") + b"\n" + canonical + b"\n").hexdigest()


def is_decimal(text: object) -> bool:
    """Whether text is a canonical decimal: no exponent, no padding zeros, never -0, at most 38 digits."""
    if not isinstance(text, str) or len(text) > MAX_DECIMAL_DIGITS + 2:
        return False
    digits = len(text) - text.count("-") - text.count(".")
    return _DECIMAL.fullmatch(text) is not None and text != "-0" and digits <= MAX_DECIMAL_DIGITS


def is_key(name: object) -> bool:
    """Whether name may be a member's name."""
    return isinstance(name, str) and _KEY.fullmatch(name) is not None


def _no_number(text: str) -> NoReturn:
    raise CanonicalError(f"only plain integers are allowed, not {text[:24]}")


_decoder = json.JSONDecoder(parse_float=_no_number, parse_constant=_no_number)


def _check(value: Any, depth: int) -> None:
    kind = type(value)
    if kind is str or kind is bool or value is None:
        return
    if kind is int:
        if not -MAX_INTEGER <= value <= MAX_INTEGER:
            raise CanonicalError(f"integer out of range: {str(value)[:24]}")
        return
    if depth >= MAX_DEPTH:
        raise CanonicalError(f"nested deeper than {MAX_DEPTH}")
    if kind is dict:
        for name, member in value.items():
            if not is_key(name):
                raise CanonicalError(f"bad member name {name!r}")
            _check(member, depth + 1)
    elif kind is list:
        for member in value:
            _check(member, depth + 1)
    else:
        raise CanonicalError(f"a {kind.__name__} has no canonical form")
