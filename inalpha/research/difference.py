"""Where two runs of one strategy over the same bars part: the first bar, and what was said on it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any

from inalpha.kernel.records import JournalEntry

_SHOWN = 120


@dataclass(frozen=True, slots=True)
class Parting:
    """The bar on which two runs differ first, what it is that differs, and its value in each."""

    bar: int
    what: str
    one: str
    other: str

    def told(self, first: str, second: str) -> str:
        """first, second: how to call the two runs."""
        return f"bar {self.bar}: {self.what} {self.one} in {first}, {self.other} in {second}"


def first_parting(
    one: Sequence[JournalEntry], other: Sequence[JournalEntry], bars: int | None = None
) -> Parting | None:
    """The first bar whose replies differ, looking at the first `bars` only; None where there is none.

    Replies, not outputs: a strategy is judged by what it said, and equal words over equal bars have equal
    consequences.
    """
    replies = zip_longest(_replies(one, bars), _replies(other, bars))
    for bar, (said, said_again) in enumerate(replies):
        if said != said_again:
            return Parting(bar, *_parted(said, said_again))
    return None


def _replies(entries: Sequence[JournalEntry], bars: int | None) -> list[Mapping[str, Any]]:
    found = []
    for entry in entries:
        if entry.kind == "bar":
            found.append(json.loads(entry.output).get("reply", {}) if '"reply"' in entry.output else {})
    return found[:bars]


def _parted(said: Mapping[str, Any] | None, again: Mapping[str, Any] | None) -> tuple[str, str, str]:
    """What differs, and both values."""
    if said is None or again is None:
        return "the run", *(("had ended", "went on") if said is None else ("went on", "had ended"))
    if said.get("error", "") != again.get("error", ""):
        return "error", _short(said.get("error") or None), _short(again.get("error") or None)
    before, after = said.get("intents", []), again.get("intents", [])
    if len(before) != len(after):
        return "intents", str(len(before)), str(len(after))
    for number, (intent, other) in enumerate(zip(before, after, strict=True)):
        for name in intent:
            if intent[name] != other.get(name):
                return f"intent {number}, {name}", _short(intent[name]), _short(other.get(name))
    for line, other_line in zip_longest(said.get("logs", []), again.get("logs", [])):
        if line != other_line:
            return "log", _short(line), _short(other_line)
    return "the reply", _short(said), _short(again)


def _short(value: object) -> str:
    text = "none" if value is None else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"
