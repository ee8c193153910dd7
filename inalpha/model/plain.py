"""Text that others wrote, made harmless for the place where it leaves: a terminal, Markdown, a spreadsheet, JSON.

Strategies, agents, file names and error texts are hostile. Their words are kept exactly and are spelled out here, and
nowhere else: what could move a cursor, end a line, reorder, hide or be executed becomes visible letters.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Iterator

from inalpha.model.hidden import INKLESS

MAX_COMBINING = 2
_HIDDEN = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
_NAMED = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}
_LINE_ENDS = re.compile(r"\r\n|\n|\r")
# Markdown reads none of these words as anything but words, an underscore inside of one included (MAX_ORDER). Not a
# line's first one: see _BLOCK.
_WORD = re.compile(r"(?:[^\\`*_\[\]<>|~&#$!@{}=^+]|(?<=[A-Za-z0-9])_(?=[A-Za-z0-9]))*\Z")
_LINK = re.compile(r"://|www\.|mailto:|xmpp:", re.IGNORECASE)
_BLOCK = re.compile(r"[-:]|\d+[.)]")
_FORMULA = tuple("=+-@＝＋－＠")
# What a terminal may obey and JSON leaves as it is: DEL and C1, marks of direction, of no width, of another line.
_LOOSE = re.compile(
    "[\x7f-\x9f\xad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\U000e0000-\U000e007f]"
)


def plain(text: object) -> str:
    """On one line, unable to move the cursor, reorder, hide or stack up; what differs is never shown alike."""
    text = str(text)
    if text.isascii() and text.isprintable():
        return text
    out, at = [], 0
    for place, letter in unseen(text):
        out += [text[at:place], _NAMED.get(letter) or escape(letter)]
        at = place + 1
    return "".join([*out, text[at:]])


def unseen(text: str) -> Iterator[tuple[int, str]]:
    """The letters that a screen shows as nothing or not as they are: without ink, controls, and combining marks that
    have no letter to stand on, repeat one or stand on too many. Each with its place."""
    marks: set[str] | None = None  # on the letter before; None where there is none
    for place, letter in enumerate(text):
        if letter.isascii():
            is_shown = letter.isprintable()
            marks = set() if is_shown else None
        elif INKLESS.match(letter) or (category := unicodedata.category(letter)) in _HIDDEN:
            is_shown, marks = False, None
        elif category in ("Mn", "Me"):
            is_shown = marks is not None and letter not in marks and len(marks) < MAX_COMBINING
            marks = {*marks, letter} if is_shown and marks is not None else None
        else:
            is_shown, marks = True, set()
        if not is_shown:
            yield place, letter


def lines_of(text: str) -> list[str]:
    """A source's lines as Python counts them: U+0085, U+2028 or a form feed ends none, whatever an editor shows."""
    lines = _LINE_ENDS.split(text)
    return lines[:-1] if lines[-1] == "" else lines


def markdown(text: object) -> str:
    """One line of Markdown that says these words: no heading, list, table, link, image, HTML or emphasis.

    Words that Markdown could read stand in a code span, the one place in which it reads nothing.
    """
    out: list[str] = []
    for number, word in enumerate(plain(text).split()):
        if _is_word(word, is_first=number == 0):
            out.append(word)
        elif out and out[-1].startswith("\0"):
            out[-1] += f" {word}"
        else:
            out.append(f"\0{word}")
    return " ".join(_span(word[1:]) if word.startswith("\0") else word for word in out)


def quoted(text: object) -> str:
    """Somebody else's words inside a line of Markdown, marked as such: always a code span, nothing for nothing."""
    shown = plain(text).strip()
    return _span(shown) if shown else ""


def cell(text: object) -> str:
    """One cell of a CSV file: a spreadsheet runs what begins as a formula, so such a text gets a quote before it."""
    flat = plain(text).strip()
    return f"'{flat}" if flat.startswith(_FORMULA) else flat


def json_text(body: object, indent: int | None = None) -> str:
    """JSON that is exact and plain ASCII: each other character as an escape that a reader of JSON undoes."""
    return json.dumps(body, ensure_ascii=True, default=str, indent=indent)


def escaped_json(text: str) -> str:
    """The same JSON, equal for every reader of JSON, without characters that a terminal may obey."""
    if text.isascii() and "\x7f" not in text:
        return text
    return _LOOSE.sub(lambda found: json.dumps(found.group())[1:-1], text)


def escape(letter: str) -> str:
    """The letter by its number, as Python writes it."""
    code = ord(letter)
    return f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}" if code < 65_536 else f"\\U{code:08x}"


def _is_word(word: str, *, is_first: bool) -> bool:
    return bool(_WORD.match(word)) and not _LINK.search(word) and not (is_first and _BLOCK.match(word))


def _span(text: str) -> str:
    """A code span: its fence is longer than any run of backticks inside."""
    fence = "`" * (max(map(len, re.findall("`+", text)), default=0) + 1)
    edge = " " if text.startswith("`") or text.endswith("`") else ""
    return f"{fence}{edge}{text}{edge}{fence}"
