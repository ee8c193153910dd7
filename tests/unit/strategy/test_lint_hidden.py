"""What a reader could miss has a line of its own in the findings."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from inalpha.model.hidden import gaps, source_lines
from inalpha.strategy.lint import Finding, lint
from inalpha.strategy.loader import StrategyLoadError, load_strategy

HEAD = "from inalpha import Strategy\n\n\nclass Mine(Strategy):\n    def on_bar(self, bar):\n"
CODES = {"HIDDEN_TEXT", "FAR_RIGHT", "HIDDEN_BELOW", "INVISIBLE", "CHAINED", "FOREIGN_LETTER", "ENCODING"}


def hidden(body: str) -> list[Finding]:
    return [finding for finding in lint(HEAD + body) if finding.code in CODES]


@pytest.mark.parametrize(
    ("body", "code", "line", "told"),
    [
        ("        n = 1" + " " * 150 + "; buy()\n", "HIDDEN_TEXT", 6, "150 blanks hide what follows: ; buy()"),
        ("        self.n = 1  #" + "\t" * 6 + "x\n", "HIDDEN_TEXT", 6, "hide what follows: x"),
        ("        self.n = 1  # " + "\u3000\u3164" * 25 + "x\n", "HIDDEN_TEXT", 6, "blanks hide what follows: x"),
        ("        self.n = 1  # " + " \ufe0f" * 25 + "x\n", "HIDDEN_TEXT", 6, "hide what follows: x"),
        ("        self.n = (\n" + " " * 90 + "1)\n", "HIDDEN_TEXT", 7, "90 blanks hide what follows: 1)"),
        ("        self.n = 1  # " + "-" * 200 + " far\n", "FAR_RIGHT", 6, "runs on to column 226"),
        ("        pass\n" + "\n" * 30 + "    def on_stop(self):\n        pass\n", "HIDDEN_BELOW", 37, "30 blank lines"),
        ("        self.n = 1; self.n = 2\n", "CHAINED", 6, "more than one statement"),
        ("        sеlf = self\n", "FOREIGN_LETTER", 6, "U+0435 CYRILLIC SMALL LETTER IE"),
        ("        ſelf.n = 1\n", "FOREIGN_LETTER", 6, "Python reads it as self"),
        ("        self.n = 'a\u202eb'\n", "INVISIBLE", 6, "U+202E RIGHT-TO-LEFT OVERRIDE"),
        ("        self.n = 1  # a\x0c\n", "INVISIBLE", 6, "U+000C"),
    ],
)  # fmt: skip
def test_a_hidden_place_is_named_with_its_line(body: str, code: str, line: int, told: str) -> None:
    found = [finding for finding in hidden(body) if finding.code == code]
    assert [(finding.level, finding.line) for finding in found] == [("warning", line)]
    assert told in found[0].message


def test_usual_layout_hides_nothing() -> None:
    aligned = " " * 60
    assert (
        hidden(f"        self.result_of_a_long_name = self.another_long_name(1,\n{aligned}2)   \n\n\n") == []
    )
    assert hidden("        self.n = 'Zürich; 策略'  # größer\n") == []


def test_lines_are_counted_as_the_interpreter_counts_them() -> None:
    assert source_lines("a\x0cb\u2028c\r\nd\re\n") == ["a\x0cb\u2028c", "d", "e"]
    assert [gap.columns for gap in gaps("a" + "\t" * 6 + "b" + " " * 99)] == [47]


def test_what_is_read_is_what_runs() -> None:
    """In UTF-7 the comment below ends early, and the file would do what no screen shows."""
    newline = b"+" + base64.b64encode("\n    n = 1".encode("utf-16-be")).rstrip(b"=") + b"-"
    source = b"# coding: utf-7\nfrom inalpha import Strategy\nclass Mine(Strategy):\n    n = 0 # " + newline
    source += b"\n    def on_bar(self, bar): pass\n"
    module: dict[str, Any] = {}
    exec(compile(source, "s", "exec"), module)
    assert module["Mine"].n == 1
    (finding,) = lint(source)
    assert (finding.code, finding.level) == ("ENCODING", "error")
    assert load_strategy(source).n == 0  # type: ignore[attr-defined]


@pytest.mark.parametrize("source", [b"# coding: latin-1\nx = '\xe9'\n", b"x = '\xe9'\n"])
def test_bytes_that_are_no_utf8_are_refused(source: bytes) -> None:
    assert lint(source)[0].code == "ENCODING"
    with pytest.raises(StrategyLoadError):
        load_strategy(source)
