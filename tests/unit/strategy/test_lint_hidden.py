"""What a reader could miss has a line of its own in the findings."""

from __future__ import annotations

import base64
import tokenize
from collections.abc import Iterator
from typing import Any

import pytest

from inalpha.client.wholetext import hidden_words, marked
from inalpha.model.hidden import gaps, source_lines
from inalpha.model.plain import plain
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


# Each reads as one lot on a screen that draws no mark twice, and buys forty.
FORTY = {
    "a selector in the name": ("lots\ufe0f", "lots"),
    "a joiner in the name": ("lo\u034fts", "lots"),
    "a vowel without ink": ("lots\u17b4", "lots"),
    "a filler": ("lots\u3164", "lots"),
    "a selector beyond the first plane": ("lots\U000e0100", "lots"),
    "a khitan filler": ("lots\U00016fe4", "lots"),
    "a mark twice": ("q\u0301\u0301", "q\u0301"),
    "a mark three times": ("q\u0301\u0301\u0301", "q\u0301\u0301"),
    "a third mark": ("q\u0301\u0302\u0303", "q\u0301\u0302"),
    "another script": ("l\u043ets", "lots"),
    "marks in another order": ("q\u0308\u0301", "q\u0301\u0308"),
}
TWO_LOOKS = {
    "a ligature": ("\ufb01ll", "fill"),
    "wide digits": ("lots\uff11", "lots1"),
    "a long s": ("lot\u017f", "lots"),
}


def body_of(name: str, other: str) -> str:
    return f"        {name} = 40\n        {other} = 1\n        self.buy({name})\n"


def bought(body: str) -> list[int]:
    class Stub:
        def buy(self, lots: int) -> None:
            found.append(lots)

    found: list[int] = []
    space: dict[str, Any] = {}
    exec(compile("class Mine:\n    def on_bar(self):\n" + body, "s", "exec"), space)
    space["Mine"].on_bar(Stub())
    return found


def later_tokens(readline: Any) -> Iterator[tokenize.TokenInfo]:
    """As Python 3.12 and later make them: a whole identifier is one NAME."""
    held: tokenize.TokenInfo | None = None
    for token in OLDER_TOKENS(readline):
        joins = held is not None and held.end == token.start and (held.string + token.string).isidentifier()
        if held is not None and joins and token.type in (tokenize.NAME, tokenize.ERRORTOKEN):
            held = held._replace(string=held.string + token.string, end=token.end)
            continue
        if held is not None:
            yield held
        held = token
    if held is not None:
        yield held


OLDER_TOKENS = tokenize.generate_tokens


@pytest.mark.parametrize("is_later", [False, True], ids=["tokens-3.11", "tokens-3.12"])
@pytest.mark.parametrize("attack", FORTY)
def test_two_names_that_look_alike_are_told_apart(
    monkeypatch: pytest.MonkeyPatch, attack: str, is_later: bool
) -> None:
    if is_later:
        monkeypatch.setattr(tokenize, "generate_tokens", later_tokens)
    name, other = FORTY[attack]
    body = body_of(name, other)
    assert bought(body) == [40] or attack == "marks in another order"
    found = hidden(body)
    assert {f.line for f in found if f.code == "FOREIGN_LETTER"} >= {6, 8}
    if attack not in ("another script", "marks in another order"):
        assert {f.line for f in found if f.code == "INVISIBLE"} >= {6, 8}
        assert plain(name) != plain(other) and "\\" in plain(name)
        assert any(is_mark and text.startswith("\\") for text, is_mark in marked(name))
        assert "cannot be seen" in hidden_words(body)
    assert "".join(text if is_mark else plain(text) for text, is_mark in marked(name)) == plain(name)


@pytest.mark.parametrize("attack", TWO_LOOKS)
def test_two_looks_of_one_name_are_told(attack: str) -> None:
    name, other = TWO_LOOKS[attack]
    assert bought(body_of(name, other)) == [1]  # one variable, though it reads as two
    assert [f.line for f in hidden(body_of(name, other)) if f.code == "FOREIGN_LETTER"] == [6, 8]
    assert f"Python reads it as {other}" in hidden(body_of(name, other))[0].message


def test_names_in_the_braces_of_a_string_are_names() -> None:
    body = "        f'{(l\u043ets := 40)}'\n        lots = 1\n        f'{self.buy(l\u043ets)}'\n"
    assert bought(body) == [40]
    assert [f.line for f in hidden(body) if f.code == "FOREIGN_LETTER"] == [6, 8]
    assert hidden("        self.n = f'größer {self.n} {{é}}'\n") == []


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ("        self.n = '\u2066a\u2069'\n", "INVISIBLE"),
        ("        self.n = 1  # \u2067a\u2069\n", "INVISIBLE"),
        ("        self.n = 1\x0c+ 39\n", "INVISIBLE"),
        ("        self.n = getattr(self, 'n\ufe0f')\n", "INVISIBLE"),
        ("        self.n = getattr(self, 'n\u0301\u0301')\n", "INVISIBLE"),
    ],
)
def test_isolates_feeds_and_marks_in_strings_are_named(body: str, code: str) -> None:
    assert {f.line for f in hidden(body) if f.code == code} == {6}


@pytest.mark.parametrize("number", ["\u0661", "1\uff10", "1\u0301", "\U0001d7cf", "1\ufe0f"])
def test_a_number_in_other_digits_is_no_number(number: str) -> None:
    found = lint(HEAD + f"        self.n = {number}\n")
    assert [finding.level for finding in found if finding.line == 6] == ["error"]
