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
    """The bar on which two runs differ first, and in which words."""

    bar: int
    what: str


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
            return Parting(bar, _told(said, said_again))
    return None


def _replies(entries: Sequence[JournalEntry], bars: int | None) -> list[Mapping[str, Any]]:
    found = []
    for entry in entries:
        if entry.kind == "bar":
            found.append(json.loads(entry.output).get("reply", {}) if '"reply"' in entry.output else {})
    return found[:bars]


def _told(said: Mapping[str, Any] | None, again: Mapping[str, Any] | None) -> str:
    if said is None or again is None:
        return "one run ended there, the other went on"
    if said.get("error", "") != again.get("error", ""):
        return f"error {_short(said.get('error') or None)} and {_short(again.get('error') or None)}"
    before, after = said.get("intents", []), again.get("intents", [])
    if len(before) != len(after):
        return f"{len(before)} and {len(after)} intents"
    for number, (intent, other) in enumerate(zip(before, after, strict=True)):
        for name in intent:
            if intent[name] != other.get(name):
                return f"intent {number}, {name} {_short(intent[name])} and {_short(other.get(name))}"
    for line, other_line in zip_longest(said.get("logs", []), again.get("logs", [])):
        if line != other_line:
            return f"log {_short(line)} and {_short(other_line)}"
    return "the same words in another order"


def _short(value: object) -> str:
    text = "none" if value is None else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"
