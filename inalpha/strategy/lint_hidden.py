"""What a reader of the file could miss: text behind a gap, far below or in letters that look like others.

A person signs what the screen shows. So every place where it would mislead has a line in the gate's evidence.
"""

from __future__ import annotations

import io
import re
import string
import tokenize
import unicodedata
from collections.abc import Iterator
from itertools import groupby

from inalpha.model.hidden import MANY_LINES, gaps, is_blank_line, source_lines
from inalpha.model.plain import unseen

FAR = 200
SHOWN = 100
Found = tuple[int, int, str, str, str]  # line, column, code, message, fix


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
    if line.isascii() and line.replace("\t", "").isprintable():
        return
    found = [(place, letter) for place, letter in unseen(line) if letter != "\t"]
    if found:
        names = ", ".join(_named(letter) for letter in list(dict.fromkeys(letter for _, letter in found))[:3])
        text = f"{names} cannot be seen, and may show the line in another order or a name as another"
        yield number, found[0][0] + 1, "INVISIBLE", text, "Remove it, or write it as an escape."


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
    chained: set[int] = set()
    words: list[
        tokenize.TokenInfo
    ] = []  # tokens without a gap between them: one name for Python, not for its module
    try:
        for token in tokenize.generate_tokens(io.StringIO(source, newline=None).readline):
            line, column = token.start
            if words and token.start != words[-1].end:
                yield from _foreign(words)
                words = []
            if token.type == tokenize.OP and token.string == ";" and line not in chained:
                chained.add(line)
                yield (
                    line,
                    column + 1,
                    "CHAINED",
                    "more than one statement on this line",
                    "One line for each.",
                )
            if token.type == tokenize.STRING:
                yield from _in_fields(token)
            elif token.type not in _WORDS and (token.type in _NAMES or not token.string.isascii()):
                words.append(token)
                continue
            yield from _foreign(words)
            words = []
    except (tokenize.TokenError, SyntaxError, ValueError):
        for number, text in enumerate(source_lines(source), 1):
            if not text.isascii():
                yield from _told(number, 0, text.strip())


_NAMES = (tokenize.NAME, tokenize.NUMBER, tokenize.ERRORTOKEN)
# Tokens that hold words for people; f-strings have tokens of their own from Python 3.12 on.
_WORDS = frozenset(
    getattr(tokenize, name)
    for name in ("COMMENT", "STRING", "FSTRING_START", "FSTRING_MIDDLE", "FSTRING_END")
    if hasattr(tokenize, name)
)


def _foreign(words: list[tokenize.TokenInfo]) -> Iterator[Found]:
    word = "".join(token.string for token in words)
    if not word.isascii():
        yield from _told(*words[0].start, word)


def _in_fields(token: tokenize.TokenInfo) -> Iterator[Found]:
    """Names in the braces of an f-string, which is one token up to Python 3.11."""
    prefix = re.match("[A-Za-z]*", token.string)
    if token.string.isascii() or prefix is None or "f" not in prefix[0].lower():
        return
    try:
        parts = list(string.Formatter().parse(token.string))
        fields = "".join(f"{field or ''}{spec or ''}" for _, field, spec, _ in parts)
    except ValueError:
        fields = token.string
    if not fields.isascii():
        yield from _told(*token.start, fields)


def _told(line: int, column: int, name: str) -> Iterator[Found]:
    other = next(letter for letter in name if not letter.isascii())
    reads = unicodedata.normalize("NFKC", name)
    same = f"; Python reads it as {reads}" if reads != name else ""
    text = f"the name {name} holds {_named(other)}, which may look like another letter{same}"
    yield line, column + 1, "FOREIGN_LETTER", text, "Use ASCII letters in names."
