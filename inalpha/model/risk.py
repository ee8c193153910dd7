"""What a risk control is told and what it answers. The engine itself lives in inalpha.risk."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from inalpha.model.bar import Bar
from inalpha.model.instrument import Instrument
from inalpha.model.order import OrderRequest
from inalpha.model.states import HaltState

TRIAL = "trial"  # the venue of a backtest or of the evidence gate, which no list of venues is about
TAKE_PROFIT_RULE = "TAKE_PROFIT"  # the one exit of the position guard that is no stop


class Stage(StrEnum):
    """A: at plan creation (advice). B: binding, in the execute transaction. FILL: at the fill price."""

    ADVICE = "A"
    BINDING = "B"
    FILL = "fill"


@dataclass(frozen=True, slots=True)
class Refusal:
    """The only refusal format: code, control, measured, limit (decimal strings), unit, setting, message."""

    code: str
    control: str
    measured: str | None
    limit: str | None
    unit: str
    setting: str
    message: str


@dataclass(frozen=True, slots=True)
class Lock:
    """Entries of a scope are refused while from_ns <= now < until_ns (market time).

    scope: what is locked, as a person reads it: a run, an account, a symbol. symbol: "" locks every symbol of the
    account; side: +1 locks purchases, -1 sales, 0 both. measured, limit, unit, setting: why, as in a refusal.
    """

    rule: str
    scope: str
    reason: str
    from_ns: int
    until_ns: int
    symbol: str = ""
    side: int = 0
    measured: str | None = None
    limit: str | None = None
    unit: str = "lock"
    setting: str = ""


@dataclass(frozen=True, slots=True)
class OpenTrade:
    """A position since it was flat. opened_e8: the run's cash flow up to then, in 1e-8 money.

    outlay_e8: the most cash that it has tied up (a short: brought in), fees included. side: +1 long, -1 short.
    """

    side: int
    opened_e8: int
    outlay_e8: int = 0


@dataclass(frozen=True, slots=True)
class ClosedTrade:
    """Flat to flat, net of fees, in 1e-8 money. closed_ns: market time of the fill that closed it.

    is_stop: a stop_loss leg or one of the guard's stops took part in closing it.
    """

    side: int
    closed_ns: int
    profit_e8: int
    outlay_e8: int
    is_stop: bool


@dataclass(frozen=True, slots=True)
class Mark:
    """A run's book at the close of a bar. Amounts in 1e-8 money, times market time in nanoseconds.

    cash_flow_e8: its cash less its opening cash. value_e8: of its position. closed: the trades that this bar's fills
    closed. open: the position that is left.
    """

    now_ns: int
    cash_flow_e8: int
    value_e8: int
    closed: tuple[ClosedTrade, ...] = ()
    open: OpenTrade | None = None


@dataclass(frozen=True, slots=True)
class Trip:
    """A trigger went off: its scope may only reduce until a person resumes it. Figures as in a refusal."""

    rule: str
    state: HaltState
    measured: str
    limit: str = ""
    unit: str = ""

    @property
    def reason(self) -> str:
        """For the halt's line and the alert beside it."""
        figures = f": {self.measured} {self.unit}, it trips at {self.limit}" if self.limit else ""
        return f"{self.rule} tripped{figures}"


@dataclass(frozen=True, slots=True)
class Block:
    """Entries wait while a condition lasts; it ends with its cause. measured, limit: figures where it has any."""

    code: str
    control: str = "block"
    measured: str | None = None
    limit: str | None = None
    unit: str = "block"
    setting: str = ""
    text: str = ""


@dataclass(frozen=True, slots=True)
class AccountContext:
    """The account as a check reads it, without the checked run's own book. A journalled input.

    Amounts in 1e-8 units. base_cash_e8: the account's cash less this run's own cash flows, so that
    account cash = base_cash_e8 + own cash flows since its start. Values are at the last closed bars.
    other_reserved_e8: what the other runs' working entries and plans may still spend of that cash, what their
    begun steps have spent that is not yet in it, and the proceeds and reserves of their shorts (P12).
    other_buys_e8, other_sells_e8: notional of the other runs' working entries and plans by side; the same for
    those on this run's symbol (P4).
    lifted: rules that the owner's waivers keep from locking this run.
    day_start_equity_e8, high_water_e8: of the whole account; None = not known yet (controls that
    need it refuse). blocks: conditions that end by themselves, such as STALE_FEED or DISK.
    """

    base_cash_e8: int
    other_value_e8: int = 0
    other_gross_e8: int = 0
    other_symbol_value_e8: int = 0
    other_reserved_e8: int = 0
    other_buys_e8: int = 0
    other_sells_e8: int = 0
    other_symbol_buys_e8: int = 0
    other_symbol_sells_e8: int = 0
    halt: HaltState = HaltState.ACTIVE
    halt_scope: str = ""
    locks: tuple[Lock, ...] = ()
    blocks: tuple[Block, ...] = ()
    lifted: tuple[str, ...] = ()
    day_start_equity_e8: int | None = None
    high_water_e8: int | None = None


@dataclass(frozen=True, slots=True)
class RunClaim:
    """What one run's working entries, plans and shorts hold of its account, in 1e-8 money.

    buys_e8, sells_e8: notional of working entries and plans at their reference prices, by side. fees_e8: their
    fees. short_e8: the proceeds of an open short, which are owed, and as much again in own cash as its reserve.
    """

    buys_e8: int = 0
    sells_e8: int = 0
    fees_e8: int = 0
    short_e8: int = 0

    @property
    def cash_e8(self) -> int:
        """Cash that nothing else may spend. A short entry ties up own cash equal to its notional."""
        return self.buys_e8 + self.sells_e8 + self.fees_e8 + self.short_e8


@dataclass(frozen=True, slots=True)
class FillTerms:
    """What is about to be executed: price in ticks after slippage, lots, fee in 1e-8 money."""

    price_ticks: int
    lots: int
    fee_e8: int


@dataclass(frozen=True, slots=True)
class WorkingOrder:
    """The part of a working or pending order that projections need. remaining in lots."""

    intent: str
    side: int
    remaining_lots: int
    reduce_only: bool
    reference_ticks: int


@dataclass(frozen=True, slots=True)
class RunView:
    """A frozen snapshot of one run at one step, handed to each control. Never the database.

    own_cash_flow_e8: book cash minus opening cash. position_lots: signed. bar: the last closed bar (at
    Stage.FILL the filling one). closes_ticks: closes of the last <= 101 closed bars, newest last.
    lag_ns: received_at - close_time. working: working orders and plans awaiting a person.
    entry_fills_ns: (market time, side) of each filled entry of the rolling day, oldest first.
    recent_orders_ns: market times of this run's executed plans of the last rolling day, oldest first;
    orders_this_bar: executed in this step. bar_requests: (side, lots) of orders already taken on this
    bar. plan_close_ticks: the last close when the plan was made. fee_bps_e8: the fee in basis points
    times 1e8 (0 for other fee models). fill: what is about to be executed; Stage.FILL only.
    max_lag_ns: the lag above which a decision counts as stale. short_proceeds_e8: of the run's open short, 0 else.
    losses: trades lost in a row; bars_since_loss: bars consumed since the last of them closed, 0 on its own bar.
    refusals: the longest row of refused orders that this step has seen (T4). closed_ns: market time at which a trade
    of this run closed last, 0 before the first.
    timeframe, venue, candidate: what the run trades on, where, and the SHA-256 of its strategy ("" = not known).
    """

    run: str
    symbol: str
    timeframe_ns: int
    instrument: Instrument
    allocation_e8: int
    own_cash_flow_e8: int
    position_lots: int
    position_value_e8: int
    bar: Bar
    closes_ticks: Sequence[int]
    now_ns: int
    lag_ns: int
    working: tuple[WorkingOrder, ...]
    recent_orders_ns: Sequence[int]
    orders_this_bar: int
    entry_fills_ns: Sequence[tuple[int, int]]
    bar_requests: tuple[tuple[int, int], ...]
    plan_close_ticks: int | None
    fee_bps_e8: int
    account: AccountContext
    fill: FillTerms | None = None
    max_lag_ns: int = 0
    short_proceeds_e8: int = 0
    losses: int = 0
    bars_since_loss: int = 0
    refusals: int = 0
    closed_ns: int = 0
    timeframe: str = ""
    venue: str = ""
    candidate: str = ""


class RiskCheck(Protocol):
    """The seam between kernel and risk: every refusal, most important first; empty = pass."""

    def check(self, order: OrderRequest, view: RunView, stage: Stage) -> tuple[Refusal, ...]: ...

    def trips(self, view: RunView, *, entered: bool, refused: bool) -> tuple[Trip, ...]:
        """The run's own triggers that this step set off. entered, refused: it filled an entry, refused an order."""
        ...

    def under(self, rules: str) -> RiskCheck:
        """The same seam under other rules, given by their canonical text."""
        ...
