"""A rationale is read before something is signed: nothing in it hides."""

from __future__ import annotations

import pytest

from inalpha.cli.output import plain
from inalpha.execution.rationale import check_rationale
from inalpha.model.errors import Refused

LONG = "twenty characters at least"
HIDING = ["\ud800", "\U000e0041", "\u202e", "\u061c", "\u200b", "\xad", "\x1b[2J", "\r", "\x00", "\u2066"]


@pytest.mark.parametrize("who", ["agent:claude", "op:alice"])
@pytest.mark.parametrize("odd", HIDING)
def test_what_hides_is_refused_and_named(odd: str, who: str) -> None:
    with pytest.raises(Refused, match=f"character {len(LONG) + 1} is U\\+{ord(odd[0]):04X}"):
        check_rationale(LONG + odd, who)
    assert odd[0] not in plain(LONG + odd)


def test_sizes() -> None:
    check_rationale("x" * 20 + "\n\tü", "agent:claude")
    check_rationale("short", "op:alice")
    for text in ("x" * 19, "x" + " " * 30, "x" * 2001):
        with pytest.raises(Refused, match="20 to 2000"):
            check_rationale(text, "agent:claude")
    for text in ("", " \n", "ü" * 2001):
        with pytest.raises(Refused):
            check_rationale(text, "op:alice")
