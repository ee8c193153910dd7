"""Inalpha: model-written strategies on a paper account, with a record that a stranger can verify."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from inalpha.model.version import VERSION as __version__

if TYPE_CHECKING:
    from inalpha.model.bar import Bar
    from inalpha.strategy.base import Strategy
    from inalpha.strategy.indicators import EMA, ROC, RSI, SMA, VWAP, WMA, Indicator, StdDev
    from inalpha.strategy.ranges import ATR, MACD, Bollinger, Donchian, Stochastic
    from inalpha.strategy.state import Event, Order


# Loaded on first use, so that importing any part of the product costs nothing of the others.
_HOMES = {
    "Bar": "inalpha.model.bar",
    "Strategy": "inalpha.strategy.base",
    "Event": "inalpha.strategy.state",
    "Order": "inalpha.strategy.state",
    **dict.fromkeys(
        ("EMA", "ROC", "RSI", "SMA", "VWAP", "WMA", "Indicator", "StdDev"), "inalpha.strategy.indicators"
    ),
    **dict.fromkeys(("ATR", "MACD", "Bollinger", "Donchian", "Stochastic"), "inalpha.strategy.ranges"),
}

__all__ = [
    "ATR",
    "EMA",
    "MACD",
    "ROC",
    "RSI",
    "SMA",
    "VWAP",
    "WMA",
    "Bar",
    "Bollinger",
    "Donchian",
    "Event",
    "Indicator",
    "Order",
    "StdDev",
    "Stochastic",
    "Strategy",
    "__version__",
]


def __getattr__(name: str) -> object:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'inalpha' has no attribute {name!r}")
    return getattr(import_module(home), name)


def __dir__() -> list[str]:
    return sorted(__all__)
