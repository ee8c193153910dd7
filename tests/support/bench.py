"""A kernel with a scripted strategy over hand-written bars."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from inalpha.kernel.gateway import NoRisk, gateway_for
from inalpha.kernel.guard import Guard
from inalpha.kernel.kernel import Kernel
from inalpha.kernel.records import Command, CommandResult, Fill, JournalEntry, OrderEnd, StepResult
from inalpha.kernel.spec import RunSpec
from inalpha.model.bar import Bar
from inalpha.model.instrument import Instrument
from inalpha.model.money import E8
from inalpha.model.risk import AccountContext, RiskCheck
from inalpha.model.step import Intent, StepReply, StepRequest
from inalpha.model.timeframe import TIMEFRAMES_NS

START_NS = 1_577_836_800_000_000_000  # 2020-01-01, a Wednesday
VOLUME_E8 = 1_000_000 * E8
CONTEXT = AccountContext(10**14)

Prices = tuple[int, int, int, int]
Script = Mapping[int, Sequence[Mapping[str, Any]]]


def make_bar(prices: Prices, sequence: int, timeframe: str = "1m", volume_e8: int = VOLUME_E8) -> Bar:
    """Prices in whole units of 1 (100 ticks), or ticks where the spec says so."""
    length = TIMEFRAMES_NS[timeframe]
    start = START_NS + sequence * length
    open_, high, low, close = prices
    return Bar(start, start + length, open_, high, low, close, volume_e8, sequence)


def make_spec(**changes: Any) -> RunSpec:
    members: dict[str, Any] = {
        "run": "test",
        "strategy_sha256": "0" * 64,
        "symbol": "TEST",
        "timeframe": "1m",
        "instrument": Instrument("TEST"),
        "opening_cash_e8": 100_000 * E8,
    }
    return RunSpec(**{**members, **changes})


class ScriptedRunner:
    """Answers bar n with the intents of script[n]; keeps every request."""

    def __init__(self, script: Script) -> None:
        self.script = script
        self.requests: list[StepRequest] = []

    def step(self, request: StepRequest) -> StepReply:
        self.requests.append(request)
        asked = self.script.get(request.seq, ())
        return StepReply(request.seq, tuple(intent(n, **members) for n, members in enumerate(asked)))


def intent(n: int, **members: Any) -> Intent:
    """An intent from `side, quantity, limit...`; the type follows from the prices."""
    if "cancel" in members:
        return Intent(n, "cancel", cancel=members["cancel"])
    return Intent(n, members.pop("action", "order"), **{"quantity": "1", **members})


def buy(quantity: str = "1", **members: Any) -> dict[str, Any]:
    return {"side": "buy", "quantity": quantity, **members}


def sell(quantity: str = "1", **members: Any) -> dict[str, Any]:
    return {"side": "sell", "quantity": quantity, **members}


@dataclass
class Bench:
    """A run under test. Bars are given as prices in ticks and numbered as they come."""

    spec: RunSpec
    script: Script
    risk: RiskCheck = field(default_factory=NoRisk)
    context: AccountContext = CONTEXT
    guard: Guard | None = None
    entries: list[JournalEntry] = field(default_factory=list)
    results: list[StepResult] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.runner = ScriptedRunner(self.script)
        gateway = gateway_for(self.spec.approval)
        self.kernel = Kernel(self.spec, self.risk, gateway, journal=self.entries.append, guard=self.guard)

    def feed(self, *prices: Prices, lag_ns: int = 0, volume_e8: int = VOLUME_E8) -> StepResult:
        for one in prices:
            bar = make_bar(one, self.kernel.bars, self.spec.timeframe, volume_e8)
            received = bar.close_time_ns + lag_ns
            self.results.append(self.kernel.step(bar, received, self.context, self.runner))
        return self.results[-1]

    def command(self, kind: str, at_ns: int | None = None, **members: Any) -> CommandResult:
        return self.kernel.command(Command(kind, at_ns or self.kernel.now_ns, **members), self.context)

    @property
    def fills(self) -> list[Fill]:
        return [fill for result in self.results for fill in result.fills]

    @property
    def ends(self) -> list[OrderEnd]:
        return [end for result in self.results for end in result.ended]

    def prices(self) -> list[tuple[int, int]]:
        """(bar, price) of every fill."""
        return [(fill.bar, fill.price_ticks) for fill in self.fills]


def bench(script: Script, *prices: Prices, **spec: Any) -> Bench:
    """Build and feed in one go."""
    made = Bench(make_spec(**spec), script)
    if prices:
        made.feed(*prices)
    return made
