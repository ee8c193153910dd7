"""What a reader of the file could miss: text behind a gap, far below or in letters that look like others.

A person signs what the screen shows. So every place where it would mislead has a line in the gate's evidence.
"""

from __future__ import annotations

import io
import re
import tokenize
import unicodedata
from collections.abc import Iterator
from itertools import groupby

from inalpha.model.hidden import MANY_LINES, gaps, is_blank_line, source_lines

FAR = 200
SHOWN = 100
Found = tuple[int, int, str, str, str]  # line, column, code, message, fix

_INVISIBLE = frozenset({"Cc", "Cf", "Co", "Cn", "Zl", "Zp"})


def encoding_defect(source: bytes) -> str:
    """Why these bytes are not the text that every screen shows; empty when they are.

    A coding cookie makes the interpreter read other text than UTF-8 does: in UTF-7 a comment can be code.
    """
    try:
        name = tokenize.detect_encoding(io.BytesIO(source).readline)[0]
        source.decode("utf-8-sig")
    except (SyntaxError, UnicodeDecodeError) as error:
        return f"the file is not UTF-8: {getattr(error, 'msg', None) or error}"
    return "" if name in ("utf-8", "utf-8-sig") else f"the file declares {name}, and is read as UTF-8"


def hidden_places(source: str) -> Iterator[Found]:
    """Everything that a reader could overlook, in no order."""
    lines = source_lines(source.removeprefix("\ufeff"))
    for number, line in enumerate(lines, 1):
        yield from _behind_gaps(number, line)
        yield from _invisible(number, line)
    yield from _far_below(lines)
    yield from _tokens(source.removeprefix("\ufeff"))


def _behind_gaps(number: int, line: str) -> Iterator[Found]:
    fix = "Write it where a reader looks: at most one blank, and a line of its own."
    found = list(gaps(line))
    for gap in found:
        text = f"{gap.columns} blanks hide what follows: {_shown(line[gap.end :])}"
        yield number, gap.start + 1, "HIDDEN_TEXT", text, fix
    if not found and len(line.expandtabs()) > FAR:
        text = f"it runs on to column {len(line.expandtabs())}: {_shown(line[FAR:])}"
        yield number, FAR + 1, "FAR_RIGHT", text, "Break the line."


def _shown(text: str) -> str:
    text = re.sub(r"\s+", " ", text.strip())
    more = len(text) - SHOWN
    return text if more <= 0 else f"{text[:SHOWN]} and {more} characters more"


def _invisible(number: int, line: str) -> Iterator[Found]:
    found = dict.fromkeys(
        letter for letter in line if letter != "\t" and unicodedata.category(letter) in _INVISIBLE
    )
    if found:
        names = ", ".join(_named(letter) for letter in list(found)[:3])
        text = f"{names} cannot be seen, and may show the line in another order"
        yield (
            number,
            line.index(next(iter(found))) + 1,
            "INVISIBLE",
            text,
            "Remove it, or write it as an escape.",
        )


def _named(letter: str) -> str:
    return f"U+{ord(letter):04X} {unicodedata.name(letter, '')}".rstrip()


def _far_below(lines: list[str]) -> Iterator[Found]:
    at = 1
    for is_blank, group in groupby(lines, is_blank_line):
        count = len(list(group))
        if is_blank and count >= MANY_LINES and at + count <= len(lines):
            text = f"{count} blank lines hide what follows on line {at + count}"
            yield at + count, 1, "HIDDEN_BELOW", text, "Two blank lines are enough."
        at += count


def _tokens(source: str) -> Iterator[Found]:
    """By token, since the syntax tree has names as Python normalises them."""
    try:
        tokens = list(tokenize.generate_tokens(io.StringIO(source, newline=None).readline))
    except (tokenize.TokenError, SyntaxError, ValueError):
        return
    chained: set[int] = set()
    for token in tokens:
        line, column = token.start
        if token.type == tokenize.OP and token.string == ";" and line not in chained:
            chained.add(line)
            yield line, column + 1, "CHAINED", "more than one statement on this line", "One line for each."
        elif token.type == tokenize.NAME and not token.string.isascii():
            other = next(letter for letter in token.string if not letter.isascii())
            reads = unicodedata.normalize("NFKC", token.string)
            same = f"; Python reads it as {reads}" if reads != token.string else ""
            text = f"the name {token.string} holds {_named(other)}, which may look like another letter{same}"
            yield line, column + 1, "FOREIGN_LETTER", text, "Use ASCII letters in names."
