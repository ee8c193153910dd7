"""The one answer to "can this order only make the position smaller?", judged once, when its plan is created.

The answer is kept as the order's own `reduce_only`: from then on binding, matching, REDUCING and both verifiers
ask the tag alone, and every fill of such an order is clamped to the position (M17). So the tag is the proof, and
nothing that happens to the position or to other orders in between can turn an exit into an entry.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Protocol

from inalpha.model.order import OrderRequest


class Working(Protocol):
    """What the judgement needs of an order that works or awaits a person. side: +1 or -1."""

    @property
    def side(self) -> int: ...
    @property
    def remaining_lots(self) -> int: ...
    @property
    def reduce_only(self) -> bool: ...


def only_reduces(
    order: OrderRequest, position_lots: int, working: Iterable[Working], *, allow_short: bool
) -> bool:
    """Whether an order against a run's own position can only shrink it.

    position_lots: signed. An order tagged reduce_only does. An untagged one does when it carries no legs and is
    no larger than the position. Where shorts are allowed, untagged orders of its side that already work may
    take the position first and leave this one to open the other way, so they are subtracted.
    """
    side = int(order.side)
    if position_lots * side >= 0:
        return False
    if order.reduce_only:
        return True
    if order.stop_loss_ticks is not None or order.take_profit_ticks is not None:
        return False
    taken = 0
    if allow_short:
        taken = sum(other.remaining_lots for other in working if other.side == side and not other.reduce_only)
    return order.quantity_lots <= abs(position_lots) - taken


def tagged(
    order: OrderRequest, position_lots: int, working: Iterable[Working], *, allow_short: bool
) -> OrderRequest:
    """The order with reduce_only set where it only reduces; else the same order."""
    if order.reduce_only or not only_reduces(order, position_lots, working, allow_short=allow_short):
        return order
    return replace(order, reduce_only=True)
