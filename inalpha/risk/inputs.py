"""What each control reads of a run's view: without one of these, or with one that is no number, it refuses.

NaN compares as false with everything, so a control that met one would pass; it is caught before it is compared.
"""

from __future__ import annotations

from collections.abc import Iterable

from inalpha.model.order import OrderRequest
from inalpha.model.risk import RunView

_EQUITY = (
    "own_cash_flow_e8", "position_value_e8", "account.base_cash_e8", "account.other_value_e8",
)  # fmt: skip
_CLOSE = ("bar.close_ticks",)
_SIZE = ("order.quantity_lots", *_CLOSE)

# By section of risk.toml: dotted names in the view, `order.` for those of the order. A trailing [] is a sequence.
INPUTS: dict[str, tuple[str, ...]] = {
    "price_collar": _CLOSE,
    "price_drift": _CLOSE,
    "max_order": (*_SIZE, *_EQUITY, "allocation_e8"),
    "max_position": (
        *_SIZE, *_EQUITY, "account.other_gross_e8", "account.other_symbol_value_e8", "account.other_buys_e8",
        "account.other_sells_e8", "account.other_symbol_buys_e8", "account.other_symbol_sells_e8",
    ),
    "order_rate": ("now_ns", "orders_this_bar", "recent_orders_ns[]"),
    "repeated_execution": ("now_ns",),
    "duplicate": ("order.quantity_lots",),
    "direction": ("order.side",),
    "instrument": (*_SIZE, "instrument.tick_e8", "instrument.lot_e8", "instrument.min_notional_e8"),
    "market_hours": ("now_ns", "timeframe_ns"),
    "MarketHours": ("now_ns", "timeframe_ns"),
    "stale_data": ("lag_ns", "timeframe_ns"),
    "data_sanity": ("closes_ticks[]",),
    "daily_loss": (*_EQUITY, "account.day_start_equity_e8"),
    "drawdown": (*_EQUITY, "account.high_water_e8"),
    "cash": (
        *_SIZE, "own_cash_flow_e8", "position_lots", "fee_bps_e8", "short_proceeds_e8", "account.base_cash_e8",
        "account.other_reserved_e8",
    ),
}  # fmt: skip
_OPTIONAL = ("limit_ticks", "stop_ticks")


def unknown(section: str, order: OrderRequest, view: RunView) -> str:
    """The first input of a control that is missing or no integer; "" when all are there."""
    names: Iterable[str] = INPUTS.get(section, ())
    if order.reduce_only:  # asked about its own ticks and lots alone: a broken bar must not hold an exit up
        names = (name for name in names if name.startswith(("order.", "instrument.")))
    for name in names:
        if not all(map(_is_known, _values(name, order, view))):
            return name.removesuffix("[]")
    if section in ("max_open", "max_position", "cash"):
        for other in view.working:
            if not (_is_known(other.remaining_lots) and _is_known(other.reference_ticks)):
                return "working"
    for name in _OPTIONAL:
        value = getattr(order, name)
        if value is not None and not _is_known(value):
            return f"order.{name}"
    return ""


def _values(name: str, order: OrderRequest, view: RunView) -> Iterable[object]:
    path = name.removesuffix("[]")
    value: object = order if path.startswith("order.") else view
    for part in path.removeprefix("order.").split("."):
        value = getattr(value, part)
    if not name.endswith("[]"):
        return (value,)
    return value if isinstance(value, (tuple, list)) else (None,)


def _is_known(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
