"""The risk engine: all controls run, every refusal is kept, the first answers; any doubt refuses."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from inalpha.model.order import OrderRequest
from inalpha.model.risk import Refusal, RunView, Stage, Trip
from inalpha.model.states import HaltState
from inalpha.risk.controls import (
    allow_list,
    cash,
    cooldown,
    daily_loss,
    data_sanity,
    direction,
    drawdown,
    duplicate,
    instrument,
    loss_streak,
    market_hours,
    max_open,
    max_order,
    max_position,
    order_rate,
    price_collar,
    price_drift,
    reject_streak,
    repeated_execution,
    stale_data,
)
from inalpha.risk.controls.base import NoData
from inalpha.risk.controls.lock import locked
from inalpha.risk.inputs import unknown
from inalpha.risk.rules import Rules, rules_from_canonical
from inalpha.risk.settings import ALWAYS_ON

Control = Callable[[OrderRequest, RunView, Any, Stage], Refusal | None]

# Section name of risk.toml and control. None of them is asked about what only reduces.
REGISTRY: tuple[tuple[str, Control], ...] = (
    ("price_collar", price_collar.check),
    ("price_drift", price_drift.check),
    ("max_order", max_order.check),
    ("max_position", max_position.check),
    ("max_open", max_open.check),
    ("order_rate", order_rate.check),
    ("repeated_execution", repeated_execution.check),
    ("duplicate", duplicate.check),
    ("allow_list", allow_list.check),
    ("direction", direction.check),
    ("instrument", instrument.check),
    ("market_hours", market_hours.check),
    ("stale_data", stale_data.check),
    ("data_sanity", data_sanity.check),
    ("daily_loss", daily_loss.check),
    ("drawdown", drawdown.check),
    ("loss_streak", loss_streak.check),
    ("reject_streak", reject_streak.check),
    ("Cooldown", cooldown.check),
    ("MarketHours", market_hours.check_lock),
)

# Controls that speak for a lock: the owner's waiver for a run lifts them as it lifts the lock.
LIFTABLE = frozenset({"daily_loss", "MarketHours", "Cooldown"})


class RiskEngine:
    """Rules applied to one order at a time; the same object in backtest, paper and replay."""

    def __init__(self, rules: Rules) -> None:
        self.rules = rules

    def under(self, rules: str) -> RiskEngine:
        """An engine of the rules that a canonical text holds."""
        return RiskEngine(rules_from_canonical(rules))

    def check(self, order: OrderRequest, view: RunView, stage: Stage) -> tuple[Refusal, ...]:
        """Every refusal in answering order; an empty tuple is a pass. Never raises.

        What only reduces carries reduce_only since its plan was made (model/reduction.py); limits are meant for
        entries, so only a halt stops it. At the fill it is not asked at all.
        """
        reduces = order.reduce_only
        if stage is Stage.FILL:
            return () if reduces else self._fill(order, view)
        refusals = _guarded_standing(order, view)
        for section, control in REGISTRY:
            settings = getattr(self.rules.controls, section)
            is_lifted = section in LIFTABLE and section in view.account.lifted
            if (settings.enabled and not reduces and not is_lifted) or section in ALWAYS_ON:
                refusals.extend(_guarded(section, control, order, view, settings, stage))
        if reduces:
            return tuple(refusals)
        if not self.rules.controls.max_order.enabled:
            refusals.extend(_guarded("max_order", _allocation, order, view, None, stage))
        refusals.extend(_guarded("cash", _cash, order, view, None, stage))
        return tuple(refusals)

    def trips(self, view: RunView, *, entered: bool, refused: bool) -> tuple[Trip, ...]:
        """The run's own triggers that a step set off: P8 by an entry's fill, T4 by a refusal."""
        found: list[Trip | None] = []
        executions, rejections = self.rules.controls.repeated_execution, self.rules.controls.reject_streak
        if entered and executions.enabled:
            found.append(repeated_execution.trip(view, executions))
        if refused and rejections.enabled:
            found.append(reject_streak.trip(view, rejections))
        return tuple(trip for trip in found if trip is not None)

    def _fill(self, order: OrderRequest, view: RunView) -> tuple[Refusal, ...]:
        settings, found = self.rules.controls.price_collar, []
        if settings.enabled:
            found += _guarded("price_collar", price_collar.check, order, view, settings, Stage.FILL)
        return (*found, *_guarded("cash", _cash, order, view, None, Stage.FILL))


def _cash(order: OrderRequest, view: RunView, settings: Any, stage: Stage) -> Refusal | None:
    return cash.check(order, view, stage)


def _allocation(order: OrderRequest, view: RunView, settings: Any, stage: Stage) -> Refusal | None:
    return max_order.check_allocation(order, view)


def _guarded(
    section: str, control: Control, order: OrderRequest, view: RunView, settings: Any, stage: Stage
) -> list[Refusal]:
    try:
        missing = unknown(section, order, view)
        if missing:
            raise NoData(f"{missing} is not known")
        found = control(order, view, settings, stage)
    except NoData as error:
        text = f"{section} lacks an input ({error}), and what is not known is refused."
        return [Refusal("NO_DATA", section, None, None, "", section, text)]
    except Exception as error:  # a broken control must refuse, whatever broke
        text = f"{section} failed with {type(error).__name__}: {error}. A control that fails refuses."
        return [Refusal("RISK_ERROR", section, None, None, "", section, text)]
    return [found] if found is not None else []


def _guarded_standing(order: OrderRequest, view: RunView) -> list[Refusal]:
    """A halt that cannot be read stops everything."""
    try:
        return _standing(order, view)
    except Exception as error:
        text = f"the halts cannot be read ({type(error).__name__}: {error}). What is not known is refused."
        return [Refusal("RISK_ERROR", "T6", None, None, "halt state", "halt", text)]


def _standing(order: OrderRequest, view: RunView) -> list[Refusal]:
    """Halts, locks and blocks of the account, strictest first."""
    account, reduces = view.account, order.reduce_only
    found: list[Refusal] = []
    side = int(order.side)
    if not isinstance(account.halt, HaltState):
        raise NoData("the halt state is not known")
    stops_all = account.halt in (HaltState.HALTED, HaltState.KILLED)
    if stops_all or (account.halt is HaltState.REDUCING and not reduces):
        state = account.halt.value
        scope = account.halt_scope or "all"
        text = f"{scope} is {state}. Resume with a signature: inalpha resume {scope} --reason TEXT"
        found.append(Refusal(state, "T6", state, "ACTIVE", "halt state", "halt", text))
    if reduces:
        return found
    for lock in account.locks:
        if lock.from_ns <= view.now_ns < lock.until_ns and lock.side in (0, side):
            found.append(locked(lock, view.now_ns))
    for block in account.blocks:
        why = f"{block.text}: entries wait" if block.text else f"entries wait while {block.code} lasts"
        setting = block.setting or block.code.lower()
        text = f"{why}. Exits run."
        found.append(
            Refusal(block.code, block.control, block.measured, block.limit, block.unit, setting, text)
        )
    return found
