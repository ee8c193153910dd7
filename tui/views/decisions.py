"""Decisions since you left: headline, exceptions, every line."""

from __future__ import annotations

from inalpha.ledger.happened import counted
from tui.book import Book, Row
from tui.line import Line
from tui.rows import Cell, Column, TableRow
from tui.session import Session
from tui.text import age, bar_time, moment, number, plain, price

COLUMNS = (
    Column("", 1), Column("bar", 13), Column("run", 8), Column("symbol", 9), Column("intent", 6),
    Column("qty", 8, right=True), Column("outcome", 12), Column("fill", 10, right=True),
    Column("reason", 12, grow=True), Column("approved by", 19, least=100), Column("plan", 9, least=100),
    Column("line", 7, right=True, least=100),
)  # fmt: skip
OUTCOMES = {
    "filled": ("✓", "good"), "partly": ("◑", "warn"), "working": ("◐", "accent"), "pending": ("…", "warn"),
    "refused": ("✗", "bad"), "rejected": ("✗", "bad"), "expired": ("○", "warn"), "cancelled": ("○", "warn"),
}  # fmt: skip
# What a person looks at first; the others follow in the log's order.
WORST_FIRST = ("halt", "guard_exit", "exit_ended", "refused", "plan_expired", "revision")
_WORDS = {"risk_rejected": "refused", "partially_filled": "partly"}


def word_of(row: Row) -> str:
    """A decision's final outcome in one short word; the ledger's reader says which."""
    return _WORDS.get(row["outcome"], str(row["outcome"]))


def unread(book: Book, mark: int) -> int:
    """Decisions that were made, filled or ended after the mark."""
    return sum(1 for row in book.decisions if row["last_seq"] > mark)


def decision_rows(book: Book, mark: int) -> list[TableRow]:
    found = []
    for row in book.decisions:
        outcome = word_of(row)
        glyph, role = OUTCOMES.get(outcome, ("·", ""))
        fresh = row["last_seq"] > mark
        quiet = "" if fresh else "dim"
        found.append(
            TableRow(
                row["intent"],
                (
                    Cell("●" if fresh else " ", "accent", 0 if fresh else 1),
                    Cell(bar_time(row["close"], row["timeframe"] or ""), quiet, row["close"]),
                    Cell(row["run"], quiet),
                    Cell(plain(row["symbol"], 12), quiet),
                    Cell(row["side"] or "-", quiet),
                    Cell(number(row["quantity"]), quiet, row["quantity"]),
                    Cell(f"{glyph} {outcome}", role),
                    Cell(price(row["price"]) if row["price"] else "", quiet, row["price"] or None),
                    Cell(plain(why_of(row)), quiet),
                    Cell(plain(row["decided_by"] or ""), "dim"),
                    Cell(row["plan"] or "", "dim"),
                    Cell(f"#{row['seq']:,}", "dim", row["seq"]),
                ),
                row["seq"],
                fresh,
            )
        )
    return found


def why_of(row: Row) -> str:
    """The code of its end before the words: a refusal's sentence with its figures, or the strategy's reason."""
    told = row["told"] or ""
    if not row["code"]:
        return str(told)
    return f"{row['code']} {told}".rstrip()


def refusal_words(refusal: Row) -> str:
    """`MAX_ORDER P3 20 against 10 % of equity (max_order.equity_pct)`; its sentence where it has no figures."""
    measured, limit = refusal.get("measured"), refusal.get("limit")
    if measured is None or limit is None:
        return plain(f"{refusal['code']} {refusal['control']}: {refusal['message']}")
    where = f" ({refusal['setting']})" if refusal["setting"] else ""
    return plain(
        f"{refusal['code']} {refusal['control']} {measured} against {limit} {refusal['unit']}{where}"
    )


def headline(book: Book, session: Session, now_us: int, width: int) -> list[Line]:
    """What happened since this person left, and what went wrong."""
    ts = session.mark.get("ts")
    span = f"{moment(ts, now_us)} → now, {age((now_us - ts) / 1e6)}" if ts else "the beginning"
    line = Line("SINCE YOU LEFT  " if ts else "SINCE ", "title").add(span, "strong")
    parts = ", ".join(counted(word, count) for word, count in book.happened.counts.items())
    line.add(f"   {parts or 'nothing happened'}")
    money = Line()
    for row in book.accounts:
        gain = row["gain"]
        told = f"{number(gain * 100, 2, sign=True)}%"
        money.add(f"{plain(row['owner'], 16)} equity ").add(number(row["equity"], 0), "strong")
        money.add(f" {told} on what was paid in   ", "good" if gain > 0 else "bad" if gain < 0 else "")
    found = troubles(book)
    if found:
        money.add(f"! {plain(found[0])}", "warn").add(
            f"  +{len(found) - 1}" if len(found) > 1 else "", "warn"
        )
    else:
        money.add("no exceptions", "dim")
    return [line.fit(width), money.fit(width)]


def troubles(book: Book) -> list[str]:
    """Failed runs, open alerts, and every exception since the mark, the worst first."""
    found = [
        f"{view.name} {view.error or view.row['reason']}"
        for view in book.runs
        if view.error or view.row["state"] == "failed"
    ]
    found += [f"{row['kind']} {row['scope']}: {row['text']}" for row in book.alerts]
    happened = sorted(
        book.happened.exceptions,
        key=lambda item: WORST_FIRST.index(item.kind) if item.kind in WORST_FIRST else len(WORST_FIRST),
    )
    return found + [item.text for item in happened]


def evidence(row: Row | None, book: Book, width: int) -> list[Line]:
    """The chosen decision: what was wanted, what became of it, where it is recorded."""
    if row is None:
        none = "no decision yet: a strategy decides when a bar closes"
        return [Line("no decision is chosen" if book.decisions else none, "dim")]
    wanted = Line("WANTED ", "title").add(
        f"{row['side'] or '-'} {number(row['quantity'])} {plain(row['symbol'], 14)}", "strong"
    )
    wanted.add(f"  “{plain(row['reason'] or '', 60)}”")
    record = Line("RECORD ", "title").add(
        f"#{row['seq']:,}  {row['plan'] or 'no plan'}  {row['order'] or ''}  bar digest "
    )
    record.add(f"{row['bar_sha256'][:8]}…", "dim")
    return [line.fit(width) for line in (wanted, _end(row), record)]


def _end(row: Row) -> Line:
    """What became of it, with the part that filled and the code that ended it."""
    outcome = word_of(row)
    _, role = OUTCOMES.get(outcome, ("", ""))
    if row["refusals"]:
        return Line(f"{outcome.upper()} ", "bad").add(refusal_words(row["refusals"][0]))
    line = Line(f"{outcome.upper()} ", role)
    if row["filled"] not in (None, "0"):
        part = (
            f"{number(row['filled'])} of {number(row['quantity'])}"
            if outcome == "partly"
            else number(row["filled"])
        )
        line.add(f"{part} at {price(row['price'])}, fee {number(row['fee'], 2)}")
        line.add(f", approved by {plain(row['decided_by'] or '-', 24)}")
    if row["is_working"]:
        line.add("  still working" if outcome == "partly" else "")
    if row["code"]:
        line.add(f"  {plain(row['code'])}", role)
    if row["decided_by"] and row["plan_state"] in ("rejected", "cancelled"):
        line.add(f"  by {plain(row['decided_by'], 24)}")
    if row["last_seq"] != row["seq"]:
        line.add(f"  line #{row['last_seq']:,}", "dim")
    return line
