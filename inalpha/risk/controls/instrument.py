"""P13: ticks, lots and the smallest value of an entry, as the market demands them. Always on."""

from __future__ import annotations

from inalpha.model.instrument_terms import instrument_refusal
from inalpha.model.order import OrderRequest
from inalpha.model.risk import Refusal, RunView, Stage
from inalpha.risk.controls.base import reference_ticks, scaled
from inalpha.risk.settings import InstrumentTerms


def check(order: OrderRequest, view: RunView, settings: InstrumentTerms, stage: Stage) -> Refusal | None:
    """The larger of the market's own minimum and the rules' binds; no minimum stops what only reduces."""
    ticks = reference_ticks(order, view.bar.close_ticks)
    return instrument_refusal(order, view.instrument, ticks, scaled(settings.min_notional))
