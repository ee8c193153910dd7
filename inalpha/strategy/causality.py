"""Do the functions that a strategy hands to `self.ta` look ahead? Measured on the functions themselves.

Runs inside the sandbox, in a runner of its own that trades nothing: whole stretches of bars are laid open here,
which no runner that orders ever gets. A hostile file can spoil its own examination and gains nothing by it.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Iterator, Mapping
from random import Random
from typing import TYPE_CHECKING, Any

from inalpha.strategy.base import Strategy
from inalpha.strategy.indicators import Indicator
from inalpha.strategy.ta_window import TaWindow

if TYPE_CHECKING:
    import pandas as pd

    from inalpha.strategy.session import Session

CUTS = 32
# Sums in another order differ in their last digits; what differs by more was computed from other bars.
TOLERANCE = 1e-9
# What 15 windows leave of a Wilder average's first value: (13/14)^210 is 2e-7, an ADX smooths twice.
SETTLED = 1e-5
MAX_WINDOWS = 30
BUDGET_S = 20.0
_SEED = 11
_EXTRA_BARS = 1000
_SHOWN = 100


def install(namespace: Mapping[str, Any]) -> None:
    """Make the file's Strategy examine its declarations when it is stopped; namespace: the file's globals."""
    for value in list(namespace.values()):
        is_ours = isinstance(value, type) and issubclass(value, Strategy)
        if is_ours and value.__module__ == namespace["__name__"]:
            value.on_stop = _report


def _report(strategy: Strategy) -> None:
    session = strategy._session
    names = {id(value): f"self.{name}" for name, value in vars(strategy).items()}
    session.log(json.dumps({"declared": len(session.windows), "longest": _longest(session)}))
    frame = session.memory.frame(len(session.memory.bars))
    until = time.monotonic() + BUDGET_S
    for window in session.windows[:MAX_WINDOWS]:
        told = {
            "name": names.get(id(window), "self.ta")[:_SHOWN],
            "function": window.function_name[:_SHOWN],
            "columns": list(window.columns),
            "lookback": window.lookback,
            "line": window.line,
        }
        try:
            told |= examine(window, frame, until)
        except Exception as error:
            told |= {"outcome": "failed", "what": f"{type(error).__name__}: {error}"[:_SHOWN]}
        session.log(json.dumps(told))


def _longest(session: Session) -> int:
    """The most bars that a declared indicator looks back on; history() cannot be known."""
    reaches = [window.lookback for window in session.windows]
    return max([*reaches, *map(_reach, session.indicators)], default=0)


def _reach(indicator: Indicator) -> int:
    """Its window and smoothing, and those of the indicators that it is made of."""
    names = {name for cls in type(indicator).__mro__ for name in getattr(cls, "__slots__", ())}
    names |= {*getattr(indicator, "__dict__", ())}
    values = {name: getattr(indicator, name, None) for name in names}
    own = [value for name in ("window", "smooth") if type(value := values.get(name)) is int]
    return sum(own) + sum(_reach(value) for value in values.values() if isinstance(value, Indicator))


def examine(window: TaWindow, frame: pd.DataFrame, until: float = math.inf) -> dict[str, Any]:
    """One declaration at up to CUTS seeded cuts of frame: `outcome`, and the figures that show it.

    At a cut after k bars three values of bar k are compared: `full` from all bars, `prefix` from the first k,
    `window` from the last `lookback` of those. Outcomes:

    exact       all bit-equal
    settled     equal to SETTLED of the series' size; recomputed per bar, as rounding differs
    short       full and prefix agree, window differs: the value depends on where the window begins
    whole       full and prefix differ, and any bar however distant matters: a statistic of the whole window
    look_ahead  full and prefix differ, and only bars nearby matter; or the value exists only with later bars
    unsteady    equal bars, other values;   unaligned: not one value per bar;   too_few_bars;   late: no time
    """
    length = min(len(frame), 2 * window.lookback + _EXTRA_BARS)
    frame = frame.iloc[:length]
    if length <= window.lookback + 1:
        return {"outcome": "too_few_bars"}
    full = _values(window, frame)
    if full is None:
        return {"outcome": "unaligned"}
    if not _equal(full, _values(window, frame)):
        return {"outcome": "unsteady"}
    defined = [abs(value) for value in full if math.isfinite(value)]
    size = math.fsum(defined) / len(defined) if defined else 0.0
    seeded = Random(_SEED)
    cuts = sorted(seeded.sample(range(window.lookback, length), min(CUTS, length - window.lookback)))
    parted: list[dict[str, Any]] = []
    worst, is_exact, done = 0.0, True, 0
    for cut in cuts:
        if time.monotonic() > until:
            break
        done += 1
        whole, prefix = full[cut - 1], _last(window, frame.iloc[:cut])
        apart = _apart(whole, prefix, size)
        if apart > TOLERANCE:
            parted.append({"bar": cut - 1, "full": _shown(whole), "prefix": _shown(prefix)})
            continue
        last = _last(window, frame.iloc[cut - window.lookback : cut])
        worst = max(worst, _apart(prefix, last, size))
        is_exact = is_exact and _same(whole, prefix) and _same(prefix, last)
    if not done:
        return {"outcome": "late"}
    if parted:
        absent = next((found for found in parted if found["prefix"] is None), None)
        if absent is None and _reaches_the_end(window, frame, full, parted[0]["bar"], size):
            return {"outcome": "whole", "cuts": done, **parted[0]}
        return {"outcome": "look_ahead", "cuts": done, **(absent or parted[0])}
    if worst > SETTLED:
        wanted = _enough(window, frame, cuts[:done], size, until)
        return {"outcome": "short", "cuts": done, "apart": _shown(worst), "wanted": wanted}
    return {"outcome": "exact" if is_exact else "settled", "cuts": done}


def _values(window: TaWindow, frame: pd.DataFrame) -> list[float] | None:
    """One float per bar; None when the function answers with another number of them."""
    found = window.apply(frame)
    return [float(value) for value in found] if len(found) == len(frame) else None


def _last(window: TaWindow, frame: pd.DataFrame) -> float:
    return float(window.apply(frame).iloc[-1])


def _reaches_the_end(window: TaWindow, frame: pd.DataFrame, full: list[float], bar: int, size: float) -> bool:
    """Whether the very last bar, at least a lookback away, moves the value of `bar`.

    A rank or a z-score of the whole window is moved by every bar; a centred window by its neighbours alone.
    """
    if len(frame) - bar <= window.lookback:
        return False
    for factor in (0.01, 100.0):
        other = frame.copy()
        other.iloc[-1] = other.iloc[-1] * factor
        moved = _values(window, other)
        if moved is not None and _apart(moved[bar], full[bar], size) > TOLERANCE:
            return True
    return False


def _enough(window: TaWindow, frame: pd.DataFrame, cuts: list[int], size: float, until: float) -> int | None:
    """The lookback, doubled until it suffices, from which the value no longer depends on its start."""
    for lookback in _doubled(window.lookback, cuts[-1]):
        reached = [cut for cut in cuts if cut > lookback][-8:]
        pairs = (
            (_last(window, frame.iloc[:cut]), _last(window, frame.iloc[cut - lookback : cut]))
            for cut in reached
        )
        if time.monotonic() > until or not reached:
            return None
        if all(_apart(prefix, last, size) <= SETTLED for prefix, last in pairs):
            return lookback
    return None


def _doubled(lookback: int, most: int) -> Iterator[int]:
    while lookback * 2 < most:
        lookback *= 2
        yield lookback


def _same(one: float, other: float) -> bool:
    return one == other or (math.isnan(one) and math.isnan(other))


def _equal(one: list[float], other: list[float] | None) -> bool:
    return other is not None and all(map(_same, one, other))


def _apart(one: float, other: float, size: float) -> float:
    """The difference as a share of the larger of both and of the series' mean size; inf against no value."""
    if _same(one, other):
        return 0.0
    if not (math.isfinite(one) and math.isfinite(other)):
        return math.inf
    return abs(one - other) / max(abs(one), abs(other), size)


def _shown(value: float) -> float | None:
    return value if math.isfinite(value) else None
