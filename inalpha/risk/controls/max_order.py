"""P3: one order's notional against the account's equity, an absolute cap and the mandate's allocation."""

from __future__ import annotations

from inalpha.model.money import E8, text_from_e8
from inalpha.model.order import OrderRequest
from inalpha.model.risk import Refusal, RunView, Stage
from inalpha.risk.controls.base import (
    equity_e8,
    limit_text,
    notional_e8,
    percent_text,
    reference_ticks,
    refusal,
    scaled,
)
from inalpha.risk.settings import MaxOrder


def check(order: OrderRequest, view: RunView, settings: MaxOrder, stage: Stage) -> Refusal | None:
    """Notional at the reference price; the tighter of file and mandate binds."""
    notional = notional_e8(reference_ticks(order, view.bar.close_ticks), order.quantity_lots, view)
    equity = equity_e8(view)
    if notional * 100 * E8 > scaled(settings.equity_pct) * equity:
        limit = limit_text(settings.equity_pct)
        measured = percent_text(notional, equity, limit)
        text = "the order is too large"
        return refusal("MAX_ORDER", "P3", "max_order.equity_pct", measured, limit, "% of equity", text)
    cap = scaled(settings.notional)
    if cap and notional > cap:
        return refusal(
            "MAX_ORDER",
            "P3",
            "max_order.notional",
            text_from_e8(notional),
            text_from_e8(cap),
            "notional",
            "too large",
        )
    return check_allocation(order, view)


def check_allocation(order: OrderRequest, view: RunView) -> Refusal | None:
    """The mandate's own bound; it was signed with the run and binds also where max_order is switched off."""
    notional = notional_e8(reference_ticks(order, view.bar.close_ticks), order.quantity_lots, view)
    if notional > view.allocation_e8:
        return Refusal(
            "MAX_ORDER",
            "P3",
            text_from_e8(notional),
            text_from_e8(view.allocation_e8),
            "notional",
            "mandate.allocation",
            f"the order's notional {text_from_e8(notional)} is above the mandate's allocation "
            f"{text_from_e8(view.allocation_e8)}. Start the run with a larger --allocation.",
        )
    return None
