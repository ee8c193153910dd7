"""Plans: the list, and the card that a person decides by."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any

from tui.book import Book, PlanCard
from tui.charts import meter, spark
from tui.line import Line
from tui.rows import Cell, Column, TableRow
from tui.text import MISSING, clock_text, digest, left, moment, number, percent, plain, price

NEAR = Decimal("0.8")
BELL_S = 60
COLUMNS = (
    Column("plan", 9), Column("run", 8), Column("order", 16, grow=True), Column("state", 15, right=True),
)  # fmt: skip
_OUTCOME = {
    "executed": ("✓", "good"),
    "rejected": ("✗", "bad"),
    "expired": ("○", "dim"),
    "cancelled": ("○", "dim"),
}


def plan_rows(book: Book, now_us: int) -> list[TableRow]:
    """Pending oldest first, then proposals, then the decided ones, newest first."""
    found = []
    for row in book.pending:
        rest = (row["expires"] - now_us) / 1e6
        state = Cell(left(rest) if rest > 0 else "EXPIRED", "warn" if rest < BELL_S else "accent")
        found.append(TableRow(row["plan"], _cells(row, state, "strong"), row["created_seq"]))
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
        who = plain(row["decided_by"] or row["state"], 13).removeprefix("system:")
        found.append(
            TableRow(row["plan"], _cells(row, Cell(f"{glyph} {who}", role), "dim"), row["decided_seq"] or 0)
        )
    return found


def _cells(row: Mapping[str, Any], state: Cell, role: str) -> tuple[Cell, ...]:
    order = f"{row['side'].upper()} {number(row['quantity'])} {plain(row['symbol'], 14)}"
    return (
        Cell(row["plan"], role),
        Cell(row["run"] or plain(row["proposed_by"], 8), role),
        Cell(order, role),
        state,
    )


@dataclass(frozen=True, slots=True)
class Measure:
    """One risk figure beside its limit, both in the unit of the setting."""

    name: str
    measured: Decimal
    limit: Decimal
    unit: str

    @property
    def is_near(self) -> bool:
        return abs(self.measured) > NEAR * abs(self.limit)

    @property
    def text(self) -> str:
        return f"{self.name} {number(self.measured, 1)}{self.unit} / {number(self.limit)}{self.unit}"


@dataclass(frozen=True, slots=True)
class Effect:
    """What the order would do, estimated at the reference price. None where a part is missing."""

    reference: Decimal | None
    notional: Decimal | None
    equity: Decimal | None
    before: Decimal | None
    after: Decimal | None
    cash_before: Decimal | None
    cash_after: Decimal | None
    drift_bps: Decimal | None


def _decimal(value: object) -> Decimal | None:
    try:
        found = Decimal(str(value))
    except InvalidOperation:
        return None
    return found if value is not None and found.is_finite() else None


def effect_of(card: PlanCard) -> Effect:
    money = card.run.money if card.run else None
    quantity, close = _decimal(card.body.get("quantity")), _decimal(money.close if money else None)
    reference = _decimal(card.body.get("limit")) or _decimal(card.plan_close) or close
    sign = 1 if card.body.get("side") == "buy" else -1
    before, cash = _decimal(money.position if money else None), _decimal(money.cash if money else None)
    notional = reference * quantity if reference is not None and quantity is not None else None
    made = _decimal(card.plan_close)
    return Effect(
        reference=reference,
        notional=notional,
        equity=_decimal(money.equity if money else None),
        before=before,
        after=before + sign * quantity if before is not None and quantity is not None else None,
        cash_before=cash,
        cash_after=cash - sign * notional if cash is not None and notional is not None else None,
        drift_bps=(close - made) / made * 10_000 if close is not None and made else None,
    )


def measures_of(card: PlanCard, effect: Effect) -> list[Measure]:
    """Figures that can be measured from the record, beside the rules that bound the plan."""

    def limit(control: str, key: str) -> Decimal | None:
        section = card.rules.get(control)
        if not isinstance(section, Mapping) or not section.get("enabled"):
            return None
        return _decimal(section.get(key))

    found = []
    if (
        effect.notional is not None
        and effect.equity
        and effect.after is not None
        and effect.reference is not None
    ):
        share = effect.notional / effect.equity * 100
        if (most := limit("max_order", "equity_pct")) is not None:
            found.append(Measure("max_order", share, most, "%"))
        if (most := limit("max_position", "symbol_pct")) is not None:
            held = abs(effect.after * effect.reference) / effect.equity * 100
            found.append(Measure("max_position", held, most, "%"))
    if effect.drift_bps is not None and (most := limit("price_drift", "bps")) is not None:
        found.append(Measure("price_drift", effect.drift_bps, most, "bp"))
    return found


def why_locked(card: PlanCard, now_us: int) -> str:
    """Why this plan cannot be approved; empty when it can. Said on the card and by the key."""
    if card.row["state"] != "pending":
        return state_words(card, now_us)[0]
    if now_us >= card.row["expires"]:
        return "EXPIRED"
    if not card.is_same:
        return "the digest differs from its body"
    effect = effect_of(card)
    if card.rationale is None or None in (effect.notional, effect.equity, effect.after):
        return "a field is missing"
    for measure in measures_of(card, effect):
        if measure.name == "price_drift" and abs(measure.measured) > measure.limit:
            return f"price drifted {number(measure.measured, 0)} bps, {number(measure.limit)} allowed"
    return ""


def state_words(card: PlanCard, now_us: int) -> tuple[str, str]:
    """The card's state in words, and its role."""
    row = card.row
    state = str(row["state"])
    if state == "pending":
        return ("EXPIRED", "bad") if now_us >= row["expires"] else ("PENDING", "accent")
    by = plain(row["decided_by"] or "system", 30)
    at = clock_text(row["decided_ts"])
    if state == "executed":
        return f"APPROVED by {by} {at}, {row['order']}", "good"
    if state == "rejected":
        return f"REJECTED by {by} {at} {plain(row['code'] or '', 30)}".rstrip(), "bad"
    return f"{state.upper()} {at}", "dim"


def card_lines(card: PlanCard, now_us: int, width: int, said: tuple[str, str] | None = None) -> list[Line]:
    """What, effect, why, on which data, allowed, from whom, what is signed, what then."""
    row, effect = card.row, effect_of(card)
    state, role = state_words(card, now_us)
    rest = (row["expires"] - now_us) / 1e6
    head = Line(f"{card.name}  ", "strong").add(state, role)
    if row["state"] == "pending" and rest > 0:
        whole = max((row["expires"] - row["created_ts"]) / 1e6, 1.0)
        head = head.end(
            f"expires {left(rest)} {meter(rest / whole, 8)}", width, "warn" if rest < BELL_S else "dim"
        )
    kind = f"limit {price(row['limit'])}" if row["limit"] else str(row["type"])
    what = Line(f"{row['side'].upper()} {number(row['quantity'])} {plain(row['symbol'], 20)} ", "strong").add(
        kind
    )
    what.add(f"   ≈ {number(effect.notional, 2)}   ").add(
        f"{percent(effect.notional, effect.equity)} of equity", "strong"
    )
    moves = Line(f"position {number(effect.before)} → ").add(number(effect.after), "strong")
    moves.add(f"   cash {number(effect.cash_before, 0)} → ").add(number(effect.cash_after, 0), "strong")
    moves.add(f"   estimate at {price(effect.reference)}", "dim")
    lines = [
        head,
        Line(),
        what,
        moves,
        Line(),
        *_why(card, now_us, width),
        *_data(card, effect, now_us),
        Line(),
    ]
    lines += _risk(card, effect, width)
    source = (
        f"{row['run']}, approval {card.run.row['approval']}" if card.run else plain(row["proposed_by"], 30)
    )
    lines.append(
        _field("FROM").add(f"{source}, created {clock_text(row['created_ts'])}, account of {_owner(card)}")
    )
    same = ("recomputed here ✓", "good") if card.is_same else ("DIFFERS from its body", "bad")
    lines.append(_field("SIGN").add(digest(card.recomputed), "strong").add("  ").add(*same))
    lines.append(_field("THEN").add("one single-use token inside the daemon; works from the next bar", "dim"))
    if why := (said or (why_locked(card, now_us), "warn"))[0]:
        lines += [Line(), Line(why if said else f"locked: {why}", said[1] if said else "warn")]
    return [line.fit(width) for line in lines]


def _field(name: str) -> Line:
    return Line(f"{name:5} ", "title")


def _owner(card: PlanCard) -> str:
    owner = card.run.row["started_by"] if card.run else card.row["proposed_by"]
    return plain(str(owner).removeprefix("op:"), 20)


def _why(card: PlanCard, now_us: int, width: int) -> list[Line]:
    why = _field("WHY")
    if card.candidate is not None:
        row = card.candidate
        why.add(str(row["candidate"])).add(
            f"  {row['state']} by {plain(row['decided_by'] or '-', 20)}", "dim"
        )
    else:
        why.add("no candidate", "dim")
    told = MISSING if card.rationale is None else f"“{plain(card.rationale, max(width - 8, 8))}”"
    return [why, Line("      ").add(told, "bad" if card.rationale is None else "")]


def _data(card: PlanCard, effect: Effect, now_us: int) -> list[Line]:
    line = _field("BAR")
    view = card.run
    if view is None or view.money is None or not view.recent:
        return [line.add(MISSING, "bad")]
    last = view.recent[-1]
    line.add(f"{view.row['timeframe']} closed {moment(last.close_us, now_us)}  C {price(last.close)}  ")
    line.add(spark([bar.close for bar in view.recent], 20), "accent")
    now = (
        _field("NOW")
        .add(price(last.close))
        .add(
            f"  {number(effect.drift_bps, 0, sign=True)} bps since the plan was made"
            if effect.drift_bps is not None
            else "",
            "dim",
        )
    )
    return [line, now.add("   the replay is held on this bar", "dim") if view.is_held else now]


def _risk(card: PlanCard, effect: Effect, width: int) -> list[Line]:
    checks = card.row["risk"]
    lines = []
    if checks and checks[-1]["result"] != "pass":
        last = checks[-1]
        told = f"✗ {plain(last['rule'] or last['result'], 24)} {plain(last['measured'] or '', 16)}"
        told += f" / {plain(last['limit'], 16)}" if last["limit"] else ""
        lines.append(Line(told, "bad"))
    for measure in sorted(measures_of(card, effect), key=lambda measure: not measure.is_near):
        lines.append(Line("! " if measure.is_near else "✓ ", "warn" if measure.is_near else "good").add(
            measure.text, "strong" if measure.is_near else ""))  # fmt: skip
    if checks and checks[-1]["result"] == "pass":
        lines.append(
            Line("✓ ", "good").add(f"{sum(_on(section) for section in card.rules.values())} controls passed")
        )
    if not lines:
        lines.append(Line(MISSING, "bad"))
    half = max((width - 6) // 2, 24)
    found = []
    for at in range(0, len(lines), 2):
        row = (_field("RISK") if at == 0 else Line("      ")).join(lines[at].fit(half))
        found.append(row.join(lines[at + 1]) if at + 1 < len(lines) else row)
    return found


def _on(section: object) -> int:
    return 1 if isinstance(section, Mapping) and section.get("enabled") else 0
