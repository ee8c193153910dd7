"""How a run's orders ended, counted by outcome and code, and what an author can do about the ones that failed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from inalpha.research.backtest import BacktestResult, OrderRecord

# As KERNEL's states and decisions name them, in the order in which a reader asks.
_STATES = ("filled", "partially_filled", "denied", "rejected", "cancelled", "expired", "pending", "working")
_PLACES_OF_A_COIN = 3  # a lot that markets have, where the size asked for would do with a coarser one
_ROOM = Decimal("0.9")  # a size that stays below a limit when the price moves before the fill

# code: what it means, and what an author writes instead. Refusals of a risk control bring their own sentence.
_CODES: dict[str, tuple[str, str]] = {
    "BAD_QUANTITY": (
        "the quantity was no number above zero",
        "Test what the size is computed from; self.quantity(…) is 0 where one lot costs more.",
    ),
    "BAD_PRICE": (
        "a limit, stop, stop loss or take profit was no price above zero",
        "Test what it is computed from: an indicator has no value before it is ready.",
    ),
    "BRACKET_PRICE": (
        "a buy needs stop_loss below and take_profit above its reference (limit, stop, else the last close), a"
        " sell the reverse, and an order that only reduces takes neither",
        "Compute both from the price that the order names.",
    ),
    "BAD_TIF": ("tif was not GTC, IOC, DAY or GTD", "Write one of them."),
    "IOC_STOP": ("a stop cannot be IOC", "Leave tif out."),
    "BAD_EXPIRES": ("expires was in the past, or stood without GTD", 'Write tif="GTD" and a later time.'),
    "NOTHING_TO_REDUCE": (
        "reduce_only orders found no position that they reduce",
        "Test self.position first; close() does.",
    ),
    "SHORT_NOT_ALLOWED": (
        "the sell was larger than the position, and the account may not be short",
        "Sell at most self.position.quantity, use close(), or give --allow-short.",
    ),
    "DIRECTION": ("the rules are long only", "Sell at most what is held, or allow shorts."),
    "INSUFFICIENT_CASH": (
        "the cash did not cover the last close, the fee and what other orders may take",
        "Order less, such as self.quantity(percent=90).",
    ),
    "IOC_UNFILLED": ("the price was not met at once", ""),
    "REDUCING": (
        "a trigger of the rules let nothing be entered any more, as the notes say; a paper run would wait there for a"
        " person's resume",
        "Mend what set it off.",
    ),
    "HALTED": (
        "the run was halted, as the notes say; a paper run would wait there for a person's resume",
        "Look at the bar that did it.",
    ),
    "PRICE_COLLAR": (
        "the price of the fill was further from the last close than controls.price_collar allows an entry",
        "Enter by a limit, or take the gap as an answer.",
    ),
}
_GAP = (
    "at the fill the cash did not cover the price and the fee, as the price had moved since the close that the order"
    " was decided on. Order less, such as self.quantity(percent=90)."
)
# Ends that are what the author asked for, or that the end of the data brings: counted, not explained.
_EXPECTED = frozenset({"", "OCO", "POSITION_CLOSED", "RUN_ENDED", "STRATEGY", "EXPIRED", "RUN_FAILED"})


@dataclass(frozen=True, slots=True)
class Ended:
    """So many orders with the same end. legs: those of brackets, else the strategy's own orders."""

    legs: bool
    state: str
    code: str
    count: int

    @property
    def told(self) -> str:
        code = "" if self.code in ("", "EXPIRED") else f" {self.code}"
        return f"{self.count} {self.state.replace('_', ' ')}{code}"

    def as_dict(self) -> dict[str, object]:
        return {"legs": self.legs, "state": self.state, "code": self.code, "count": self.count}


def outcomes(result: BacktestResult) -> list[Ended]:
    """Every group of ends: own orders before legs, what filled first, then the largest."""
    return _sorted(Counter((_is_leg(row), row.state, row.code) for row in result.orders.values()))


def together(groups: Iterable[Ended]) -> list[Ended]:
    """The groups of several runs as those of one."""
    counts: Counter[tuple[bool, str, str]] = Counter()
    for group in groups:
        counts[group.legs, group.state, group.code] += group.count
    return _sorted(counts)


def _sorted(counts: Counter[tuple[bool, str, str]]) -> list[Ended]:
    ended = [Ended(legs, state, code, count) for (legs, state, code), count in counts.items()]
    return sorted(ended, key=lambda e: (e.legs, _rank(e.state), -e.count, e.code))


def outcome_lines(result: BacktestResult) -> Iterator[tuple[str, str]]:
    """(title, counts in words) for orders and for legs, where there are any."""
    yield from counted(outcomes(result))


def counted(ended: Iterable[Ended]) -> Iterator[tuple[str, str]]:
    """(title, counts in words) of groups that may come from several runs."""
    ended = list(ended)
    for title, legs in (("orders", False), ("legs", True)):
        told = ", ".join(group.told for group in ended if group.legs == legs)
        if told:
            yield title, told


def reasons(result: BacktestResult) -> list[str]:
    """One sentence for each way in which the strategy's own orders failed: how many, why, what to do."""
    ended = [e for e in outcomes(result) if not e.legs]
    total = sum(e.count for e in ended)
    return [
        f"{_of(e.count, total)} {e.state} {e.code}{_explained(result, e)}"
        for e in ended
        if e.state in ("denied", "rejected", "cancelled") and e.code not in _EXPECTED
    ]


def without_fills(result: BacktestResult) -> str:
    """What a run without one fill says: never that alone, always what became of its orders."""
    told = dict(outcome_lines(result)).get("orders")
    return f"no order was filled: {told or 'the strategy placed none'}"


def all_denied(result: BacktestResult) -> bool:
    """Whether every order that was asked for was refused: then nothing of the strategy has been seen."""
    rows = [row for row in result.orders.values() if not _is_leg(row)]
    return bool(rows) and all(row.state == "denied" for row in rows)


def is_denied_by_rules(result: BacktestResult) -> bool:
    """Whether risk rules, rather than the exchange or a slip in the file, refused half of the orders or more."""
    refused = sum(count for code, count in result.denials.items() if code in result.refusals)
    return refused * 2 >= max(1, sum(1 for row in result.orders.values() if not _is_leg(row)))


def _is_leg(row: OrderRecord) -> bool:
    return row.order.count(":") > 1


def _rank(state: str) -> int:
    return _STATES.index(state) if state in _STATES else len(_STATES)


def _of(count: int, total: int) -> str:
    if count == total:
        return f"all {count} orders were" if count > 1 else "the one order was"
    return f"{count} of {total} orders were" if count > 1 else f"one of {total} orders was"


def _explained(result: BacktestResult, ended: Ended) -> str:
    """`: what happened. What to do.`, or a full stop where a code is not known here."""
    if ended.code == "BELOW_LOT":
        return f": {_below_lot(result)}"
    if ended.code == "LOCKED":
        told = ", ".join(f"{count} by {rule}" for rule, count in result.locked.most_common())
        return f": {told}. Entries wait until such a lock ends; docs/risk.md tells each rule's settings."
    refusal = result.refusals.get(ended.code) if ended.state == "denied" else None
    if refusal is not None and refusal.control != "T6":  # nobody resumes a backtest
        # Figures of the first one: a strategy seldom meets one limit in two ways.
        return f": {refusal.message}{_smaller(refusal.setting, refusal.limit)}"
    if (ended.state, ended.code) == ("cancelled", "INSUFFICIENT_CASH"):
        return f": {_GAP}"
    what, fix = _CODES.get(ended.code, ("", ""))
    return f": {what}. {fix}".rstrip() if what else "."


def _smaller(setting: str, limit: str | None) -> str:
    """The size that fits a limit of the order or the position; other limits are not met by a smaller one."""
    if setting == "max_order.equity_pct" and limit is not None:
        percent = int(Decimal(limit) * _ROOM)
        return f" Order less, such as self.quantity(percent={percent})." if percent else " Order less."
    if setting.startswith("max_position."):
        return " It counts the position and every order that works: test self.position, or order less."
    return ""


def _below_lot(result: BacktestResult) -> str:
    instrument = result.spec.instrument
    asked = [row.quantity for row in result.orders.values() if row.code == "BELOW_LOT"]
    return (
        f"{_shortest(asked)} is less than one lot of {instrument.symbol}, which is {instrument.quantity_text(1)}"
        f" here. Give the market's own lot, such as --lot {_fitting_lot(asked)}, or order more."
    )


def _shortest(asked: Sequence[str]) -> str:
    """A size out of several as a person would name it."""
    text = min(asked, key=lambda text: (len(text), text))
    return text if len(text) <= 12 else f"{Decimal(text):.6f}"


def _fitting_lot(asked: Sequence[str]) -> str:
    """A power of ten that the sizes are multiples of, or three of their digits where they are uneven."""
    try:
        sizes = [Decimal(text).normalize() for text in asked]
    except InvalidOperation:
        return "0.001"
    least = min(sizes)
    if least >= 1:
        return "1"
    places = max(-int(size.as_tuple().exponent) for size in sizes)
    first = -least.adjusted()
    return f"{Decimal(1).scaleb(-min(8, max(min(places, first + 2), first, _PLACES_OF_A_COIN))):f}"
