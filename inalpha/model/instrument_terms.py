"""P13: what the market itself demands of an order: whole ticks and lots, and a smallest value of an entry.

The one judge of it, asked by the risk engine and, where risk is off, by the kernel: no rule can switch it off. An
intent that makes no whole lot or tick at all is refused before, where it is read (kernel/normalise.py).
"""

from __future__ import annotations

from inalpha.model.instrument import Instrument
from inalpha.model.money import multiply_e8, text_from_e8
from inalpha.model.order import OrderRequest
from inalpha.model.risk import Refusal

CONTROL = "P13"


def instrument_refusal(
    order: OrderRequest, instrument: Instrument, reference_ticks: int, floor_e8: int = 0
) -> Refusal | None:
    """Why the market would not take the order; None where it would.

    floor_e8: a minimum that the rules set above the market's own, in 1e-8 money. It and the market's never stop an
    order that only reduces: a remainder must be sellable.
    """
    if order.quantity_lots < 1:
        measured, limit = instrument.quantity_text(order.quantity_lots), instrument.quantity_text(1)
        text = f"the quantity of {measured} is less than one lot of {instrument.symbol}, which is {limit}."
        return Refusal("INSTRUMENT", CONTROL, measured, limit, "units", "instruments.lot", text)
    prices = (order.limit_ticks, order.stop_ticks, order.stop_loss_ticks, order.take_profit_ticks)
    for ticks in prices:
        if ticks is not None and ticks < 1:
            measured, limit = instrument.price_text(ticks), instrument.price_text(1)
            text = f"a price of {measured} is less than one tick of {instrument.symbol}, which is {limit}."
            return Refusal("INSTRUMENT", CONTROL, measured, limit, "price", "instruments.tick", text)
    if order.reduce_only:
        return None
    least = max(instrument.min_notional_e8, floor_e8)
    notional = multiply_e8(instrument.price_e8(reference_ticks), instrument.quantity_e8(order.quantity_lots))
    if notional >= least:
        return None
    own = instrument.min_notional_e8 >= floor_e8
    setting = "instruments.min_notional" if own else "instrument.min_notional"
    where = "[instruments] in inalpha.toml" if own else "controls.instrument.min_notional"
    measured, limit = text_from_e8(notional), text_from_e8(least)
    text = (
        f"the order's notional of {measured} is below the minimum of {limit}. Order more. Setting: {where}."
    )
    return Refusal("INSTRUMENT", CONTROL, measured, limit, "notional", setting, text)
