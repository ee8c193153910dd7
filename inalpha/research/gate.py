"""The candidate gate: evidence produced twice in the sandbox, before a person is asked.

`python -m inalpha.research.gate` reads one request on stdin and prints one object of evidence. It runs as a
process of its own, so a candidate's evaluation can neither slow nor stop the daemon.
"""

from __future__ import annotations

import base64
import hashlib
import json
import sys
from collections.abc import Generator, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import msgspec

from inalpha.data import bundled
from inalpha.kernel.records import JournalEntry
from inalpha.kernel.spec import RunSpec
from inalpha.market.bars import BarData, load_bars, symbol_of
from inalpha.model.bar import Bar
from inalpha.model.errors import InalphaError
from inalpha.model.instrument import Instrument
from inalpha.research.backtest import BacktestResult
from inalpha.research.causality import examine
from inalpha.research.determinism import hash_seeds, parted
from inalpha.research.difference import first_parting
from inalpha.research.figures import Tried, figures
from inalpha.research.outcomes import all_denied, is_denied_by_rules, outcomes, reasons
from inalpha.research.terms import BUNDLED, Terms
from inalpha.research.trial import Trial
from inalpha.strategy.lint import lint
from runners.local import LocalSandbox

MIN_BARS = 300
PREFIXES = 8
# Prefixes end within the first bars: what looks ahead does so everywhere, and a person is waiting.
PREFIX_BARS = 1000


def judge(
    source: bytes, bars_path: Path | None, tried: Sequence[Tried] = (), terms: Terms | None = None
) -> dict[str, Any]:
    """Every check with its outcome. passed is false as soon as one that blocks has failed.

    bars_path: None is the bundled series. tried: what else its submitter has had judged. terms: what a run of it
    would have, such as its lot; else the file's name with every default.
    """
    findings = lint(source)
    evidence: dict[str, Any] = {
        "version": 1,
        "findings": [asdict(finding) for finding in findings],
        "checks": [],
    }

    def check(name: str, passed: bool, detail: str) -> bool:
        evidence["checks"].append({"name": name, "passed": passed, "detail": detail})
        return passed

    errors = [finding for finding in findings if finding.level == "error"]
    told = errors[0].message if errors else f"{len(findings)} notes"
    if not check("lint", not errors, told):
        return {**evidence, "passed": False}
    try:
        terms = terms or Terms.default(Instrument(symbol_of(bars_path)) if bars_path else BUNDLED)
        data = _load(bars_path, terms)
        evidence["data"] = {
            "sha256": data.sha256,
            "bars": len(data.bars),
            "name": data.path.name,
            "symbol": data.instrument.symbol,
            "timeframe": data.timeframe.name,
            "tick": data.instrument.price_text(1),
            "lot": data.instrument.quantity_text(1),
            "calendar": data.instrument.calendar,
        }
        passed = check("bars", len(data.bars) >= MIN_BARS, f"{len(data.bars)} bars, {MIN_BARS} are needed")
        passed = passed and _run_checks(source, _Market(data, terms), tried, evidence, check)
    except InalphaError as error:
        check("contract", False, f"{error.code}: {error.message} {error.fix}".rstrip())
        passed = False
    return {**evidence, "passed": passed}


def _load(path: Path | None, terms: Terms) -> BarData:
    if path is None:
        return load_bars(bundled(BUNDLED.symbol), terms.spec.instrument)
    return load_bars(path, terms.spec.instrument, keep_tick=terms.keep_tick)


@dataclass(frozen=True, slots=True)
class _Market:
    """What a candidate is judged on: the bars, and the terms of a run on them."""

    data: BarData
    terms: Terms

    @property
    def bars(self) -> Sequence[Bar]:
        return self.data.bars


def _run_checks(
    source: bytes, market: _Market, tried: Sequence[Tried], evidence: dict[str, Any], check: Any
) -> bool:
    """Contract, determinism, causality, then the figures, which warn and never block."""
    seeds = hash_seeds(source)
    bars = market.bars
    first, second = LocalSandbox(), LocalSandbox(hash_seed=seeds[0])
    second.begin()

    def others() -> Generator[tuple[int, LocalSandbox], None, None]:
        yield seeds[0], second
        for seed in seeds[1:]:
            with LocalSandbox(hash_seed=seed) as sandbox:
                yield seed, sandbox

    def run(sandbox: LocalSandbox, said: list[JournalEntry]) -> BacktestResult:
        return _backtest(source, market, len(bars), sandbox, said)

    with first, second:
        check("sandbox", True, f"level {first.evidence.level}")
        entries: list[JournalEntry] = []
        result = run(first, entries)
        evidence["orders"] = [ended.as_dict() for ended in outcomes(result)]
        if result.error:
            check("contract", False, result.error)
            return False
        with closing(others()) as sandboxes:
            chance = parted(run, first, sandboxes, result, entries, evidence["findings"])
        # A size that chance draws may be denied each time: then the chance is what has to be told.
        if all_denied(result) and not chance:
            check("contract", False, _nothing_traded(result))
            return False
        check("contract", True, f"{len(bars)} bars, {len(result.fills)} fills")
        told = f"head {result.head[:12]} in {len(seeds) + 1} runs with other hash seeds and starts"
        if not check("determinism", chance == "", chance or told):
            return False
        trial = _trial(source, market, first)
        spec = trial.spec
        examined = examine(first, source, {}, spec.instrument, spec.timeframe, spec.seed, bars)
        culprits = [culprit.told() for culprit in examined.culprits]
        acausal = " ".join(culprits) or _first_acausal(source, market, first, entries)
        told = f"{PREFIXES} prefixes agree, {len(examined.indicators)} indicators examined"
        if not check("causality", acausal == "", acausal or told):
            return False
        found = figures(result, trial, tried)
    for name, told in found.told:
        check(name, True, told)
    evidence |= found.evidence
    evidence["head"] = result.head
    evidence["params"] = dict(result.spec.params)
    evidence["indicators"] = [msgspec.to_builtins(indicator) for indicator in examined.indicators]
    evidence["warnings"] = [*market.terms.notes, *result.warnings, *found.warnings, *examined.warnings]
    return True


def _nothing_traded(result: BacktestResult) -> str:
    """Every order was denied: by which code, what to write instead, and the way on that is not in the file."""
    told = f"nothing of it was seen to trade: {' '.join(reasons(result))}"
    if is_denied_by_rules(result):
        return f"{told} Or loosen that rule: inalpha risk apply."
    if "BELOW_LOT" in result.denials:
        return f"{told} A run reads its lot under [instruments.{result.spec.symbol}] in inalpha.toml."
    return told


def make_spec(source: bytes, data: BarData, terms: Terms | None = None) -> RunSpec:
    """The run that a candidate is judged by: default parameters under the terms that a run would have."""
    return replace(
        (terms or Terms.default(data.instrument)).spec,
        strategy_sha256=hashlib.sha256(source).hexdigest(),
        symbol=data.instrument.symbol,
        timeframe=data.timeframe.name,
        instrument=data.instrument,
        data_sha256=data.sha256,
    )


def _trial(source: bytes, market: _Market, sandbox: LocalSandbox) -> Trial:
    return Trial(sandbox, source, make_spec(source, market.data, market.terms), market.terms.rules)


def _backtest(
    source: bytes, market: _Market, count: int, sandbox: LocalSandbox, entries: list[JournalEntry]
) -> BacktestResult:
    return _trial(source, market, sandbox).run(market.bars[:count], journal=entries.append)


def _first_acausal(source: bytes, market: _Market, sandbox: LocalSandbox, whole: list[JournalEntry]) -> str:
    """Where a truncated prefix was answered otherwise than the full run, in words; "" where nowhere."""
    for part in range(1, PREFIXES + 1):
        count = max(1, min(len(market.bars), PREFIX_BARS) * part // (PREFIXES + 1))
        entries: list[JournalEntry] = []
        _backtest(source, market, count, sandbox, entries)
        found = first_parting(whole, entries, count)
        if found is not None:
            return (
                f"{found.told('the full run', f'one of {count} bars')}."
                " What is said on a bar must not depend on the bars behind it."
            )
    return ""


def main() -> int:
    request = json.load(sys.stdin)
    bars = Path(request["bars"]) if request.get("bars") else None
    tried = [Tried.from_dict(item) for item in request.get("tried", [])]
    terms = Terms.from_dict(request["terms"]) if request.get("terms") else None
    evidence = judge(base64.b64decode(request["source"]), bars, tried, terms)
    sys.stdout.write(json.dumps(evidence, default=str))
    return 0


if __name__ == "__main__":
    sys.exit(main())
