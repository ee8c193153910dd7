"""Canonical JSON against an independent RFC 8785 implementation, and against itself."""

from __future__ import annotations

from typing import Any

import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from inalpha.audit.canonical import MAX_INTEGER, CanonicalError, decode, encode, is_decimal
from inalpha.model.money import e8_from_text, text_from_e8

KEYS = st.from_regex(r"[a-z][a-z0-9_]{0,6}", fullmatch=True)
STRINGS = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
SCALARS = st.none() | st.booleans() | st.integers(-MAX_INTEGER, MAX_INTEGER) | STRINGS
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=12,
)


@given(VALUES)
def test_bytes_equal_rfc_8785(value: Any) -> None:
    assert encode(value) == rfc8785.dumps(value)


@given(VALUES)
def test_decoding_gives_the_value_back(value: Any) -> None:
    assert decode(encode(value)) == value


@given(VALUES, st.data())
def test_damaged_bytes_are_refused_or_canonical_themselves(value: Any, data: st.DataObject) -> None:
    good = encode(value)
    at = data.draw(st.integers(0, len(good) - 1))
    changed = good[:at] + bytes([data.draw(st.integers(0, 255))]) + good[at + 1 :]
    try:
        found = decode(changed)
    except CanonicalError:
        assert changed != good
        return
    assert rfc8785.dumps(found) == changed


@given(st.floats() | st.integers(min_value=MAX_INTEGER + 1) | st.just(("a",)) | st.just(b"x"))
def test_other_types_are_refused(value: Any) -> None:
    for wrapped in (value, [value], {"a": value}):
        try:
            encode(wrapped)
        except CanonicalError:
            continue
        raise AssertionError(wrapped)


@given(st.integers(-(10**27), 10**27))
def test_money_text_is_a_canonical_decimal(amount: int) -> None:
    text = text_from_e8(amount)
    assert is_decimal(text)
    assert e8_from_text(text) == amount
