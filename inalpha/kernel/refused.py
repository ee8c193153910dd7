"""What the kernel itself refuses, in the one format of every refusal: an intent, an order at the exchange, an entry."""

from __future__ import annotations

from inalpha.model.instrument import Instrument
from inalpha.model.money import text_from_e8
from inalpha.model.risk import Refusal

EXCHANGE = "exchange"
INTENT = "intent"


def insufficient_cash(needed_e8: int, available_e8: int) -> Refusal:
    """M19: the run's own book does not pay for it. Both in 1e-8 money."""
    needed, available = text_from_e8(needed_e8), text_from_e8(available_e8)
    text = (
        f"the order needs {needed} with its fee and what works already; the run's own book has {available}."
    )
    return Refusal("INSUFFICIENT_CASH", "M19", needed, available, "cash", "mandate.allocation", text)


def short_not_allowed(lots: int, instrument: Instrument) -> Refusal:
    """A sell beyond the position, by so many lots, in an account that may not be short."""
    beyond = instrument.quantity_text(lots)
    text = f"the sell is {beyond} larger than the position, and the account may not be short."
    unit = "units beyond the position"
    return Refusal("SHORT_NOT_ALLOWED", EXCHANGE, beyond, "0", unit, "account.allow_short", text)


NOTHING_TO_REDUCE = Refusal(
    "NOTHING_TO_REDUCE", "M17", None, None, "order", "reduce_only",
    "the run holds nothing that an order of this side could reduce.",
)  # fmt: skip
GUARD_PENDING = Refusal(
    "GUARD_EXIT_PENDING", "guard", None, None, "order", "position_guard",
    "the guard is closing this position; entries wait until it is flat.",
)  # fmt: skip


def book_negative(cash_e8: int) -> Refusal:
    """M19: an exit always fills, so a short's cover may leave the run owing money; it enters nothing then."""
    text = text_from_e8(cash_e8)
    return Refusal(
        "BOOK_NEGATIVE", "M19", text, "0", "cash", "book",
        f"the run's own book stands at {text}: an exit had to fill beyond its cash. Exits run; for entries"
        " start a new run.",
    )  # fmt: skip


def below_lot(quantity_e8: int, instrument: Instrument) -> Refusal:
    """P13: less than the smallest quantity that the market trades."""
    asked, lot = text_from_e8(quantity_e8), instrument.quantity_text(1)
    text = f"the quantity of {asked} is less than one lot of {instrument.symbol}, which is {lot}."
    return Refusal("BELOW_LOT", "P13", asked, lot, "units", "instruments.lot", text)


def below_tick(price_e8: int, instrument: Instrument) -> Refusal:
    """P13: no price of this market."""
    asked, tick = text_from_e8(price_e8), instrument.price_text(1)
    text = f"a price of {asked} is less than one tick of {instrument.symbol}, which is {tick}."
    return Refusal("BAD_PRICE", "P13", asked, tick, "price", "instruments.tick", text)


def invalid(code: str, unit: str, text: str) -> Refusal:
    """An intent of which no order can be made; it has no figures."""
    return Refusal(code, INTENT, None, None, unit, unit, text)
