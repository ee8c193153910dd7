"""What a fill costs besides its price: fees in money, slippage in ticks. Integers throughout."""

from __future__ import annotations

from dataclasses import dataclass

from inalpha.model.instrument import Instrument
from inalpha.model.money import E8, divide_half_even, e8_from_text, text_from_e8

_BPS = 10_000
FEE_KINDS = ("bps", "fixed", "per_unit")
SLIPPAGE_KINDS = ("none", "bps", "ticks", "volume_share")

# Volume share: a tenth of the price times the squared share of volume, the share capped at 2.5 %.
_SHARE_CAP_DIVISOR = 40
_IMPACT_DIVISOR = 10


def notional_e8(instrument: Instrument, price_ticks: int, lots: int) -> int:
    """Unsigned or signed value of lots at a price, half-even to 1e-8 (the one money rule)."""
    return divide_half_even(price_ticks * instrument.tick_e8 * lots * instrument.lot_e8, E8)


@dataclass(frozen=True, slots=True)
class FeeModel:
    """bps of notional, a fixed sum per fill, or a sum per unit. amount_e8: in 1e-8 of bps or money."""

    kind: str = "bps"
    amount_e8: int = 10 * E8

    def __post_init__(self) -> None:
        if self.kind not in FEE_KINDS or self.amount_e8 < 0:
            kinds = ", ".join(FEE_KINDS)
            raise ValueError(f"fee {self.kind} {self.amount_e8}: kinds are {kinds}, amount >= 0")

    @classmethod
    def bps(cls, amount: str) -> FeeModel:
        """A fee in basis points of notional, from decimal text."""
        return cls("bps", e8_from_text(amount))

    @classmethod
    def parse(cls, text: str) -> FeeModel:
        """A model from KIND:AMOUNT, such as bps:10, fixed:1.50 or per_unit:0.005. Raises ValueError."""
        kind, _, amount = text.partition(":")
        if kind not in FEE_KINDS or not amount:
            raise ValueError(f"{text!r} is no fee: write one of {', '.join(FEE_KINDS)}, a colon, an amount")
        return cls(kind, e8_from_text(amount))

    @property
    def text(self) -> str:
        return f"{self.kind} {text_from_e8(self.amount_e8)}"

    @property
    def bps_e8(self) -> int:
        """The rate that projections add to a notional; 0 where the fee is no share of it."""
        return self.amount_e8 if self.kind == "bps" else 0

    def fee_e8(self, notional_e8: int, quantity_e8: int) -> int:
        """Fee of one fill; both arguments unsigned."""
        if self.kind == "bps":
            return divide_half_even(notional_e8 * self.amount_e8, _BPS * E8)
        if self.kind == "fixed":
            return self.amount_e8
        return divide_half_even(self.amount_e8 * quantity_e8, E8)


@dataclass(frozen=True, slots=True)
class SlippageModel:
    """How far a market or stop fill moves against the order. amount_e8: 1e-8 of bps or of ticks."""

    kind: str = "none"
    amount_e8: int = 0

    def __post_init__(self) -> None:
        if self.kind not in SLIPPAGE_KINDS or self.amount_e8 < 0:
            kinds = ", ".join(SLIPPAGE_KINDS)
            raise ValueError(f"slippage {self.kind} {self.amount_e8}: kinds are {kinds}, amount >= 0")

    @classmethod
    def parse(cls, text: str) -> SlippageModel:
        """A model from none, volume_share, bps:AMOUNT or ticks:AMOUNT. Raises ValueError."""
        kind, _, amount = text.partition(":")
        if kind not in SLIPPAGE_KINDS or bool(amount) != (kind in ("bps", "ticks")):
            raise ValueError(f"{text!r} is no slippage: write none, volume_share, bps:AMOUNT or ticks:AMOUNT")
        return cls(kind, e8_from_text(amount) if amount else 0)

    @property
    def text(self) -> str:
        if self.kind in ("none", "volume_share"):
            return self.kind
        return f"{self.kind} {text_from_e8(self.amount_e8)}"

    def slipped_ticks(self, price_ticks: int, side: int, quantity_e8: int, previous_volume_e8: int) -> int:
        """The price after slippage, a fraction of a tick counting as a whole one against the order.

        Not clamped to the bar: high and low are unknown at the open. Never below one tick.
        """
        if self.kind == "none":
            return price_ticks
        if self.kind == "bps":
            away = _ceil(price_ticks * self.amount_e8, _BPS * E8)
        elif self.kind == "ticks":
            away = _ceil(self.amount_e8, E8)
        else:
            away = _volume_share_ticks(price_ticks, quantity_e8, previous_volume_e8)
        return max(1, price_ticks + side * away)


def _volume_share_ticks(price_ticks: int, quantity_e8: int, previous_volume_e8: int) -> int:
    if previous_volume_e8 <= 0 or quantity_e8 * _SHARE_CAP_DIVISOR >= previous_volume_e8:
        return _ceil(price_ticks, _IMPACT_DIVISOR * _SHARE_CAP_DIVISOR**2)
    return _ceil(price_ticks * quantity_e8**2, _IMPACT_DIVISOR * previous_volume_e8**2)


def _ceil(numerator: int, denominator: int) -> int:
    return -(-numerator // denominator)


def parse_share(text: str) -> int | None:
    """A share of volume above 0 and up to 1, in 1e-8; "" is None. Raises ValueError."""
    if not text:
        return None
    share = e8_from_text(text)
    if not 0 < share <= E8:
        raise ValueError(f"{text} is no share of volume: above 0, up to 1")
    return share
