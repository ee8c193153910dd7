"""Both signature checkers give the same answer; a child that dies fails what it was given."""

from __future__ import annotations

import pytest

from inalpha.audit.notes import SigningKey
from inalpha.verifier.signatures import InlineVerifier, ProcessVerifier


@pytest.mark.parametrize("make", [InlineVerifier, ProcessVerifier])
def test_bad_signatures_are_named_by_seq(make: type[InlineVerifier] | type[ProcessVerifier]) -> None:
    key, checker = SigningKey(b"k" * 32), make()
    for seq in range(1000):
        text = b"line %d\n" % seq
        signature = key.sign(text if seq not in (7, 640) else b"other")
        checker.add(seq, key.public, text, signature)
    assert checker.finish() == [7, 640]


def test_dead_child_fails_the_lines_it_was_given() -> None:
    key, checker = SigningKey(b"k" * 32), ProcessVerifier()
    checker.add(5, key.public, b"x", key.sign(b"x"))
    checker._child.kill()
    checker._child.wait()
    assert checker.finish() == [5]
