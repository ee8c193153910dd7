"""Indicators that look ahead, found before a backtest and named with their line.

The candidate's file, with one line added that examines instead of trading, gets a runner of its own. The bars
laid open there never reach a runner whose orders count.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated

import msgspec

from inalpha.model.bar import Bar
from inalpha.model.errors import Refused
from inalpha.model.instrument import Instrument
from inalpha.model.runner import RunnerEnded
from inalpha.strategy.lint_names import LOOKBACK_PER_WINDOW
from runners.local import LocalSandbox
from runners.messages import MAX_SOURCE, Scalar, shown
from runners.protocol import Limits

MAX_BARS = 4000
_ADDED = b"\nimport inalpha.strategy.causality as _c; _c.install(globals())\n"
_LIMITS = Limits(stop_s=30.0)
_Text = Annotated[str, msgspec.Meta(max_length=100)]
_Count = Annotated[int, msgspec.Meta(ge=0, le=1_000_000)]


class Indicator(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One `self.ta` declaration and what its examination gave (outcomes: inalpha.strategy.causality)."""

    name: _Text
    function: _Text
    columns: Annotated[list[_Text], msgspec.Meta(max_length=5)]
    lookback: _Count
    line: _Count
    outcome: _Text
    cuts: _Count = 0
    bar: _Count | None = None
    full: float | None = None
    prefix: float | None = None
    apart: float | None = None
    wanted: _Count | None = None
    what: _Text = ""

    @property
    def declaration(self) -> str:
        columns = ", ".join(self.columns)
        text = (
            f"line {self.line}: {self.name} = self.ta({self.function}, {columns}, lookback={self.lookback})"
        )
        return shown(text, 300)

    @property
    def looks_ahead(self) -> bool:
        return self.outcome == "look_ahead"

    def told(self) -> str:
        """One sentence for a person; "" where there is nothing to say."""
        now, later = _value(self.prefix), _value(self.full)
        said = {
            "look_ahead": f"looks ahead: bar {self.bar} is {now} when it closes, {later} once later bars are known",
            "whole": f"describes its whole window: bar {self.bar} is {now} when it closes and {later} in a longer"
            " window. Recomputed on every bar it cannot see the future; a chart of it would",
            "short": f"depends on where its {self.lookback} bars begin (by {_share(self.apart)} of its size)."
            f" {self._advice()}",
            "unsteady": "gives other values for equal bars",
            "unaligned": "does not give one value per bar, so it could not be examined",
            "too_few_bars": "could not be examined: too few bars",
            "late": "could not be examined in time",
            "failed": f"could not be examined: {shown(self.what)}",
        }.get(self.outcome, "")
        return f"{self.declaration} {said}." if said else ""

    def _advice(self) -> str:
        if self.wanted is None:
            return f"Take {LOOKBACK_PER_WINDOW} times its window; a running total never settles"
        return f"lookback={self.wanted} would settle it"


class _Head(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    declared: _Count
    longest: _Count


@dataclass(frozen=True, slots=True)
class Examination:
    """indicators: as declared. longest: bars that the longest looks back. problem: why there is none."""

    indicators: tuple[Indicator, ...] = ()
    longest: int = 0
    problem: str = ""

    @property
    def culprits(self) -> list[Indicator]:
        return [indicator for indicator in self.indicators if indicator.looks_ahead]

    @property
    def warnings(self) -> list[str]:
        found = [told for indicator in self.indicators if (told := indicator.told())]
        return [*found, self.problem] if self.problem else found

    def refuse_look_ahead(self) -> None:
        """Raises Refused("LOOK_AHEAD") naming the first culprit; detail holds all."""
        culprits = self.culprits
        if culprits:
            raise Refused(
                "LOOK_AHEAD",
                culprits[0].told(),
                "Use windows that end at the current bar: no center=True, no shift(-n), no bfill().",
                detail={"indicators": [msgspec.to_builtins(culprit) for culprit in culprits]},
            )


def examine(
    sandbox: LocalSandbox,
    source: bytes,
    params: Mapping[str, Scalar],
    instrument: Instrument,
    timeframe: str,
    seed: int,
    bars: Sequence[Bar],
) -> Examination:
    """Examine every `self.ta` declaration on the first MAX_BARS bars. A file that fails is left to its run."""
    added = source + _ADDED
    if len(added) > MAX_SOURCE:
        return Examination(problem=f"indicators were not examined: {len(source)} bytes leave no room for it")
    try:
        runner = sandbox.start_run(
            added,
            hashlib.sha256(added).hexdigest(),
            params,
            instrument,
            timeframe,
            seed,
            _LIMITS,
            run="examine",
        )
        runner.warm(bars[:MAX_BARS])
        logs = runner.stop()
    except RunnerEnded as error:
        return Examination(problem=f"indicators were not examined: {error.message}")
    try:
        head = msgspec.json.decode(logs[0], type=_Head)
        found = tuple(msgspec.json.decode(line, type=Indicator) for line in logs[1:])
    except (msgspec.MsgspecError, IndexError):
        return Examination(problem="indicators were not examined: the file answered otherwise than asked")
    missed = head.declared - len(found)
    return Examination(found, head.longest, f"{missed} indicators were not examined" if missed else "")


def _value(value: float | None) -> str:
    return "no value" if value is None else f"{value:.6g}"


def _share(value: float | None) -> str:
    return "much" if value is None else f"{value:.1e}"
