"""The words that a strategy gives with its orders, and the commitments that stand for them everywhere else.

Only the strategy and blobs.db hold the text. Kernel, journal and lines get `HMAC-SHA256(salt, text)` in its place:
erasing the blob erases the text, and the signed heads hold as before. The strategy, which may read its own
reasons back, is told the text.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import re
from collections.abc import Iterable, Mapping
from typing import TypeVar

import msgspec

from inalpha.model.allowance import MAX_REASON
from inalpha.model.step import Intent, OrderEvent, OrderView, StepReply, StepRequest

Salted = tuple[bytes, str]
T = TypeVar("T", OrderEvent, OrderView)
_NAMED = re.compile(r'"reason":"([0-9a-f]{64})"')


def names_in(outputs: Iterable[str]) -> set[str]:
    """The commitments that a journal's outputs hold in the place of reasons."""
    return {name for output in outputs for name in _NAMED.findall(output)}


def commitment(salt: bytes, text: str) -> str:
    return hmac.new(salt, text.encode(), hashlib.sha256).hexdigest()


class Reasons:
    """One run's. durable: the salts and texts that are at rest, by commitment; one that is absent was erased."""

    def __init__(self, durable: Mapping[str, Salted] | None = None) -> None:
        self._durable = dict(durable or {})
        self._text_of = {name: text for name, (_, text) in self._durable.items()}
        self._name_of = {text: name for name, text in self._text_of.items()}

    def told(self, request: StepRequest) -> StepRequest:
        """The question as the strategy gets it."""
        if not request.events and not request.orders:
            return request
        return msgspec.structs.replace(
            request,
            events=tuple([self._said(event) for event in request.events]),
            orders=tuple([self._said(order) for order in request.orders]),
        )

    def commit(self, reply: StepReply) -> tuple[StepReply, dict[str, Salted]]:
        """The answer as kernel and journal get it, and what has to become durable with it; then learn() that.

        Equal reasons share a commitment: a strategy's constant reason is synced once, not at each order.
        """
        fresh: dict[str, Salted] = {}
        named: dict[str, str] = {}
        for intent in reply.intents:
            text = intent.reason[:MAX_REASON]
            if text and text not in named:
                name = self._name_of.get(text)
                if name is None:
                    salt = os.urandom(32)
                    name = commitment(salt, text)
                    fresh[name] = (salt, text)
                named[text] = self._note(name, text)
        if not named:
            return reply, fresh
        return _with_reasons(reply, [named.get(i.reason[:MAX_REASON], "") for i in reply.intents]), fresh

    def learn(self, fresh: Mapping[str, Salted]) -> None:
        """These texts are durable now."""
        self._name_of.update({text: name for name, (_, text) in fresh.items()})

    def forget(self, name: str) -> None:
        """Erased: the same words given again need a new salt and a new name."""
        self._name_of = {text: known for text, known in self._name_of.items() if known != name}

    def match(self, reply: StepReply, recorded: StepReply) -> StepReply:
        """A strategy's answer, asked again: each reason that the recorded commitment fits is that commitment.

        An erased one fits any text: it can no longer be compared. What does not fit stays, and differs.
        """
        if len(reply.intents) != len(recorded.intents):
            return reply
        return _with_reasons(
            reply, [self._fit(new, old) for new, old in zip(reply.intents, recorded.intents, strict=True)]
        )

    def _fit(self, new: Intent, old: Intent) -> str:
        text, name = new.reason[:MAX_REASON], old.reason
        if not text or text == name or len(name) != 64:
            return new.reason
        known = self._durable.get(name)
        if known is not None and commitment(known[0], text) != name:
            return new.reason
        return self._note(name, text)

    def _note(self, name: str, text: str) -> str:
        self._text_of[name] = text
        return name

    def _said(self, item: T) -> T:
        text = self._text_of.get(item.reason)
        return item if text is None else msgspec.structs.replace(item, reason=text)


def _with_reasons(reply: StepReply, reasons: list[str]) -> StepReply:
    pairs = zip(reply.intents, reasons, strict=True)
    intents = tuple([msgspec.structs.replace(intent, reason=reason) for intent, reason in pairs])
    return msgspec.structs.replace(reply, intents=intents)
