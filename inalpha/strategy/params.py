"""A strategy's parameters: annotated class attributes with plain defaults, and what may replace them."""

from __future__ import annotations

import inspect
import math
from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from inalpha.strategy.base import Strategy

ParamValue = int | str | bool | float


class BadParam(ValueError):
    """A parameter that the strategy does not declare, or of another type."""


def read_params(cls: type[Strategy]) -> dict[str, ParamValue]:
    """Declared parameters with their defaults, in the order of the file."""
    found: dict[str, ParamValue] = {}
    for base in reversed(cls.__mro__):
        for name in inspect.get_annotations(base):
            value = base.__dict__.get(name)
            if not name.startswith("_") and isinstance(value, int | str | bool | float):
                found[name] = getattr(cls, name)
    return found


def apply_params(
    cls: type[Strategy], strategy: Strategy, params: Mapping[str, object]
) -> dict[str, ParamValue]:
    """Set the given values on the object and answer all of them. Raises BadParam."""
    merged = merge_params(read_params(cls), params)
    for name in params:
        setattr(strategy, name, merged[name])
    return merged


def merge_params(declared: Mapping[str, ParamValue], given: Mapping[str, object]) -> dict[str, ParamValue]:
    """Declared parameters with the given values in place of defaults. Raises BadParam."""
    merged = dict(declared)
    for name, wanted in given.items():
        if name not in merged:
            raise BadParam(f"unknown parameter {name!r}; declared: {', '.join(merged) or 'none'}")
        default = merged[name]
        value = _as_float(wanted) if isinstance(default, float) else wanted
        if type(value) is not type(default) or not isinstance(value, int | str | float):
            raise BadParam(f"parameter {name!r} is {type(default).__name__}, got {wanted!r}")
        merged[name] = value
    return merged


def _as_float(given: object) -> object:
    """A float parameter's value: mandates and command lines write fractions as decimal text."""
    if isinstance(given, str):
        try:
            number = float(given)
        except ValueError:
            return given
        return number if math.isfinite(number) else given
    return float(given) if isinstance(given, int) and not isinstance(given, bool) else given
