"""P12: the account's own cash never goes negative. Always on."""

from __future__ import annotations

from inalpha.model.money import E8, divide_half_even, text_from_e8
from inalpha.model.order import OrderRequest
from inalpha.model.risk import Refusal, RunView, Stage
from inalpha.risk.controls.base import notional_e8, reference_ticks


def check(order: OrderRequest, view: RunView, stage: Stage) -> Refusal | None:
    """A buy's notional and fee, with every working buy, against the smaller of account and book cash."""
    if order.side < 0:
        return None
    needed = notional_e8(reference_ticks(order, view.bar.close_ticks), order.quantity_lots, view)
    needed += sum(
        notional_e8(w.reference_ticks, w.remaining_lots, view)
        for w in view.working
        if w.side > 0 and w.intent != order.intent
    )
    needed += divide_half_even(needed * view.fee_bps_e8, 10_000 * E8)
    available = min(view.account.base_cash_e8 + view.own_cash_flow_e8, view.book_cash_e8)
    if needed <= available:
        return None
    return Refusal(
        "CASH",
        "P12",
        text_from_e8(needed),
        text_from_e8(available),
        "cash",
        "cash",
        f"the order needs {text_from_e8(needed)} with its fee and working buys, "
        f"{text_from_e8(available)} is there.",
    )
