"""How much of its strategy's words a run keeps: bounded by the bar and by the day of the market's clock.

Reasons and logs are kept for as long as the ledger, so a strategy that talks all night must not fill the disk. What is
kept follows from what was said and from the bars' own times alone: paper, backtest and replay keep the same.
"""

from __future__ import annotations

import msgspec

from inalpha.model.step import Intent, StepReply
from inalpha.model.timeframe import DAY_NS

# Sixteen reasons of full length fit a bar. A day holds one of a hundred bytes for nearly each of its minutes.
BAR_BYTES = 8 * 1024
DAY_BYTES = 128 * 1024
MAX_REASON = 500  # characters
# Beyond these letters no side, type or time in force is one, and no order has such an id.
MAX_WORD = 64


class Allowance:
    """One run's. Reasons and logs have room of their own each: chatter costs no order its reason."""

    def __init__(self) -> None:
        self._day = -1
        self._reasons = DAY_BYTES
        self._logs = DAY_BYTES

    def keep(self, reply: StepReply, now_ns: int) -> StepReply:
        """The answer with the words that are kept, and in `dropped` the bytes of those that are not.

        now_ns: the bar's close. What was kept once is kept whole when it is fed back.
        """
        if not reply.intents and not reply.logs:
            return reply
        day = (now_ns - 1) // DAY_NS  # a bar that closes at midnight ends its day
        if day != self._day:
            self._day, self._reasons, self._logs = day, DAY_BYTES, DAY_BYTES
        reasons, logs = _Room(min(BAR_BYTES, self._reasons)), _Room(min(BAR_BYTES, self._logs))
        kept = tuple([_keep_intent(intent, reasons) for intent in reply.intents])
        lines = tuple([line for text in reply.logs if (line := logs.keep(text))])
        self._reasons -= reasons.used
        self._logs -= logs.used
        dropped = reasons.dropped + logs.dropped
        if not dropped:
            return reply
        return msgspec.structs.replace(reply, intents=kept, logs=lines, dropped=reply.dropped_bytes + dropped)


class _Room:
    """Bytes that are left for one kind of words on one bar."""

    def __init__(self, left: int) -> None:
        self._left = left
        self.used = 0
        self.dropped = 0

    def keep(self, text: str, most: int | None = None) -> str:
        """As much of the text as fits, whole characters only. most: characters, whatever room there is."""
        whole = text.encode()
        kept = (whole if most is None else text[:most].encode())[: self._left]
        if len(kept) < len(whole):
            text = kept.decode(errors="ignore")
            kept = text.encode()
        self._left -= len(kept)
        self.used += len(kept)
        self.dropped += len(whole) - len(kept)
        return text

    def shorten(self, word: str | None) -> str | None:
        """One of the protocol's own words, which costs no room; what is too long to be one is cut."""
        if word is None or len(word) <= MAX_WORD:
            return word
        kept = word[:MAX_WORD]
        self.dropped += len(word.encode()) - len(kept.encode())
        return kept


def _keep_intent(intent: Intent, room: _Room) -> Intent:
    before = room.dropped
    words = [room.shorten(word) for word in (intent.side, intent.type, intent.tif, intent.cancel)]
    reason = room.keep(intent.reason, MAX_REASON)
    if room.dropped == before:
        return intent
    side, kind, tif, cancel = words
    return msgspec.structs.replace(intent, side=side, type=kind, tif=tif or "", cancel=cancel, reason=reason)
