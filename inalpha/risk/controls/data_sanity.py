"""P16: a bar that moved beyond belief is judged by a person, not traded on."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from inalpha.model.money import E8
from inalpha.model.order import OrderRequest
from inalpha.model.risk import Refusal, RunView, Stage
from inalpha.risk.controls.base import percent_text, scaled
from inalpha.risk.settings import DataSanity

MIN_RETURNS = 30


def returns_e8(closes: Sequence[int]) -> list[int]:
    """Simple returns of consecutive closes in 1e-8, rounded towards minus infinity."""
    return [(new - old) * E8 // old for old, new in pairwise(closes)]


def jump_text(before: int, after: int, settings: DataSanity) -> str:
    """Why the run must halt before it takes this close (ticks): a split, or a broken feed; "" where it need not."""
    moved = abs(after - before)
    if not settings.enabled or moved * 100 * E8 <= scaled(settings.jump_pct) * before:
        return ""
    return (
        f"P16: the close moved by {percent_text(moved * E8 // before, E8)} %, above {settings.jump_pct} %"
        " (controls.data_sanity.jump_pct): a split in raw data, or a broken feed"
    )


def check(order: OrderRequest, view: RunView, settings: DataSanity, stage: Stage) -> Refusal | None:
    """|last return| against sigmas * standard deviation of the returns before it (integers, ddof 1)."""
    if stage is not Stage.BINDING:
        return None
    returns = returns_e8(view.closes_ticks)
    if len(returns) < MIN_RETURNS:
        return None
    *before, last = returns
    n = len(before)
    spread = n * sum(r * r for r in before) - sum(before) ** 2  # n (n-1) variance
    limit = scaled(settings.sigmas)
    if spread <= 0 or last * last * n * (n - 1) * E8 * E8 <= limit * limit * spread:
        return None
    measured = percent_text(abs(last), E8)
    return Refusal(
        "SUSPECT_BAR",
        "P16",
        measured,
        str(settings.sigmas),
        "% return (limit in standard deviations)",
        "data_sanity.sigmas",
        f"the bar's return of {measured} % is above {settings.sigmas} standard deviations of the last "
        f"{n} bars, so entries wait. Setting: controls.data_sanity.sigmas.",
    )
