"""Decisions since you left: headline, exceptions, every line."""

from __future__ import annotations

from collections import Counter

from tui.book import Book, Row, outcome_of
from tui.line import Line
from tui.rows import Cell, Column, TableRow
from tui.session import Session
from tui.text import age, bar_time, moment, number, plain, plural, price

COLUMNS = (
    Column("", 1), Column("bar", 13), Column("run", 8), Column("symbol", 9), Column("intent", 6),
    Column("qty", 8, right=True), Column("outcome", 12), Column("fill", 10, right=True),
    Column("reason", 12, grow=True), Column("approved by", 19, least=100), Column("plan", 9, least=100),
    Column("line", 7, right=True, least=100),
)  # fmt: skip
OUTCOMES = {
    "filled": ("✓", "good"), "working": ("◐", "accent"), "pending": ("…", "warn"), "refused": ("✗", "bad"),
    "rejected": ("✗", "bad"), "expired": ("○", "warn"), "cancelled": ("○", "dim"),
}  # fmt: skip


def unread(book: Book, mark: int) -> int:
    return sum(1 for row in book.decisions if row["seq"] > mark)


def decision_rows(book: Book, mark: int) -> list[TableRow]:
    found = []
    for row in book.decisions:
        fill = book.fills.get(row["plan"])
        outcome = outcome_of(row, fill is not None)
        glyph, role = OUTCOMES.get(outcome, ("·", ""))
        fresh = row["seq"] > mark
        quiet = "" if fresh else "dim"
        found.append(
            TableRow(
                row["intent"],
                (
                    Cell("●" if fresh else " ", "accent"),
                    Cell(bar_time(row["close"], row["timeframe"] or ""), quiet),
                    Cell(row["run"], quiet),
                    Cell(plain(row["symbol"], 12), quiet),
                    Cell(row["side"] or "-", quiet),
                    Cell(number(row["quantity"]), quiet),
                    Cell(f"{glyph} {outcome}", role),
                    Cell(price(fill["price"]) if fill else "", quiet),
                    Cell(plain(row["told"] or row["code"] or ""), quiet),
                    Cell(plain(row["decided_by"] or ""), "dim"),
                    Cell(row["plan"] or "", "dim"),
                    Cell(f"#{row['seq']:,}", "dim"),
                ),
                row["seq"],
                fresh,
            )
        )
    return found


def headline(book: Book, session: Session, now_us: int, width: int) -> list[Line]:
    """What happened since this person left, and what went wrong."""
    mark = session.mark.get("seq", -1)
    since = [row for row in book.decisions if row["seq"] > mark]
    counts = Counter(outcome_of(row, row["plan"] in book.fills) for row in since)
    ts = session.mark.get("ts")
    span = f"{moment(ts, now_us)} → now, {age((now_us - ts) / 1e6)}" if ts else "the beginning"
    line = Line("SINCE YOU LEFT  " if ts else "SINCE ", "title").add(span, "strong")
    parts = ", ".join(f"{number(count)} {word}" for word, count in counts.most_common())
    line.add(f"   {plural(len(since), 'intent')}" + (f": {parts}" if parts else ""))
    money = Line()
    for row in book.accounts:
        gain = float(row["equity"]) / float(row["opening"]) - 1
        money.add(f"{plain(row['owner'], 16)} equity ").add(number(row["equity"], 0), "strong")
        money.add(f" {gain * 100:+.2f}% since opening   ", "good" if gain > 0 else "bad" if gain < 0 else "")
    troubles = [
        f"! {view.name} {view.error}" for view in book.runs if view.error or view.row["state"] == "failed"
    ]
    troubles += [f"! {row['kind']} {row['scope']}: {row['text']}" for row in book.alerts]
    if troubles:
        money.add(plain(troubles[0]), "warn").add(
            f"  +{len(troubles) - 1}" if len(troubles) > 1 else "", "warn"
        )
    else:
        money.add("no exceptions", "dim")
    return [line.fit(width), money.fit(width)]


def evidence(row: Row | None, book: Book, width: int) -> list[Line]:
    """The chosen decision: what was wanted, what stopped it, where it is recorded."""
    if row is None:
        return [Line("no decision yet: a strategy decides when a bar closes", "dim")]
    fill = book.fills.get(row["plan"])
    wanted = Line("WANTED ", "title").add(
        f"{row['side'] or '-'} {number(row['quantity'])} {plain(row['symbol'], 14)}", "strong"
    )
    wanted.add(f"  “{plain(row['reason'] or '', 60)}”")
    second = Line()
    if row["refusals"]:
        first = row["refusals"][0]
        second = Line("REFUSED ", "bad").add(plain(str(first.get("message", first.get("code", "")))))
    elif row["code"]:
        second = Line("REFUSED ", "bad").add(plain(row["code"]))
    elif fill is not None:
        second = Line("FILLED ", "good").add(f"{fill['quantity']} at {price(fill['price'])}")
        second.add(f", fee {number(fill['fee'], 2)}, approved by {plain(fill['approved_by'], 24)}")
        second.add(f", line #{fill['seq']:,}", "dim")
    else:
        second = Line("THEN ", "title").add(outcome_of(row, False))
    record = Line("RECORD ", "title").add(
        f"#{row['seq']:,}  {row['plan'] or 'no plan'}  {row['order'] or ''}  bar digest "
    )
    record.add(f"{row['bar_sha256'][:8]}…", "dim")
    return [line.fit(width) for line in (wanted, second, record)]
