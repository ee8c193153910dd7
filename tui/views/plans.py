"""Plans: the list, and the card that a person decides by."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from inalpha.client.card import Figures, Measure
from inalpha.model.states import HaltState
from inalpha.model.timeframe import is_daily
from tui.book import Book, PlanCard, Row
from tui.charts import meter, spark
from tui.line import Line, whole
from tui.rows import Cell, Column, TableRow
from tui.text import MISSING, bar_moment, clock_text, digest, left, number, plain, price
from tui.views.decisions import refusal_words

BELL_S = 60
COLUMNS = (
    Column("plan", 9), Column("run", 8), Column("order", 12, grow=True), Column("state", 14, right=True),
)  # fmt: skip
_OUTCOME = {
    "executed": ("✓", "good"),
    "rejected": ("✗", "bad"),
    "expired": ("○", "dim"),
    "cancelled": ("○", "dim"),
}

_UNDONE = {
    "cancelled": ("○", "warn"), "expired": ("○", "warn"), "rejected": ("✗", "bad"), "partially_filled": ("◑", "warn"),
}  # fmt: skip


def plan_rows(book: Book, now_us: int) -> list[TableRow]:
    """Pending oldest first, then proposals, then the decided ones, newest first."""
    found = []
    for row in book.pending:
        rest = (row["expires"] - now_us) / 1e6
        state = Cell(
            left(rest) if rest > 0 else "EXPIRED", "warn" if rest < BELL_S else "accent", row["expires"]
        )
        cells = _cells(row, state, "strong")
        found.append(TableRow(row["plan"], cells, row["created_seq"], pinned=True))
    for row in book.proposals:
        cells = (
            Cell(row["proposal"]),
            Cell(plain(row["opened_by"], 8)),
            Cell(plain(row["what"])),
            Cell("proposed"),
        )
        found.append(TableRow(row["proposal"], cells, row["opened_seq"]))
    for row in book.decided:
        glyph, role = _OUTCOME.get(row["state"], ("·", "dim"))
        who = plain((row["decided_by"] or row["state"]).removeprefix("system:"), 12)
        if row["came_of"] in _UNDONE:  # approved, yet its order ended without its fill
            glyph, role, who = *_UNDONE[row["came_of"]], row["came_of"].replace("partially_filled", "partly")
        found.append(
            TableRow(row["plan"], _cells(row, Cell(f"{glyph} {who}", role), "dim"), row["decided_seq"] or 0)
        )
    return found


def _cells(row: Mapping[str, Any], state: Cell, role: str) -> tuple[Cell, ...]:
    order = f"{row['side'].upper()} {number(row['quantity'])} {plain(row['symbol'], 14)}"
    return (
        Cell(row["plan"], role),
        Cell(row["run"] if row["intent"] is not None else _name(row["proposed_by"], 8), role),
        Cell(order, role),
        state,
    )


def why_locked(card: PlanCard, now_us: int) -> str:
    """Why this plan cannot be approved; empty when it can. Said on the card and by the key."""
    if card.row["state"] != "pending":
        return state_words(card, now_us)[0]
    if now_us >= card.row["expires"]:
        return "EXPIRED"
    if not card.is_same:
        return "the digest differs from its body"
    figures = card.figures
    if card.rationale is None or None in (figures.notional, figures.equity, figures.after):
        return "a field is missing"
    for measure in figures.measures:
        if measure.name == "price_drift" and abs(measure.measured) > measure.limit:
            return f"price drifted {number(measure.measured, 0)} bps, {number(measure.limit)} allowed"
    return ""


def why_halted(card: PlanCard) -> str:
    """Why a halt keeps this plan from being approved; empty when none does. REDUCING lets exits through."""
    halt = card.run.halt if card.run else HaltState.ACTIVE
    if halt is HaltState.ACTIVE or (halt is HaltState.REDUCING and is_exit(card)):
        return ""
    more = ": only exits can be approved" if halt is HaltState.REDUCING else ""
    return f"{card.row['run']} is {halt.value}{more}"


def is_exit(card: PlanCard) -> bool:
    """The order can only make its run's position smaller. The daemon asks the same of the record again."""
    if card.row["reduce_only"]:
        return True
    held = Decimal(card.run.row["position"]) if card.run else Decimal(0)
    sign = 1 if card.row["side"] == "buy" else -1
    return held * sign < 0 and Decimal(card.row["quantity"]) <= abs(held)


def state_words(card: PlanCard, now_us: int) -> tuple[str, str]:
    """The card's state in words, and its role."""
    row = card.row
    state = str(row["state"])
    if state == "pending":
        return ("EXPIRED", "bad") if now_us >= row["expires"] else ("PENDING", "accent")
    by = plain(row["decided_by"] or "system")
    at = clock_text(row["decided_ts"])
    if state == "executed":
        return f"APPROVED by {by} {at}, {row['order']}", "good"
    if state == "rejected":
        return f"REJECTED by {by} {at} {plain(row['code'] or '')}".rstrip(), "bad"
    return f"{state.upper()} {at}", "dim"


def card_lines(card: PlanCard, now_us: int, width: int, said: tuple[str, str] | None = None) -> list[Line]:
    """What, effect, why, on which data, allowed, from whom, what is signed, what then.

    A decided card keeps what was decided and adds what came of it; figures that would have moved on are left out.
    """
    row, figures = card.row, card.figures
    is_open = row["state"] == "pending"
    lines = [_head(card, now_us, width), Line(), _what(card, figures, is_open)]
    if is_open:
        lines.append(_moves(figures))
    else:
        lines += map(_came_of, card.card.orders)
        lines += [Line("refused ", "bad").add(refusal_words(refusal)) for refusal in card.card.refusals]
    lines += [Line(), *_why(card)]
    if is_open:
        lines += [*_data(card, figures, now_us), Line(), *_risk(card, figures, width)]
    if card.is_proposal:
        source = f"{plain(row['proposed_by'])} in the book of {row['run']}"
    else:
        source = f"{row['run']}, approval {card.run.row['approval']}" if card.run else str(row["run"])
    lines.append(
        _field("FROM").add(f"{source}, created {clock_text(row['created_ts'])}, account of {_owner(card)}")
    )
    same = ("recomputed here ✓", "good") if card.is_same else ("DIFFERS from its body", "bad")
    lines.append(_field("SIGN").add(digest(card.recomputed), "strong").add("  ").add(*same))
    if is_open:
        lines.append(_field("THEN").add("a single-use token in the daemon; works from the next bar", "dim"))
    if said is not None:
        lines += [Line(), Line(*said)]
    elif is_open and (why := why_locked(card, now_us) or why_halted(card)):
        lines += [Line(), Line(f"locked: {why}", "warn")]
    return whole(lines, width)


def _came_of(order: Row) -> Line:
    """How an order of the plan ended, or that it works; the part that filled, and where that is recorded."""
    outcome = str(order["outcome"]).replace("_", " ")
    role = {"filled": "good", "working": "accent"}.get(outcome, "warn")
    line = Line(f"{order['child'].replace('_', ' ')} " if order["child"] else "", "dim").add(outcome, role)
    if order["filled"] != "0":
        part = f" of {number(order['quantity'])}" if order["rest"] != "0" else ""
        line.add(f" {number(order['filled'])}{part} at {price(order['price_filled'])}", role)
        line.add(f", fee {number(order['fee'], 2)}")
    line.add(f"  {plain(order['code'])}" if order["code"] else "", role)
    seq = order["ended_seq"] or order["fill_seq"]
    return line.add(f"   line #{seq:,}" if seq else "", "dim")


def _head(card: PlanCard, now_us: int, width: int) -> Line:
    row = card.row
    head = Line(f"{card.name}  ", "strong", len(card.name) + 2).add(*state_words(card, now_us))
    rest = (row["expires"] - now_us) / 1e6
    if row["state"] != "pending" or rest <= 0:
        return head
    whole = max((row["expires"] - row["created_ts"]) / 1e6, 1.0)
    told = f"expires {left(rest)} {meter(rest / whole, 8)}"
    role = "warn" if rest < BELL_S else "dim"
    return head.end(told, width, role) if head.width + len(told) < width else head.add(f"  {told}", role)


def _what(card: PlanCard, figures: Figures, is_open: bool) -> Line:
    row = card.row
    kind = f"limit {price(row['limit'])}" if row["limit"] else str(row["type"])
    what = Line(f"{row['side'].upper()} {number(row['quantity'])} {plain(row['symbol'])} ", "strong").add(
        kind
    )
    if is_open or figures.is_measured or row["limit"]:  # else the estimate would move on with the price
        what.add(f"   ≈ {number(figures.notional, 2)}   ")
    return what.add(f"{share_text(figures)} of account equity", "strong") if is_open else what


def _moves(figures: Figures) -> Line:
    moves = Line(f"position {number(figures.before)} → ").add(number(figures.after), "strong")
    moves.add(f"   run's cash {number(figures.cash_before, 0)} → ").add(
        number(figures.cash_after, 0), "strong"
    )
    how = "measured by risk" if figures.is_measured else f"estimate at {price(figures.reference)}"
    return moves.add(f"   {how}", "dim")


def share_text(figures: Figures) -> str:
    share = figures.share_pct
    return f"{number(share, 1)}%" if share is not None else MISSING


def measure_text(measure: Measure) -> str:
    return (
        f"{measure.name} {number(measure.measured, 1)}{measure.unit} / {number(measure.limit)}{measure.unit}"
    )


def _field(name: str) -> Line:
    return Line(f"{name:5} ", "title", 6)


def _name(principal: str, width: int | None = None) -> str:
    return plain(principal.partition(":")[2], width)


def _owner(card: PlanCard) -> str:
    owner = card.run.row["started_by"] if card.run else card.row["proposed_by"]
    return plain(str(owner).removeprefix("op:"))


def _why(card: PlanCard) -> list[Line]:
    why = _field("WHY")
    if card.is_proposal:
        why.add("its proposer's own words; no strategy asked for it", "dim")
    elif card.candidate is not None:
        row = card.candidate
        why.add(str(row["candidate"])).add(f"  {row['state']} by {plain(row['decided_by'] or '-')}", "dim")
    else:
        why.add("no candidate", "dim")
    told = Line("      ", hang=6)
    return [why, told.add(MISSING, "bad") if card.rationale is None else told.quote(card.rationale)]


def _data(card: PlanCard, figures: Figures, now_us: int) -> list[Line]:
    line = _field("BAR")
    view = card.run
    if view is None or view.money is None or not view.recent:
        return [line.add(MISSING, "bad")]
    last, frame = view.recent[-1], str(view.row["timeframe"])
    line.add(
        f"{frame} {'of' if is_daily(frame) else 'closed'} {bar_moment(last.close_us, frame, now_us)}"
        f"  C {price(last.close)}  "
    )
    line.add(spark([bar.close for bar in view.recent], 20), "accent")
    now = (
        _field("NOW")
        .add(price(last.close))
        .add(
            f"  {number(figures.drift_bps, 0, sign=True)} bps since the plan was made"
            if figures.drift_bps is not None
            else "",
            "dim",
        )
    )
    return [line, now.add("   replay held here", "dim") if view.is_held else now]


def _risk(card: PlanCard, figures: Figures, width: int) -> list[Line]:
    checks = card.row["risk"]
    lines = []
    if checks and checks[-1]["result"] != "pass":
        last = checks[-1]
        told = f"✗ {plain(last['rule'] or last['result'])} {plain(last['measured'] or '')}"
        told += f" / {plain(last['limit'])}" if last["limit"] else ""
        lines.append(Line(told, "bad"))
    for measure in sorted(figures.measures, key=lambda measure: not measure.is_near):
        lines.append(Line("! " if measure.is_near else "✓ ", "warn" if measure.is_near else "good").add(
            measure_text(measure), "strong" if measure.is_near else ""))  # fmt: skip
    if checks and checks[-1]["result"] == "pass":
        lines.append(
            Line("✓ ", "good").add(
                f"{sum(_on(section) for section in card.card.rules.values())} controls passed"
            )
        )
    if not lines:
        lines.append(Line(MISSING, "bad"))
    half = (width - 6) // 2
    per_row = 2 if all(line.width < half for line in lines) else 1
    found = []
    for at in range(0, len(lines), per_row):
        row = _field("RISK") if at == 0 else Line("      ", hang=6)
        first, *second = lines[at : at + per_row]
        found.append(row.join(first.fit(half)).join(*second) if second else row.join(first))
    return found


def _on(section: object) -> int:
    return 1 if isinstance(section, Mapping) and section.get("enabled") else 0
