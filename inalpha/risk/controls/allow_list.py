"""P10: only what was signed is traded: the symbol, the venue, the timeframe and the candidate.

The lists stand in the rules, whose digest the mandate signs; an empty one allows what the mandate itself names. That
a run is what its mandate says is checked where it is built from it (daemon/runplan.py).
"""

from __future__ import annotations

from inalpha.model.order import OrderRequest
from inalpha.model.risk import TRIAL, Refusal, RunView, Stage
from inalpha.risk.controls.base import NoData
from inalpha.risk.settings import AllowList


def check(order: OrderRequest, view: RunView, settings: AllowList, stage: Stage) -> Refusal | None:
    """The run's own market first, then each list; a list asks for what the view must then know."""
    if view.instrument.symbol != view.symbol:
        return _refusal("symbols", view.instrument.symbol, (view.symbol,), "symbol")
    for key, name, unit, allowed in (
        ("symbols", view.symbol, "symbol", settings.symbols),
        ("venues", view.venue, "venue", settings.venues),
        ("timeframes", view.timeframe, "timeframe", settings.timeframes),
        ("candidates", view.candidate, "candidate", settings.candidates),
    ):
        if not allowed or (key == "venues" and name == TRIAL):
            continue
        if not isinstance(name, str) or not name:
            raise NoData(f"the {unit} is not known")
        if name not in allowed and not (key == "candidates" and f"cand-{name[:12]}" in allowed):
            told = f"cand-{name[:12]}" if key == "candidates" else name
            return _refusal(key, told, allowed, unit)
    return None


def _refusal(key: str, name: str, allowed: tuple[str, ...], unit: str) -> Refusal:
    listed = ", ".join(allowed)
    text = f"the {unit} {name} is not allowed: {listed}. Setting: controls.allow_list.{key}."
    return Refusal("ALLOW_LIST", "P10", name, listed, unit, f"allow_list.{key}", text)
