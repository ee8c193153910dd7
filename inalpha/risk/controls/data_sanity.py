"""P16: a bar that moved beyond belief is judged by a person, not traded on."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from math import isqrt

from inalpha.model.money import E8
from inalpha.model.order import OrderRequest
from inalpha.model.risk import Refusal, RunView, Stage
from inalpha.risk.controls.base import figure, limit_text, percent_text, scaled
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
    limit = limit_text(settings.jump_pct)
    return (
        f"P16: the close moved by {percent_text(moved, before, limit)} %, above {limit} %"
        " (controls.data_sanity.jump_pct): a split in raw data, or a broken feed"
    )


def check(order: OrderRequest, view: RunView, settings: DataSanity, stage: Stage) -> Refusal | None:
    """|last return| against sigmas * standard deviation of the returns before it (integers, ddof 1).

    Judged from the thirtieth return on. After returns that are all equal there is no deviation: none passes, any
    other return is refused.
    """
    if stage is not Stage.BINDING:
        return None
    returns = returns_e8(view.closes_ticks)
    if len(returns) < MIN_RETURNS:
        return None
    *before, last = returns
    n = len(before)
    spread = n * sum(r * r for r in before) - sum(before) ** 2  # n (n-1) variance
    limit = scaled(settings.sigmas)
    if not last or last * last * n * (n - 1) * E8 * E8 <= limit * limit * spread:
        return None
    told = limit_text(settings.sigmas)
    moved = percent_text(abs(last), E8)
    if spread <= 0:  # no spread before it: any move is more standard deviations than can be counted
        return _refusal(
            moved, "0", "% return after bars without any spread",
            f"the bar returned {moved} % after {n} bars whose returns did not differ",
        )  # fmt: skip
    square = last * last * n * (n - 1) * 10**36
    sigmas = isqrt(square // spread)
    measured = figure(sigmas + (sigmas * sigmas * spread != square), 10**18, told)
    return _refusal(
        measured, told, "standard deviations",
        f"the bar's return of {moved} % is {measured} standard deviations of the last {n} bars, the limit is {told}",
    )  # fmt: skip


def _refusal(measured: str, limit: str, unit: str, text: str) -> Refusal:
    told = f"{text}, so entries wait. Setting: controls.data_sanity.sigmas."
    return Refusal("SUSPECT_BAR", "P16", measured, limit, unit, "data_sanity.sigmas", told)
