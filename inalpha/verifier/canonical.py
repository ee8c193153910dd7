"""Canonical JSON: one spelling of every value, so that bytes can be compared and digests taken."""

from __future__ import annotations

import hashlib
import json
import re
from typing import Any, NoReturn

from inalpha.verifier.checks import Malformed

MAX_INTEGER = 2**53 - 1
MAX_DEPTH = 32
KEY_FORM = re.compile("[a-z][a-z0-9_]*")


def no_number(text: str) -> NoReturn:
    raise Malformed(f"{text[:24]} is no plain integer")


DECODER = json.JSONDecoder(parse_float=no_number, parse_constant=no_number)
ENCODER = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def canonical(value: Any) -> bytes:
    try:
        return ENCODER.encode(value).encode("utf-8")
    except (UnicodeEncodeError, ValueError, TypeError, RecursionError) as error:
        raise Malformed(f"has no canonical form: {error}") from error


def read_json(data: bytes) -> Any:
    """The value of canonical bytes; any other spelling of it is refused."""
    try:
        value = DECODER.decode(data.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise Malformed(f"not JSON: {error}") from error
    check_value([value], -1)
    if canonical(value) != data:
        raise Malformed("not in canonical form")
    return value


def check_value(value: Any, depth: int) -> None:
    """Names, integers and depth of what was parsed."""
    if type(value) is dict:
        for name in value:
            if KEY_FORM.fullmatch(name) is None:
                raise Malformed(f"member name {name!r}")
    if depth >= MAX_DEPTH:
        raise Malformed("nested too deeply")
    for item in value.values() if type(value) is dict else value:
        kind = type(item)
        if kind is dict or kind is list:
            check_value(item, depth + 1)
        elif kind is int and not -MAX_INTEGER <= item <= MAX_INTEGER:
            raise Malformed("integer out of range")


def digest(header: str, value: Any) -> str:
    return hashlib.sha256(header.encode() + b"\n" + canonical(value) + b"\n").hexdigest()
