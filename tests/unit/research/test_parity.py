"""`parity`: what a backtest of a run's own bars must agree with, and what may differ with a name."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import replace

import pytest
from msgspec import structs
from support.reference_bars import reference_bars

from inalpha.kernel.gateway import DirectGateway, gateway_for
from inalpha.kernel.kernel import Kernel
from inalpha.kernel.records import JournalEntry
from inalpha.kernel.spec import RunSpec
from inalpha.model.instrument import Instrument
from inalpha.research.reexecute import RunRecord, limits_of, parity_run
from inalpha.risk.account import AccountBook
from inalpha.risk.engine import RiskEngine
from inalpha.risk.guard import PositionGuard
from inalpha.risk.rules import default_rules
from runners.local import LocalSandbox

WARM, OWN = 200, 60
CASH_E8 = 100_000 * 10**8
SOURCE = b"""from inalpha import SMA, Strategy


class Cross(Strategy):
    def on_start(self):
        self.calm = self.indicator(SMA(150))

    def on_bar(self, bar):
        if not self.calm.ready or self.orders:
            return
        if self.position.is_flat:
            self.buy(10, reason="ready")
        else:
            self.close(reason="out")
"""
SHA256 = hashlib.sha256(SOURCE).hexdigest()


@pytest.fixture(scope="module")
def sandbox() -> Iterator[LocalSandbox]:
    with LocalSandbox() as made:
        yield made


def recorded(sandbox: LocalSandbox, *, approval: str = "machine", fill: str = "next_open") -> RunRecord:
    """A run as the daemon journals one: a warm-up of 200 bars, then 60 of its own."""
    bars, instrument = reference_bars(WARM + OWN), Instrument("REF")
    rules = default_rules()
    spec = RunSpec(
        "run-1", SHA256, instrument.symbol, "1m", instrument, CASH_E8, fill=fill, approval=approval
    )
    entries: list[JournalEntry] = []
    gateway = DirectGateway() if approval == "machine" else gateway_for(approval)
    kernel = Kernel(spec, RiskEngine(rules), gateway, journal=entries.append, guard=PositionGuard(rules))
    runner = sandbox.start_run(
        SOURCE, spec.strategy_sha256, {}, instrument, spec.timeframe, spec.seed, limits_of(rules), run="run-1"
    )
    account = AccountBook("alice", CASH_E8, rules)
    account.open_book("run-1", spec.symbol)
    kernel.warm(bars[:WARM])
    runner.warm(bars[:WARM])
    for at, bar in enumerate(bars[WARM:]):
        own = structs.replace(bar, sequence=at)
        request = kernel.begin(own, own.close_time_ns, account.context("run-1"))
        account.begin("run-1", kernel.mark(), kernel.claim)
        result = kernel.finish(kernel.ask(request, runner), account.context("run-1"))
        account.mark("run-1", kernel.mark(result.closed))
        if approval == "human" and result.decisions:
            break
    runner.kill()
    kernel.chain.flush()
    return RunRecord("run-1", spec, rules, SOURCE, tuple(entries), kernel.head)


def test_a_warmed_run_trades_the_same_from_its_first_bar(sandbox: LocalSandbox) -> None:
    equal, differences = parity_run(recorded(sandbox), sandbox)
    assert equal > 10
    assert differences == []


def test_without_its_warm_up_the_same_run_differs(sandbox: LocalSandbox) -> None:
    record = recorded(sandbox)
    cold = replace(record, entries=tuple(entry for entry in record.entries if entry.kind != "warmup"))
    _, differences = parity_run(cold, sandbox)
    assert any(not item.why for item in differences)


@pytest.mark.parametrize("fill", ["next_open", "same_close"])
def test_a_plan_that_waits_on_the_last_bar_is_no_difference(sandbox: LocalSandbox, fill: str) -> None:
    record = recorded(sandbox, approval="human", fill=fill)
    assert "pending" in record.entries[-1].output
    assert parity_run(record, sandbox) == (0, [])


def test_an_end_by_the_accounts_cash_explains_a_missing_fill(sandbox: LocalSandbox) -> None:
    record = recorded(sandbox)
    entries = list(record.entries)
    at = next(place for place, entry in enumerate(entries) if '"fills"' in entry.output)
    output = json.loads(entries[at].output)
    (fill,) = output.pop("fills")
    output["ends"] = [[fill[0], None, "cancelled", "ACCOUNT_CASH"]]
    entries[at] = structs.replace(entries[at], output=json.dumps(output))
    equal, differences = parity_run(replace(record, entries=tuple(entries)), sandbox)
    assert equal > 10
    assert [(item.recorded, "ACCOUNT_CASH" in item.why) for item in differences] == [(None, True)]
