"""What happened after a line, and which of it is an exception: the morning's first questions, asked of the log."""

from __future__ import annotations

import sqlite3
from bisect import bisect_left
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from inalpha.audit.event import Event, read_event
from inalpha.ledger import readers
from inalpha.ledger.halts import author_of, scope_name
from inalpha.ledger.outcomes import order_outcome
from inalpha.model.money import e8_from_text, text_from_e8
from inalpha.model.principals import RISK

Row = dict[str, Any]

# An exit that ends by these did its work, or had none left to do.
NO_TROUBLE = frozenset({"OCO", "POSITION_CLOSED", "NOTHING_TO_REDUCE"})
GUARD = RISK
TOLD = ("halt.set", "halt.resume", "bar.revision")
_ENDED = (
    "SELECT o.*, p.reduce_only, p.proposed_by FROM orders o JOIN plan p ON p.plan = o.plan"
    " WHERE o.ended_seq > ? AND o.state != 'filled' ORDER BY o.ended_seq"
)
_GUARDED = (
    "SELECT p.*, o.state AS order_state, o.filled, o.code AS order_code FROM plan p"
    ' LEFT JOIN orders o ON o."order" = p."order"'
    f" WHERE p.proposed_by = '{GUARD}' AND max(p.created_seq, ifnull(o.ended_seq, 0)) > ? ORDER BY p.created_seq"
)
_REFUSED = (
    "SELECT run, ifnull(code, 'REJECTED') AS code, count(*) AS count, min(seq) AS first, max(seq) AS line"
    " FROM decision WHERE outcome IN ('risk_rejected', 'rejected') AND seq > ? GROUP BY 1, 2 ORDER BY 3 DESC, 1, 2"
)
_PLANS = (
    "SELECT plan, run, side, quantity, symbol, state, code, decided_by, decided_seq, reduce_only, proposed_by"
    " FROM plan WHERE decided_seq > ? AND state IN ('rejected', 'expired', 'cancelled') ORDER BY decided_seq"
)


@dataclass(frozen=True, slots=True)
class Notable:
    """One thing a person should know of. count: how often; line: where the log says so, None for what stands now."""

    kind: str
    run: str | None
    code: str | None
    text: str
    count: int = 1
    line: int | None = None


@dataclass(frozen=True, slots=True)
class Happened:
    """What happened since a line. counts: by word, of what took place and not of what was asked."""

    counts: dict[str, int] = field(default_factory=dict)
    exceptions: tuple[Notable, ...] = ()


def counted(word: str, count: int) -> str:
    """`2 halts`, `1 guard exit`, `3 filled`."""
    is_thing = word in ("halt", "guard exit") and count != 1
    return f"{count:,} {word}{'s' if is_thing else ''}"


class LinesOf:
    """Lines of a few kinds after a mark, read once: a later reading looks at what is new alone."""

    def __init__(self, *kinds: str) -> None:
        self._kinds = kinds
        found = (f"""instr(entry, CAST('"kind":"{kind}"' AS BLOB)) > 0""" for kind in kinds)
        self._sql = f"SELECT entry FROM ev WHERE seq > ? AND ({' OR '.join(found)}) ORDER BY seq"
        self._mark: int | None = None
        self._at = -1
        self._found: list[Event] = []

    def since(self, reader: sqlite3.Connection, mark: int = -1) -> list[Event]:
        """The lines after the mark, oldest first."""
        if mark != self._mark:
            self._mark, self._at, self._found = mark, mark, []
        size = readers.size(reader)
        if size - 1 > self._at:
            events = [read_event(entry) for (entry,) in reader.execute(self._sql, (self._at,))]
            self._found += [event for event in events if event.kind in self._kinds]
            self._at = size - 1
        return self._found


def deposited(deposits: list[Event], account: str) -> str:
    """What came into an account after its opening: no gain of anybody's trading."""
    return text_from_e8(sum(e8_from_text(e.data["amount"]) for e in deposits if e.data["account"] == account))


def restarts(isolated: list[Event]) -> dict[str, int]:
    """How often each run's runner was started again: each start has its line of isolation."""
    starts = Counter(event.data["run"] for event in isolated)
    return {run: count - 1 for run, count in starts.items()}


def happened(reader: sqlite3.Connection, since_seq: int = -1, told: LinesOf | None = None) -> Happened:
    """Fills, ends, refusals, guard exits, halts and revisions after a line, newest exceptions last."""
    lines = (told or LinesOf(*TOLD)).since(reader, since_seq)
    ended = readers.rows(reader, _ENDED, since_seq)
    guarded = readers.rows(reader, _GUARDED, since_seq)
    refused = readers.rows(reader, _REFUSED, since_seq)
    plans = readers.rows(reader, _PLANS, since_seq)
    counts: Counter[str] = Counter()
    held = _Held(reader)
    counts["filled"] = readers.count(reader, "fill", f"seq > {int(since_seq)}")
    counts["guard exit"] = sum(
        row["created_seq"] > since_seq and row["state"] == "executed" for row in guarded
    )
    counts["halt"] = sum(event.kind == "halt.set" for event in lines)
    counts["refused"] = sum(row["count"] for row in refused)
    # A plan that risk refused at its bar is that decision's refusal, not a second thing that happened.
    late = [row for row in plans if not _at_its_bar(reader, row)]
    for state in ("expired", "cancelled", "rejected"):
        counts[state] = sum(row["state"] == state for row in late)
    for row in ended:
        if row["state"] != "cancelled" or row["code"] not in NO_TROUBLE:
            counts[row["state"]] += 1
    exceptions = [
        *_halts(reader, lines),
        *(_cancelled(row) for row in ended if _is_trouble(row, held)),
        *map(_guard_exit, guarded),
        *map(_refusal, refused),
        *(_plan_end(row) for row in late),
        *_revisions(lines),
    ]
    return Happened({word: count for word, count in counts.items() if count}, tuple(exceptions))


def _at_its_bar(reader: sqlite3.Connection, plan: Row) -> bool:
    sql = "SELECT 1 FROM decision WHERE plan = ? AND outcome = 'risk_rejected'"
    return reader.execute(sql, (plan["plan"],)).fetchone() is not None


def _halts(reader: sqlite3.Connection, lines: list[Event]) -> list[Notable]:
    """Each halt that was set, and each that was lifted, with who did it and why."""
    found = []
    for event in lines:
        if event.kind not in ("halt.set", "halt.resume"):
            continue
        data = event.data
        (words,) = readers.with_words(reader, [{"reason": data["reason_commit"]}])
        name = scope_name(reader, data["scope"], data["account"], data["run"])
        kind, state = ("halt", data["state"]) if event.kind == "halt.set" else ("resume", "ACTIVE")
        did = f"set to {state}" if kind == "halt" else "resumed"
        text = f"{name} {did} by {author_of(event)}" + (f": {words['reason']}" if words["reason"] else "")
        found.append(Notable(kind, data["run"], state, text, line=event.seq))
    return found


class _Held:
    """What each run held at a line: its fills up to there, walked once."""

    def __init__(self, reader: sqlite3.Connection) -> None:
        self._reader = reader
        self._runs: dict[str, tuple[list[int], list[int]]] = {}

    def before(self, run: str, seq: int) -> int:
        if run not in self._runs:
            seqs, sums = [-1], [0]
            sql = "SELECT seq, side, quantity FROM fill WHERE run = ? ORDER BY seq"
            for at, side, quantity in self._reader.execute(sql, (run,)):
                seqs.append(at)
                sums.append(sums[-1] + e8_from_text(quantity) * (1 if side == "buy" else -1))
            self._runs[run] = seqs, sums
        seqs, sums = self._runs[run]
        return sums[bisect_left(seqs, seq) - 1]


def _is_trouble(row: Row, held: _Held) -> bool:
    """An exit that ended before it had done its work, other than by its sibling or the position's end."""
    if row["code"] in NO_TROUBLE or row["proposed_by"] == GUARD:
        return False
    if row["child"] or row["reduce_only"]:
        return True
    position = held.before(row["run"], row["ended_seq"])
    return position != 0 and (row["side"] == "sell") == (position > 0)


def _cancelled(row: Row) -> Notable:
    kind = row["child"] or "exit"
    outcome = order_outcome(row["state"], row["filled"], row["code"])
    text = f"{row['run']} {kind} {row['order']} {row['side']} {row['quantity']} {row['symbol']}: {outcome}"
    text += f", {row['code']}" if row["code"] else ""
    return Notable("exit_ended", row["run"], row["code"], text, line=row["ended_seq"])


def _guard_exit(row: Row) -> Notable:
    if row["state"] == "executed":
        outcome, code = order_outcome(row["order_state"], row["filled"], row["order_code"]), row["order_code"]
    else:
        outcome, code = row["state"], row["code"]
    what = f"{row['side']} {row['quantity']} {row['symbol']}"
    text = f"{row['run']} guard exit {row['order'] or row['plan']} {what}: {outcome}"
    text += f", {code}" if code else ""
    return Notable("guard_exit", row["run"], code, text, line=row["created_seq"])


def _refusal(row: Row) -> Notable:
    text = f"{row['run']} {row['code']}" + (f" x{row['count']}" if row["count"] > 1 else "")
    return Notable("refused", row["run"], row["code"], text, row["count"], row["line"])


def _plan_end(row: Row) -> Notable:
    text = f"{row['plan']} of {row['run']}, {row['side']} {row['quantity']} {row['symbol']}: {row['state']}"
    text += f" by {row['decided_by']}" if row["state"] == "rejected" else ""
    text += f", {row['code']}" if row["code"] and row["code"] != "PLAN_EXPIRED" else ""
    return Notable(f"plan_{row['state']}", row["run"], row["code"], text, line=row["decided_seq"])


def _revisions(lines: list[Event]) -> list[Notable]:
    found: dict[str, list[Event]] = {}
    for event in lines:
        if event.kind == "bar.revision":
            found.setdefault(event.data["run"], []).append(event)
    return [
        Notable(
            "revision", run, "REVISION",
            f"{run} REVISION" + (f" x{len(events)}" if len(events) > 1 else "")
            + ": the source changed closed bars; the first values stand",
            len(events), events[-1].seq,
        )
        for run, events in found.items()
    ]  # fmt: skip
