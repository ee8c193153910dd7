"""From what a strategy asked to an order in ticks and lots, or the code of why there is none.

Everything here is hostile input. Quantities round towards zero to a lot, limits to the passive side, stops
away from the market; the raw intent is kept beside the order, so both values are on record.
"""

from __future__ import annotations

from inalpha.kernel import refused
from inalpha.model.allowance import MAX_REASON
from inalpha.model.instrument import Instrument
from inalpha.model.money import e8_from_text
from inalpha.model.order import OrderRequest, OrderType, Side, TimeInForce
from inalpha.model.risk import Refusal
from inalpha.model.step import Intent

_TYPE_OF_PRICES = {
    (False, False): OrderType.MARKET,
    (True, False): OrderType.LIMIT,
    (False, True): OrderType.STOP_MARKET,
    (True, True): OrderType.STOP_LIMIT,
}
_STOPS = (OrderType.STOP_MARKET, OrderType.STOP_LIMIT)


# What a code means, where the intent holds no figure that would say more: its unit, and a sentence.
_MEANINGS = {
    "BAD_SIDE": ("side", "the side is neither buy nor sell."),
    "BAD_TYPE": ("type", "the order's type is none that is known."),
    "BAD_PRICE": ("price", "a limit, stop, stop loss or take profit is no price above zero."),
    "BAD_TIF": ("tif", "tif is none of GTC, IOC, DAY and GTD."),
    "IOC_STOP": ("tif", "a stop cannot be IOC."),
    "BAD_EXPIRES": ("expires", "expires is in the past, or stands without GTD."),
    "BAD_QUANTITY": ("quantity", "the quantity is no number above zero."),
    "BRACKET_PRICE": ("price", "stop loss and take profit do not enclose the order's reference price."),
    "BAD_ACTION": ("action", "the intent is neither an order nor a cancel."),
    "DUPLICATE_INTENT": ("intent", "the bar holds an intent of this number already, or none may have it."),
}


class InvalidIntent(ValueError):
    """No order can be made of the intent; the argument is the code, or the refusal where it has figures."""

    @property
    def refusal(self) -> Refusal:
        found = self.args[0]
        return found if isinstance(found, Refusal) else refusal_of(str(found))

    @property
    def code(self) -> str:
        return self.refusal.code


def refusal_of(code: str) -> Refusal:
    """A code of this module in the one format of refusals."""
    unit, text = _MEANINGS[code]
    return refused.invalid(code, unit, text)


def normalise(
    intent: Intent, order_id: str, instrument: Instrument, close_ticks: int, now_ns: int
) -> OrderRequest:
    """The order that an intent stands for. Raises InvalidIntent with a stable code."""
    if intent.side not in ("buy", "sell"):
        raise InvalidIntent("BAD_SIDE")
    side = Side.from_text(intent.side)
    kind = _type(intent)
    tif = _time_in_force(intent, kind, now_ns)
    limit = _price(intent.limit, instrument, up=side < 0)
    stop = _price(intent.stop, instrument, up=side > 0)
    order = OrderRequest(
        intent=order_id,
        side=side,
        type=kind,
        quantity_lots=_lots(intent.quantity, instrument),
        limit_ticks=limit,
        stop_ticks=stop,
        time_in_force=tif,
        expires_ns=intent.expires if tif is TimeInForce.GTD else None,
        reduce_only=intent.reduce_only,
        # A long's protective stop is a sell stop (down, away from the market), its target a sell limit (up).
        stop_loss_ticks=_price(intent.stop_loss, instrument, up=side < 0),
        take_profit_ticks=_price(intent.take_profit, instrument, up=side > 0),
        reason=intent.reason[:MAX_REASON],
    )
    _check_bracket(order, close_ticks)
    return order


def _type(intent: Intent) -> OrderType:
    """The named type must agree with the prices given: a limit lost to NaN must not become a market order."""
    derived = _TYPE_OF_PRICES[intent.limit is not None, intent.stop is not None]
    if intent.type is None or intent.type == derived.value:
        return derived
    known = intent.type in {kind.value for kind in OrderType}
    raise InvalidIntent("BAD_PRICE" if known else "BAD_TYPE")


def _time_in_force(intent: Intent, kind: OrderType, now_ns: int) -> TimeInForce:
    try:
        tif = TimeInForce(intent.tif)
    except ValueError:
        raise InvalidIntent("BAD_TIF") from None
    if tif is TimeInForce.IOC and kind in _STOPS:
        raise InvalidIntent("IOC_STOP")
    if (tif is TimeInForce.GTD) != (intent.expires is not None):
        raise InvalidIntent("BAD_EXPIRES")
    if intent.expires is not None and intent.expires <= now_ns:
        raise InvalidIntent("BAD_EXPIRES")
    return tif


def _lots(text: str | None, instrument: Instrument) -> int:
    try:
        quantity = e8_from_text(text) if text is not None else 0
    except ValueError:
        quantity = 0
    if quantity <= 0:
        raise InvalidIntent("BAD_QUANTITY")
    if quantity < instrument.lot_e8:
        raise InvalidIntent(refused.below_lot(quantity, instrument))
    return quantity // instrument.lot_e8


def _price(text: str | None, instrument: Instrument, *, up: bool) -> int | None:
    """Ticks, a fraction of a tick going up or down; None stays None."""
    if text is None:
        return None
    try:
        price = e8_from_text(text)
    except ValueError:
        raise InvalidIntent("BAD_PRICE") from None
    ticks = -(-price // instrument.tick_e8) if up else price // instrument.tick_e8
    if ticks <= 0:
        raise InvalidIntent(refused.below_tick(price, instrument))
    return ticks


def _check_bracket(order: OrderRequest, close_ticks: int) -> None:
    """For a buy: stop_loss < reference < take_profit, where reference is the limit, stop or last close."""
    if order.stop_loss_ticks is None and order.take_profit_ticks is None:
        return
    if order.reduce_only:
        raise InvalidIntent("BRACKET_PRICE")
    reference = order.limit_ticks or order.stop_ticks or close_ticks
    side = int(order.side)
    if order.stop_loss_ticks is not None and order.stop_loss_ticks * side >= reference * side:
        raise InvalidIntent("BRACKET_PRICE")
    if order.take_profit_ticks is not None and order.take_profit_ticks * side <= reference * side:
        raise InvalidIntent("BRACKET_PRICE")
