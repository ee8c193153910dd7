"""risk.toml: every section, its default and its bounds. Unknown keys and wrong types are refused.

Percentages and bps may be decimals in the file; inside they are integers of 1e-8 so that a limit
passes exactly at equality. `tightens` tells which way a smaller or larger number goes.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Any, Literal

import msgspec

Count = Annotated[int, msgspec.Meta(ge=1, le=100_000)]
Seconds = Annotated[int, msgspec.Meta(ge=1, le=3600)]


class Section(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A control's settings. enabled=false needs an owner's signed opt-out before any start."""

    enabled: bool = True


class PriceCollar(Section, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """P1: limit, stop within pct of the last close; a market entry that gaps further is cancelled."""

    pct: Decimal = Decimal(5)


class PriceDrift(Section, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """P2: last close against the close on which the plan was made."""

    bps: Decimal = Decimal(100)


class MaxOrder(Section, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """P3: one order, in percent of equity; notional: a cap in the account's currency, 0 for none."""

    equity_pct: Decimal = Decimal(10)
    notional: Decimal = Decimal(0)


class MaxPosition(Section, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """P4: the projected position per symbol, gross and net, in percent of equity."""

    symbol_pct: Decimal = Decimal(25)
    gross_pct: Decimal = Decimal(100)
    net_pct: Decimal = Decimal(100)


class MaxOpen(Section, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """P5: working orders and waiting plans of a run."""

    orders: Annotated[int, msgspec.Meta(ge=1, le=1000)] = 5


class OrderRate(Section, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """P6: orders per bar, hour and day of market time."""

    per_bar: Count = 2
    per_hour: Count = 12
    per_day: Count = 50


class RepeatedExecution(Section, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """P8: filled entries of one side in a rolling day; beyond it the run may only reduce."""

    entries: Count = 20


class Duplicate(Section, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """P9: the same side and quantity twice in one bar."""


class AllowList(Section, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """P10: what may be traded, [] as the mandate names. venues: file, replay, sim; candidates: cand-… or SHA-256."""

    symbols: tuple[str, ...] = ()
    venues: tuple[str, ...] = ()
    timeframes: tuple[str, ...] = ()
    candidates: tuple[str, ...] = ()


class Direction(Section, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """P11: no shorts; restricted symbols are not entered."""

    long_only: bool = True
    restricted: tuple[str, ...] = ()


class InstrumentTerms(Section, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """P13: tick, lot and minimum notional; always on. min_notional: above the market's own, 0 for none."""

    min_notional: Decimal = Decimal(0)


class MarketHours(Section, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """P14: entries while the calendar is open; bars of a day or longer pass. extended: outside sessions too."""

    extended: bool = False


class StaleData(Section, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """P15: a bar's lag (0: the larger of 30 s and 10 % of the timeframe); the last close's age; the clocks' skew."""

    max_lag_s: Annotated[int, msgspec.Meta(ge=0, le=86_400)] = 0
    max_age_bars: Decimal = Decimal("1.5")
    grace_s: Annotated[int, msgspec.Meta(ge=0, le=3600)] = 2
    max_skew_s: Decimal = Decimal(2)


class DataSanity(Section, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """P16: a return beyond sigmas refuses entries, a jump beyond jump_pct halts the run."""

    sigmas: Decimal = Decimal(10)
    jump_pct: Decimal = Decimal(40)


class PlanExpiry(Section, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """P17: how long a plan waits; machine (at most one bar too) and human, in seconds of host time."""

    machine_s: Seconds = 300
    human_s: Seconds = 900


class DailyLoss(Section, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """T1: loss of the day in percent of its opening equity; entries are locked until the next day."""

    pct: Decimal = Decimal(2)


class Drawdown(Section, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """T2: equity under its high-water mark; the account may only reduce until a person resumes it."""

    pct: Decimal = Decimal(10)


class LossStreak(Section, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """T3: so many trades lost in a row lock a run's entries for so many bars."""

    losses: Count = 4
    bars: Count = 12


class RejectStreak(Section, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """T4: so many orders refused in a row by P1, P3-P6, P9-P13 or the exchange; the run may only reduce."""

    refusals: Count = 5


class MaxDrawdownLock(Section, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Lock: equity so many percent under its peak of the lookback locks the account."""

    pct: Decimal = Decimal(5)
    lookback: str = "24h"
    stop_for: str = "4h"
    unlock_at: str = ""


class StoplossGuardLock(Section, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Lock: so many stops within the lookback lock the symbol, or with per = "account" the account."""

    stops: Count = 5
    lookback: str = "60m"
    stop_for: str = "2h"
    unlock_at: str = ""
    per: Literal["symbol", "account"] = "symbol"


class CooldownLock(Section, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Lock: a symbol whose position was closed is not entered again at once."""

    stop_for: str = "5m"
    unlock_at: str = ""


class LowProfitLock(Section, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Lock: trades of a symbol and side within the lookback, losers still open included, that lost pct in sum."""

    trades: Count = 4
    lookback: str = "12h"
    pct: Decimal = Decimal(5)
    stop_for: str = "1h"
    unlock_at: str = ""


class MarketHoursLock(Section, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Lock rule: entries of a market on bars under a day wait while its calendar is closed, until it opens."""


class PositionGuard(Section, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Guard, on each close: closes a position at a loss of hard_stop_pct of its cost; once it was in profit, at
    atr_multiple x ATR(22) or trailing_pct behind its best close; at a gain of take_profit_pct. 0: not the last three.
    """

    hard_stop_pct: Decimal = Decimal(20)
    atr_multiple: Decimal = Decimal(0)
    trailing_pct: Decimal = Decimal(0)
    take_profit_pct: Decimal = Decimal(0)


class RunnerLimits(Section, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """T5: seconds per bar and memory of a runner; the host enforces them, they cannot be switched off."""

    bar_s: Decimal = Decimal(2)
    memory_mib: Annotated[int, msgspec.Meta(ge=64, le=512)] = 128


class Monitoring(Section, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """T8: seconds of host time after which an alert that nobody acknowledged is told once more, louder."""

    escalate_s: Annotated[int, msgspec.Meta(ge=1, le=86_400)] = 900


class Controls(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Every control's section, in the order in which refusals answer."""

    price_collar: PriceCollar = PriceCollar()
    price_drift: PriceDrift = PriceDrift()
    max_order: MaxOrder = MaxOrder()
    max_position: MaxPosition = MaxPosition()
    max_open: MaxOpen = MaxOpen()
    order_rate: OrderRate = OrderRate()
    repeated_execution: RepeatedExecution = RepeatedExecution()
    duplicate: Duplicate = Duplicate()
    allow_list: AllowList = AllowList()
    direction: Direction = Direction()
    instrument: InstrumentTerms = InstrumentTerms()
    market_hours: MarketHours = MarketHours()
    stale_data: StaleData = StaleData()
    data_sanity: DataSanity = DataSanity()
    plan_expiry: PlanExpiry = PlanExpiry()
    daily_loss: DailyLoss = DailyLoss()
    drawdown: Drawdown = Drawdown()
    loss_streak: LossStreak = LossStreak()
    reject_streak: RejectStreak = RejectStreak()
    MaxDrawdown: MaxDrawdownLock = MaxDrawdownLock()
    StoplossGuard: StoplossGuardLock = StoplossGuardLock()
    Cooldown: CooldownLock = CooldownLock()
    LowProfit: LowProfitLock = LowProfitLock()
    MarketHours: MarketHoursLock = MarketHoursLock()
    position_guard: PositionGuard = PositionGuard()
    runner_limits: RunnerLimits = RunnerLimits()
    monitoring: Monitoring = Monitoring()


class AccountSection(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """[account.NAME.controls.*]: the same sections, each value at least as tight; kept raw to merge."""

    controls: dict[str, dict[str, Any]] = {}
    two_person: bool | None = None


class RiskFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The whole file. `schema` is 1; zone names the day's time zone (IANA).

    two_person: promotions and starts need a second operator's gate.
    """

    schema: Annotated[int, msgspec.Meta(ge=1, le=1)]
    zone: str = "UTC"
    two_person: bool = False
    controls: Controls = Controls()
    account: dict[str, AccountSection] = {}


# Bounds of the decimal settings, low and high inclusive, by section and key.
BOUNDS: dict[str, dict[str, tuple[Decimal, Decimal]]] = {
    "price_collar": {"pct": (Decimal("0.01"), Decimal(100))},
    "price_drift": {"bps": (Decimal(1), Decimal(10_000))},
    "max_order": {"equity_pct": (Decimal("0.01"), Decimal(1000)), "notional": (Decimal(0), Decimal(10**9))},
    "max_position": {
        "symbol_pct": (Decimal("0.01"), Decimal(1000)),
        "gross_pct": (Decimal("0.01"), Decimal(1000)),
        "net_pct": (Decimal("0.01"), Decimal(1000)),
    },
    "instrument": {"min_notional": (Decimal(0), Decimal(10**9))},
    "stale_data": {
        "max_age_bars": (Decimal(1), Decimal(1000)),
        "max_skew_s": (Decimal("0.1"), Decimal(3600)),
    },
    "data_sanity": {"sigmas": (Decimal(1), Decimal(100)), "jump_pct": (Decimal(1), Decimal(1000))},
    "daily_loss": {"pct": (Decimal("0.01"), Decimal(100))},
    "drawdown": {"pct": (Decimal("0.01"), Decimal(100))},
    "position_guard": {
        "hard_stop_pct": (Decimal(1), Decimal(100)),
        "atr_multiple": (Decimal(0), Decimal(100)),
        "trailing_pct": (Decimal(0), Decimal(100)),
        "take_profit_pct": (Decimal(0), Decimal(10_000)),
    },
    "MaxDrawdown": {"pct": (Decimal("0.01"), Decimal(100))},
    "LowProfit": {"pct": (Decimal("0.01"), Decimal(1000))},
    "runner_limits": {"bar_s": (Decimal("0.1"), Decimal(30))},
}

# Sections of lock rules: each ends stop_for after its event, or at unlock_at (HH:MM of the file's zone), never both.
LOCK_RULES = ("MaxDrawdown", "StoplossGuard", "Cooldown", "LowProfit")
LONGEST_S = 30 * 86_400  # of a lookback or a lock
# No file switches these off: no waiver is asked for them, and no run starts on them alone.
ALWAYS_ON = frozenset({"instrument"})

# Numbers tighten downwards, but for these; these booleans tighten when true, any other when false; a list of what may
# not be traded tightens as it grows, these as they shrink from the empty one, which allows all.
TIGHTER_WHEN_LARGER = frozenset({"min_notional"})
TIGHTER_WHEN_TRUE = frozenset({"enabled", "long_only"})
ALLOWING = frozenset({"symbols", "venues", "timeframes", "candidates"})
# Durations and counts of bars for which entries are refused, or losses remembered: the longer, the tighter.
TIGHTER_WHEN_LONGER = frozenset({"lookback", "stop_for", "bars"})
# 0 switches these off.
OFF_AT_ZERO = frozenset({"notional", "atr_multiple", "trailing_pct", "take_profit_pct"})
# 0 is a limit that the timeframe decides: neither tighter nor looser than a number.
DERIVED_AT_ZERO = frozenset({"max_lag_s"})
