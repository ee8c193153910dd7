"""What goes into and comes out of a step, as frozen values.

msgspec structs: a frozen dataclass costs ten times as much to build. What is array_like is journalled so.
"""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from inalpha.model.bar import Bar
from inalpha.model.order import OrderRequest, OrderState, Side
from inalpha.model.risk import ClosedTrade, Refusal, Trip
from inalpha.model.states import HaltState
from inalpha.model.step import Intent


class JournalEntry(msgspec.Struct, frozen=True, gc=False):
    """One link: canonical JSON of the inputs and of what followed, and the head after it.

    kind: header, warmup, bar, command or anomaly. bar: sequence of the last bar, None before the first.
    """

    n: int
    kind: str
    bar: int | None
    input: str
    output: str
    head: str


class Fill(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """One execution. intent: the order's id inside the run; child names a bracket's leg.

    position_lots and cash_e8: the book after it. warning: a share of volume that is hard to believe.
    reduce_only: of an exit, which fills whatever the cash.
    """

    intent: str
    child: str | None
    n: int
    side: Side
    quantity_lots: int
    price_ticks: int
    fee_e8: int
    time_ns: int
    reason: str
    position_lots: int
    cash_e8: int
    warning: str
    bar: int
    reduce_only: bool


class OrderEnd(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """A working or awaiting order reached an end state. refusals: why its fill was refused."""

    intent: str
    child: str | None
    state: OrderState
    code: str
    refusals: tuple[Refusal, ...] = ()


class Decision(msgspec.Struct, frozen=True, gc=False):
    """What became of one intent. order is None where no valid order could be made of it.

    outcome: working, pending, risk_rejected (a control refused) or rejected (invalid, or the exchange).
    """

    intent: str
    n: int
    order: OrderRequest | None
    outcome: str
    code: str
    refusals: tuple[Refusal, ...]
    raw: Intent


@dataclass(frozen=True, slots=True)
class Command:
    """A journalled control between two bars. at_ns: the source's clock when it was journalled.

    kind: approve, reject, expire, cancel, halt, resume, stop, end, caretake, limits (reason: the rules' canonical
    text, code: their sha256) or plan. intent names the order (or a
    bracket's leg, `<bar>:<n>:stop_loss`); order is what `plan` places from outside the strategy.
    """

    kind: str
    at_ns: int
    intent: str | None = None
    state: HaltState | None = None
    actor: str = ""
    code: str = ""
    reason: str = ""
    order: OrderRequest | None = None


@dataclass(frozen=True, slots=True)
class CommandResult:
    entry: JournalEntry
    accepted: bool
    code: str
    fills: tuple[Fill, ...] = ()
    ended: tuple[OrderEnd, ...] = ()
    refusals: tuple[Refusal, ...] = ()


class StepResult(msgspec.Struct, frozen=True, gc=False):
    """One consumed bar: what happened, the book at the bar's close, and the journal's link.

    closed: trades that its fills closed. trips: the run's own triggers that it set off. Neither is an output:
    both follow from what is journalled. written: None where the journal is kept as lines. dropped: bytes of the
    strategy's words that are not kept.
    """

    bar: Bar
    fills: tuple[Fill, ...]
    ended: tuple[OrderEnd, ...]
    decisions: tuple[Decision, ...]
    logs: tuple[str, ...]
    error: str
    position_lots: int
    cash_e8: int
    equity_e8: int
    written: JournalEntry | None = None
    closed: tuple[ClosedTrade, ...] = ()
    trips: tuple[Trip, ...] = ()
    dropped: int = 0

    @property
    def entry(self) -> JournalEntry:
        if self.written is None:
            raise LookupError("this run's journal is kept as lines, not as entries")
        return self.written
