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
from dataclasses import asdict
from pathlib import Path
from typing import Any

import msgspec

from inalpha.data import bundled
from inalpha.kernel.records import JournalEntry
from inalpha.kernel.spec import RunSpec
from inalpha.market.bars import BarData, load_bars
from inalpha.model.errors import InalphaError
from inalpha.model.instrument import Instrument
from inalpha.model.money import E8
from inalpha.research.backtest import BacktestResult
from inalpha.research.causality import examine
from inalpha.research.determinism import hash_seeds, parted
from inalpha.research.difference import first_parting
from inalpha.research.figures import Tried, figures
from inalpha.research.trial import Trial
from inalpha.risk.rules import default_rules
from inalpha.strategy.lint import lint
from runners.local import LocalSandbox

CASH_E8 = 100_000 * E8
MIN_BARS = 300
PREFIXES = 8
# Prefixes end within the first bars: what looks ahead does so everywhere, and a person is waiting.
PREFIX_BARS = 1000


def judge(source: bytes, bars_path: Path | None, tried: Sequence[Tried] = ()) -> dict[str, Any]:
    """Every check with its outcome. passed is false as soon as one that blocks has failed.

    tried: what else its submitter has had judged.
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
        data = _load(bars_path)
        evidence["data"] = {
            "sha256": data.sha256,
            "bars": len(data.bars),
            "name": data.path.name,
            "symbol": data.instrument.symbol,
            "timeframe": data.timeframe.name,
        }
        passed = check("bars", len(data.bars) >= MIN_BARS, f"{len(data.bars)} bars, {MIN_BARS} are needed")
        passed = passed and _run_checks(source, data, tried, evidence, check)
    except InalphaError as error:
        check("contract", False, f"{error.code}: {error.message}")
        passed = False
    return {**evidence, "passed": passed}


def _load(path: Path | None) -> BarData:
    if path is None:
        return load_bars(bundled("GOOG"), Instrument("GOOG", calendar="weekdays"))
    return load_bars(path)


def _run_checks(
    source: bytes, data: BarData, tried: Sequence[Tried], evidence: dict[str, Any], check: Any
) -> bool:
    """Contract, determinism, causality, then the figures, which warn and never block."""
    seeds = hash_seeds(source)
    first, second = LocalSandbox(), LocalSandbox(hash_seed=seeds[0])
    second.begin()

    def others() -> Generator[tuple[int, LocalSandbox], None, None]:
        yield seeds[0], second
        for seed in seeds[1:]:
            with LocalSandbox(hash_seed=seed) as sandbox:
                yield seed, sandbox

    def run(sandbox: LocalSandbox, said: list[JournalEntry]) -> BacktestResult:
        return _backtest(source, data, len(data.bars), sandbox, said)

    with first, second:
        check("sandbox", True, f"level {first.evidence.level}")
        entries: list[JournalEntry] = []
        result = run(first, entries)
        told = result.error or f"{len(data.bars)} bars, {len(result.fills)} fills"
        if not check("contract", not result.error, told):
            return False
        with closing(others()) as sandboxes:
            chance = parted(run, first, sandboxes, result, entries, evidence["findings"])
        told = f"head {result.head[:12]} in {len(seeds) + 1} runs with other hash seeds and starts"
        if not check("determinism", chance == "", chance or told):
            return False
        spec = make_spec(source, data)
        examined = examine(first, source, {}, spec.instrument, spec.timeframe, spec.seed, data.bars)
        culprits = [culprit.told() for culprit in examined.culprits]
        acausal = " ".join(culprits) or _first_acausal(source, data, first, entries)
        told = f"{PREFIXES} prefixes agree, {len(examined.indicators)} indicators examined"
        if not check("causality", acausal == "", acausal or told):
            return False
        found = figures(result, _trial(source, data, first), tried)
    for name, told in found.told:
        check(name, True, told)
    evidence |= found.evidence
    evidence["head"] = result.head
    evidence["params"] = dict(result.spec.params)
    evidence["indicators"] = [msgspec.to_builtins(indicator) for indicator in examined.indicators]
    evidence["warnings"] = [*result.warnings, *found.warnings, *examined.warnings]
    return True


def make_spec(source: bytes, data: BarData) -> RunSpec:
    """The run that a candidate is judged by: default parameters, fees and rules."""
    return RunSpec(
        run="gate",
        strategy_sha256=hashlib.sha256(source).hexdigest(),
        symbol=data.instrument.symbol,
        timeframe=data.timeframe.name,
        instrument=data.instrument,
        opening_cash_e8=CASH_E8,
        data_sha256=data.sha256,
        rules_sha256=default_rules().sha256,
    )


def _trial(source: bytes, data: BarData, sandbox: LocalSandbox) -> Trial:
    return Trial(sandbox, source, make_spec(source, data), default_rules())


def _backtest(
    source: bytes, data: BarData, count: int, sandbox: LocalSandbox, entries: list[JournalEntry]
) -> BacktestResult:
    return _trial(source, data, sandbox).run(data.bars[:count], journal=entries.append)


def _first_acausal(source: bytes, data: BarData, sandbox: LocalSandbox, whole: list[JournalEntry]) -> str:
    """Where a truncated prefix was answered otherwise than the full run, in words; "" where nowhere."""
    for part in range(1, PREFIXES + 1):
        count = max(1, min(len(data.bars), PREFIX_BARS) * part // (PREFIXES + 1))
        entries: list[JournalEntry] = []
        _backtest(source, data, count, sandbox, entries)
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
    evidence = judge(base64.b64decode(request["source"]), bars, tried)
    sys.stdout.write(json.dumps(evidence, ensure_ascii=False, default=str))
    return 0


if __name__ == "__main__":
    sys.exit(main())
