"""Everything about a run that is fixed before its first bar; the journal's header."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field

from inalpha.kernel import version
from inalpha.kernel.costs import FeeModel, SlippageModel
from inalpha.kernel.journal import canonical
from inalpha.model.instrument import Instrument
from inalpha.model.risk import TRIAL
from inalpha.model.timeframe import TIMEFRAMES_NS
from inalpha.model.version import VERSION

ParamValue = int | str | bool | float

_MIN_LAG_NS = 30_000_000_000


@dataclass(frozen=True, slots=True)
class RunSpec:
    """What the mandate or the command line fixes. Equal specs and inputs give an equal head.

    fill: next_open or same_close. limit_fill: touch, or through (a touch does not suffice).
    participation_cap_e8: largest share of a bar's volume that one fill takes, in 1e-8; None = no cap.
    venue: where its bars come from, as its mandate names the feed's kind; TRIAL for a backtest, which has none.
    """

    run: str
    strategy_sha256: str
    symbol: str
    timeframe: str
    instrument: Instrument
    opening_cash_e8: int
    fill: str = "next_open"
    fee: FeeModel = field(default_factory=FeeModel)
    slippage: SlippageModel = field(default_factory=SlippageModel)
    params: Mapping[str, ParamValue] = field(default_factory=dict)
    approval: str = "machine"
    allow_short: bool = False
    warmup: int = 0
    max_lag_ns: int | None = None
    limit_fill: str = "touch"
    participation_cap_e8: int | None = None
    data_sha256: str = ""
    mandate_sha256: str = ""
    rules_sha256: str = ""
    venue: str = TRIAL

    def __post_init__(self) -> None:
        for name, value, allowed in (
            ("fill", self.fill, ("next_open", "same_close")),
            ("approval", self.approval, ("machine", "human")),
            ("limit_fill", self.limit_fill, ("touch", "through")),
            ("timeframe", self.timeframe, tuple(TIMEFRAMES_NS)),
        ):
            if value not in allowed:
                raise ValueError(f"{name} {value!r} is none of {', '.join(allowed)}")
        if self.opening_cash_e8 < 0:
            raise ValueError("opening cash is below zero")

    @property
    def timeframe_ns(self) -> int:
        return TIMEFRAMES_NS[self.timeframe]

    @property
    def lag_limit_ns(self) -> int:
        """Above this lag a decision counts as made on a stale bar."""
        return max(_MIN_LAG_NS, self.timeframe_ns // 10) if self.max_lag_ns is None else self.max_lag_ns

    @property
    def seed(self) -> int:
        """Seed of the strategy's generators: the same for backtest, paper and replay of one candidate."""
        text = canonical([self.strategy_sha256, dict(self.params), self.symbol, self.timeframe])
        return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1

    def header(self) -> str:
        """Canonical JSON of every member and the versions."""
        instrument = self.instrument
        return canonical(
            {
                "version": VERSION,
                "kernel": version.KERNEL_VERSION,
                "run": self.run,
                "strategy_sha256": self.strategy_sha256,
                "symbol": self.symbol,
                "timeframe": self.timeframe,
                "instrument": {
                    "symbol": instrument.symbol,
                    "tick_e8": instrument.tick_e8,
                    "lot_e8": instrument.lot_e8,
                    "currency": instrument.currency,
                    "calendar": instrument.calendar,
                    "min_notional_e8": instrument.min_notional_e8,
                },
                "opening_cash_e8": self.opening_cash_e8,
                "opening_position": 0,
                "fill": self.fill,
                "fee": [self.fee.kind, self.fee.amount_e8],
                "slippage": [self.slippage.kind, self.slippage.amount_e8],
                "params": dict(self.params),
                "approval": self.approval,
                "allow_short": self.allow_short,
                "warmup": self.warmup,
                "max_lag_ns": self.max_lag_ns,
                "limit_fill": self.limit_fill,
                "participation_cap_e8": self.participation_cap_e8,
                "data_sha256": self.data_sha256,
                "mandate_sha256": self.mandate_sha256,
                "rules_sha256": self.rules_sha256,
                "venue": self.venue,
            }
        )

    @classmethod
    def from_header(cls, text: str) -> RunSpec:
        """The spec that a journal's first entry holds. Raises OtherKernel, ValueError or KeyError."""
        version.check_version(text)
        data = json.loads(text)
        for name in ("kernel", "version", "opening_position"):
            data.pop(name)
        data["instrument"] = Instrument(**data["instrument"])
        data["fee"] = FeeModel(*data["fee"])
        data["slippage"] = SlippageModel(*data["slippage"])
        return cls(**data)
