"""What a run of a candidate would have: its instrument, the account's costs and leave to short, the rules."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from inalpha.kernel.spec import RunSpec
from inalpha.model.instrument import Instrument
from inalpha.model.money import E8
from inalpha.risk.rules import Rules, default_rules, rules_from_canonical

CASH_E8 = 100_000 * E8
BUNDLED = Instrument("GOOG", calendar="weekdays")  # of the bars that are there where nobody brings any


@dataclass(frozen=True, slots=True)
class Terms:
    """spec: the judged run, but for what its source and bars decide.

    keep_tick: the tick was stated, so finer prices are refused as a run refuses them. notes: what the author has
    to do for a run to have the same.
    """

    spec: RunSpec
    rules: Rules
    keep_tick: bool = False
    notes: tuple[str, ...] = ()

    @classmethod
    def default(cls, instrument: Instrument) -> Terms:
        """Those of a home that changed nothing."""
        rules = default_rules()
        return cls(judged(instrument, rules), rules)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Terms:
        spec, rules = RunSpec.from_header(data["header"]), rules_from_canonical(data["rules"])
        return cls(spec, rules, bool(data["keep_tick"]), tuple(data["notes"]))

    def as_dict(self) -> dict[str, Any]:
        return {
            "header": self.spec.header(),
            "rules": self.rules.canonical,
            "keep_tick": self.keep_tick,
            "notes": self.notes,
        }


def judged(instrument: Instrument, rules: Rules, **members: Any) -> RunSpec:
    """A run with default parameters; its strategy, bars and timeframe are filled in by who judges."""
    return RunSpec(
        run="gate",
        strategy_sha256="",
        symbol=instrument.symbol,
        timeframe="1d",
        instrument=instrument,
        opening_cash_e8=CASH_E8,
        rules_sha256=rules.sha256,
        **members,
    )
