"""The journal's lines and the head over them.

A line is `["kind",input,output]`, both canonical JSON, and the head is the SHA-256 of every line so far:
each link covers all before it, and a journal file's own sha256 is its run's head.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator

import msgspec

from inalpha.kernel.records import JournalEntry
from inalpha.model.bar import Bar

# Text and hash of many lines cost a third of one line at a time; more than this gains nothing.
BLOCK = 512

_START = b'["bar",{"bar":'
_encode_lines = msgspec.json.Encoder().encode_lines
_encode = msgspec.json.Encoder().encode


class Chain:
    """One run's journal. Give entries, a receiver of single entries, or lines, one of whole lines of text.

    Towards lines, bars on which nothing happened wait until another entry, a full block or a question
    for the head writes them; the bytes are the same either way.
    """

    __slots__ = ("_entries", "_lines", "_output", "_sha256", "_tail", "_waiting", "bars", "count")

    def __init__(
        self, entries: Callable[[JournalEntry], None] | None, lines: Callable[[bytes], None] | None
    ) -> None:
        self._entries = entries
        self._lines = lines
        self._sha256 = hashlib.sha256()
        self._waiting: list[Bar] = []
        self._output = ""
        self._tail = b""
        self.bars = 0
        self.count = 0

    @property
    def head(self) -> str:
        self.flush()
        return self._sha256.hexdigest() if self.count else ""

    def expect(self, output: str) -> None:
        """What follows from a bar on which nothing happens, until told otherwise."""
        self.flush()
        self._output = output
        self._tail = b"}," + output.encode() + b"]\n"

    def quiet(self, bar: Bar) -> JournalEntry | None:
        """Add a bar on which nothing happened. Answers its entry where entries are kept."""
        if self._lines is None:
            return self.bar(f'{{"bar":{bar_text(bar)}}}', self._output)
        waiting = self._waiting
        waiting.append(bar)
        if len(waiting) >= BLOCK:
            self.flush()
        return None

    def bar(self, input_text: str, output_text: str) -> JournalEntry | None:
        """Add a bar on which something happened. Answers its entry where entries are kept."""
        self._write("bar", input_text, output_text)
        self.bars += 1
        return None if self._lines is not None else self._entry("bar", input_text, output_text)

    def add(self, kind: str, input_text: str, output_text: str) -> JournalEntry:
        """Add any other entry."""
        self._write(kind, input_text, output_text)
        return self._entry(kind, input_text, output_text)

    def _write(self, kind: str, input_text: str, output_text: str) -> None:
        self.flush()
        line = _line(kind, input_text, output_text)
        self._sha256.update(line)
        self.count += 1
        if self._lines is not None:
            self._lines(line)

    def _entry(self, kind: str, input_text: str, output_text: str) -> JournalEntry:
        """The last line as an entry."""
        last = self.bars - 1 if self.bars else None
        head = self._sha256.hexdigest()
        entry = JournalEntry(self.count - 1, kind, last, input_text, output_text, head)
        if self._entries is not None:
            self._entries(entry)
        return entry

    def flush(self) -> None:
        """Write what waits."""
        waiting = self._waiting
        if not waiting or self._lines is None:
            return
        between = self._tail + _START
        text = _START + _encode_lines(waiting)[:-1].replace(b"\n", between) + self._tail
        self._sha256.update(text)
        self.count += len(waiting)
        self.bars += len(waiting)
        waiting.clear()
        self._lines(text)


def heads(entries: Iterable[JournalEntry]) -> Iterator[str]:
    """The head after each entry, from the texts alone: what they mean does not matter."""
    sha256 = hashlib.sha256()
    for entry in entries:
        sha256.update(_line(entry.kind, entry.input, entry.output))
        yield sha256.hexdigest()


def _line(kind: str, input_text: str, output_text: str) -> bytes:
    return f'["{kind}",{input_text},{output_text}]\n'.encode()


def bar_text(bar: Bar) -> str:
    """The bar's members as a JSON array, in their order."""
    return _encode(bar).decode()
