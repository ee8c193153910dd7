"""P12: the cash of the whole account, less all that is promised already, pays for every entry. Always on."""

from __future__ import annotations

from inalpha.model.money import E8, divide_half_even, text_from_e8
from inalpha.model.order import OrderRequest
from inalpha.model.risk import Refusal, RunView, Stage
from inalpha.risk.controls.base import notional_e8, reference_ticks


def check(order: OrderRequest, view: RunView, stage: Stage) -> Refusal | None:
    """What the entry needs against what the account can spend; at the fill with its true price and fee.

    Spendable is the account's cash less what its other runs have promised (working entries, plans, begun steps,
    shorts) and less the proceeds of this run's own short with their reserve. A short entry needs own cash equal to
    its notional. The run's own book is asked by the exchange (M19).
    """
    if stage is Stage.FILL:
        assert view.fill is not None
        ticks, lots, fee, own = view.fill.price_ticks, view.fill.lots, view.fill.fee_e8, 0
    else:
        ticks, lots = reference_ticks(order, view.bar.close_ticks), order.quantity_lots
        own = sum(
            notional_e8(other.reference_ticks, other.remaining_lots, view)
            for other in view.working
            if not other.reduce_only and other.intent != order.intent
        )
        fee = divide_half_even((notional_e8(ticks, lots, view) + own) * view.fee_bps_e8, 10_000 * E8)
    needed = own + fee + _needed_e8(order, ticks, lots, view)
    account = view.account
    cash = account.base_cash_e8 + view.own_cash_flow_e8
    owed = 2 * _proceeds_after_e8(order, lots, view)
    available = cash - account.other_reserved_e8 - owed
    if needed <= available:
        return None
    return Refusal(
        "ACCOUNT_CASH",
        "P12",
        text_from_e8(needed),
        text_from_e8(available),
        "cash",
        "cash",
        f"the order needs {text_from_e8(needed)} with its fee and this run's working entries; the account can "
        f"spend {text_from_e8(available)}: {text_from_e8(cash)} cash less {text_from_e8(account.other_reserved_e8)} "
        f"promised to its other runs{f' and {text_from_e8(owed)} behind a short' if owed else ''}.",
    )


def _needed_e8(order: OrderRequest, ticks: int, lots: int, view: RunView) -> int:
    """A purchase costs its notional. A sale brings it, and what it opens short is owed and reserved again."""
    notional = notional_e8(ticks, lots, view)
    if order.side > 0:
        return notional
    opened = max(0, lots - max(0, view.position_lots))
    return 2 * notional_e8(ticks, opened, view) - notional


def _proceeds_after_e8(order: OrderRequest, lots: int, view: RunView) -> int:
    """Proceeds of the run's own short that are still owed once a purchase has covered its part."""
    short = max(0, -view.position_lots)
    if not short:
        return 0
    covered = min(lots, short) if order.side > 0 else 0
    return view.short_proceeds_e8 * (short - covered) // short
