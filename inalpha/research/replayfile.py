"""A backtest's journal file executed again: with its recorded replies, or asking its strategy for each anew."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from inalpha.kernel.gateway import NoRisk
from inalpha.kernel.kernel import Runner
from inalpha.kernel.records import JournalEntry
from inalpha.kernel.replay import Divergence, rebuild
from inalpha.kernel.spec import RunSpec
from inalpha.model.errors import Refused
from inalpha.model.risk import RiskCheck
from inalpha.model.runner import RunnerEnded
from inalpha.research.reexecute import Replayed, limits_of
from inalpha.research.report import journal_spec, read_journal
from inalpha.risk.engine import RiskEngine
from inalpha.risk.guard import PositionGuard
from inalpha.risk.rules import Rules
from runners.local import LocalSandbox


def read_file(path: Path) -> tuple[RunSpec, tuple[JournalEntry, ...]]:
    """The run and its entries. Raises IntegrityError for a file that is no journal."""
    entries = tuple(read_journal(path))
    return journal_spec(entries), entries


def replay_file(
    spec: RunSpec,
    entries: tuple[JournalEntry, ...],
    rules: Rules | None,
    runner: Runner | None,
    expected_head: str | None,
) -> Replayed:
    """Feed back every input and compare every output. runner None: the recorded replies count as given.

    expected_head: what report.json says; a file that was cut ends in another.
    """
    bars = sum(entry.kind == "bar" for entry in entries)
    risk: RiskCheck = RiskEngine(rules) if rules else NoRisk()
    guard = PositionGuard(rules) if rules else None
    try:
        kernel = rebuild(spec, risk, entries, runner, guard=guard)
        if expected_head is not None and kernel.head != expected_head:
            raise Divergence(len(entries) - 1, entries[-1].kind, "head", expected_head, kernel.head)
    except Divergence as error:
        names = ("step", "kind", "field", "recorded", "recomputed")
        return Replayed(bars, {name: getattr(error, name) for name in names})
    except RunnerEnded as error:
        found: dict[str, object] = {
            "step": bars, "kind": "bar", "field": "reply", "recorded": "a reply", "recomputed": error.message
        }  # fmt: skip
        return Replayed(bars, found)
    return Replayed(bars, None)


def reported_head(journal: Path) -> str | None:
    """The head that the report beside a journal states; None without a readable report."""
    try:
        found = json.loads((journal.parent / "report.json").read_text(encoding="utf-8")).get("head")
    except (OSError, ValueError, AttributeError):
        return None
    return found if isinstance(found, str) else None


def rules_named(sha256: str, known: Callable[[], list[Rules]]) -> Rules | None:
    """The rules under which a journal was made, among those at hand; None for a run without risk."""
    if not sha256:
        return None
    for rules in known():
        if rules.sha256 == sha256:
            return rules
    raise Refused(
        "UNKNOWN_RULES",
        f"the journal was made under the rules {sha256[:12]}, which are neither the shipped ones nor this home's.",
        "Name the home whose risk.toml it was: --home DIR",
    )


def ask_again(spec: RunSpec, source: bytes, rules: Rules | None, sandbox: LocalSandbox) -> Runner:
    """A sandboxed runner of the strategy that the journal names. Raises Refused for another file."""
    return sandbox.start_run(
        source, spec.strategy_sha256, dict(spec.params), spec.instrument, spec.timeframe, spec.seed,
        limits_of(rules) if rules else None, run=spec.run,
    )  # fmt: skip
