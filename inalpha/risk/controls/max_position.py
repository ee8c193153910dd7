"""P4: the position as it would be with every working entry of the account filled: per symbol, gross and net."""

from __future__ import annotations

from inalpha.model.money import E8
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
from inalpha.risk.settings import MaxPosition


def check(order: OrderRequest, view: RunView, settings: MaxPosition, stage: Stage) -> Refusal | None:
    """Projected absolute values over equity, over all runs of the account.

    Working entries and plans of the same side count as filled; what only reduces is not counted on.
    """
    equity = equity_e8(view)
    side = int(order.side)
    added = notional_e8(reference_ticks(order, view.bar.close_ticks), order.quantity_lots, view)
    # A plan that awaits a person stands among the working orders; it is not counted twice.
    others = [w for w in view.working if w.side == side and not w.reduce_only and w.intent != order.intent]
    added += sum(notional_e8(w.reference_ticks, w.remaining_lots, view) for w in others)
    account = view.account
    own = view.position_value_e8 + side * added
    on_symbol = account.other_symbol_buys_e8 if side > 0 else account.other_symbol_sells_e8
    elsewhere = account.other_buys_e8 if side > 0 else account.other_sells_e8
    symbol = abs(own + account.other_symbol_value_e8 + side * on_symbol)
    gross = abs(own) + account.other_gross_e8 + account.other_buys_e8 + account.other_sells_e8
    net = abs(own + account.other_value_e8 + side * elsewhere)
    for key, value, limit in (
        ("symbol_pct", symbol, settings.symbol_pct),
        ("gross_pct", gross, settings.gross_pct),
        ("net_pct", net, settings.net_pct),
    ):
        if value * 100 * E8 > scaled(limit) * equity:
            told = limit_text(limit)
            measured = percent_text(value, equity, told)
            text = "the position would be too large"
            return refusal("MAX_POSITION", "P4", f"max_position.{key}", measured, told, "% of equity", text)
    return None
