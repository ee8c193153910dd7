"""Random strategies on random bars with gaps: backtest, paper and replay agree, entry for entry."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.genomes import GENOME, backtest, bars_of, spec_of, write_bars
from support.installation import Installation

from inalpha.kernel.replay import rebuild
from inalpha.kernel.spec import RunSpec
from inalpha.ledger.readers import read_texts
from inalpha.risk.engine import RiskEngine
from inalpha.risk.guard import PositionGuard
from inalpha.risk.rules import default_rules, load_rules
from runners.local import LocalSandbox

AT_ONCE = 8
# Nothing that one run of the account does may stand in another's way: a backtest knows one run.
ROOMY = """
schema = 1
[controls]
max_order = {equity_pct = 100}
max_position = {symbol_pct = 100, gross_pct = 100, net_pct = 100}
order_rate = {per_bar = 16, per_hour = 10000, per_day = 10000}
repeated_execution = {entries = 10000}
daily_loss = {pct = 100}
drawdown = {pct = 100}
"""

COMMITMENT = re.compile(r'"([0-9a-f]{64})"')


@pytest.fixture(scope="module")
def sandbox() -> Iterator[LocalSandbox]:
    with LocalSandbox() as made:
        yield made


@pytest.mark.parametrize("count", [80, pytest.param(200, marks=pytest.mark.campaign)])
def test_random_strategies_replay_to_the_same_head(sandbox: LocalSandbox, tmp_path: Path, count: int) -> None:
    """Under the shipped rules; the replay asks a fresh sandboxed runner for every reply again."""
    rules = default_rules()
    traded = denied = 0
    for seed in range(count):
        data = bars_of(write_bars(tmp_path / "bars.csv", seed))
        spec = spec_of(seed, data, rules)
        result, entries = backtest(spec, data, rules, sandbox)
        assert not result.error, (seed, result.error)
        runner = sandbox.start_run(
            GENOME.read_bytes(), spec.strategy_sha256, dict(spec.params), spec.instrument, "1h", spec.seed
        )
        again = rebuild(spec, RiskEngine(rules), entries, runner, guard=PositionGuard(rules))
        runner.kill()
        assert again.head == result.head, seed
        traded += bool(result.fills)
        denied += bool(result.denials)
    # A property that holds because nothing happens is none.
    assert traded > count * 0.75 and denied > count * 0.1


def paper(home: Installation, candidate: str, seeds: range, folder: Path) -> dict[int, str]:
    """Start one run per seed, each on its own symbol and bars, and wait for all. Answers the run's names."""
    runs: dict[int, str] = {}
    for seed in seeds:
        bars = write_bars(folder / f"bars-{seed}.csv", seed)
        runs[seed] = home.json(
            "run", "start", candidate, "--symbol", f"RND{seed}", "--timeframe", "1h", "--allocation", "100000",
            "--feed", f"replay:{bars}@max", "--param", f"genome={seed}",
        )["run"]  # fmt: skip
    for run in runs.values():
        home("run", "wait", run, "--timeout", "120")
    return runs


def journal(home: Installation, run: str) -> list[dict[str, Any]]:
    """With the words behind the commitments that stand for a strategy's reasons."""
    entries = [json.loads(line) for line in home("run", "log", run, "--json").splitlines()]
    words = read_texts(home.home, set(COMMITMENT.findall(json.dumps([entry["output"] for entry in entries]))))
    for entry in entries:
        told = COMMITMENT.sub(lambda found: json.dumps(words[found[1]]), json.dumps(entry["output"]))
        entry["output"] = json.loads(told)
    return entries


def check(home: Installation, run: str, seed: int, folder: Path, sandbox: LocalSandbox) -> int:
    """The run's recorded outputs against a backtest of its bars; `replay` and `parity` by the command line."""
    rules = load_rules(home.home / "risk.toml", "alice")
    recorded = journal(home, run)
    spec = RunSpec.from_header(json.dumps(recorded[0]["input"]))
    _, entries = backtest(spec, bars_of(folder / f"bars-{seed}.csv"), rules, sandbox)
    ours = [(entry.bar, json.loads(entry.output)) for entry in entries if entry.kind == "bar"]
    theirs = [(entry["bar"], entry["output"]) for entry in recorded if entry["kind"] == "bar"]
    assert len(ours) == 120 and theirs == ours, seed
    assert home.json("replay", run)["divergence"] is None, seed
    assert home.json("parity", run)["differences"] == [], seed
    return sum("fills" in output for _, output in ours)


@pytest.mark.parametrize("count", [2, pytest.param(200, marks=pytest.mark.campaign)], ids=["short", "whole"])
def test_random_strategies_trade_on_paper_as_they_were_backtested(
    installation: Installation, sandbox: LocalSandbox, tmp_path: Path, count: int
) -> None:
    home = installation
    (home.home / "risk.toml").write_text(ROOMY)
    home("risk", "apply")
    candidate = home.promote(GENOME)
    fills = 0
    for first in range(0, count, AT_ONCE):
        runs = paper(home, candidate, range(first, min(first + AT_ONCE, count)), tmp_path)
        fills += sum(check(home, run, seed, tmp_path, sandbox) for seed, run in runs.items())
    assert fills > count
    home("audit", "verify")
