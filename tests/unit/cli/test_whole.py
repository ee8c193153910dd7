"""Source, diff and reasons are printed whole, with every gap marked, in as many rows as they take."""

from __future__ import annotations

import pytest

from inalpha.cli import whole

TAIL = "; self.hidden = self.n > 1000"
PLAIN = "def f(self):\n    self.n += 1\n    return self.n\n"
HIDING = PLAIN.replace("+= 1\n", "+= 1" + " " * 150 + TAIL + "\n") + "\n" * 40 + "self.buy(1)\n"


@pytest.mark.parametrize("columns", [40, 80, whole._UNWRAPPED])
def test_a_hidden_tail_stands_beside_its_mark(columns: int) -> None:
    rows = list(whole.source(HIDING, columns))
    assert all(len(row) <= columns for row in rows)
    (place,) = [place for place, row in enumerate(rows) if "┆ 150 blanks ┆" in row]
    told = " ".join(row.strip() for row in rows[place : place + 3])
    assert "".join(TAIL.split()) in "".join(told.split())
    assert any(row.endswith("┆ 40 blank lines ┆") for row in rows) and rows[-1].endswith("self.buy(1)")


def test_usual_source_is_printed_as_it_is() -> None:
    assert "\n".join(whole.source(PLAIN, whole._UNWRAPPED)) + "\n" == PLAIN
    assert list(whole.source("a\x0cb\u202e\n\tc\n", 80)) == [r"   1 a\x0cb\u202e", "   2     c"]
    assert list(whole.warning(PLAIN)) == []


def test_a_diff_hides_no_tail() -> None:
    rows = list(whole.diff(PLAIN, HIDING, ("cand-a", "cand-b"), 60))
    assert "".join(TAIL.split()) in "".join("".join(rows).split())
    assert "+┆ 40 blank lines ┆" in rows and "+self.buy(1)" in rows
    assert all(len(row) <= 60 for row in rows)


def test_whoever_promotes_is_told_what_hides() -> None:
    rows = list(whole.warning(HIDING))
    assert rows[0] == "note: 1 line hides text behind blanks, 1 gap of blank lines"
    assert "line 2: " in rows[1] and "self.hidden" in " ".join(rows)


def test_a_long_reason_wraps_and_is_not_cut() -> None:
    text = "too large " * 50 + " " * 90 + "and late"
    rows = list(whole.quoted("  why   ", text, 60))
    assert all(len(row) <= 60 for row in rows) and rows[-1].endswith("late”")
    assert "┆ 91 blanks ┆" in " ".join(row.strip() for row in rows)
    assert " ".join(row.strip() for row in rows).count("too large") >= 42
