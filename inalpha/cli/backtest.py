"""`backtest` and `lint`: a strategy file judged before anyone is asked to trust it."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from inalpha.cli.candidates import lint_or_refuse
from inalpha.cli.market import OTHER_LIMITS, market_options, run_spec
from inalpha.cli.options import json_option
from inalpha.cli.output import emit_json, on_terminal, plain, progress_bar, say
from inalpha.cli.runs import parse_params
from inalpha.kernel.gateway import NoRisk
from inalpha.kernel.spec import RunSpec
from inalpha.market.bars import BarData
from inalpha.model.errors import EXIT_REFUSED, InalphaError
from inalpha.model.money import text_from_e8
from inalpha.risk.rules import Rules

if TYPE_CHECKING:
    from inalpha.strategy.lint import Finding


@click.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False))
@market_options
@click.option("--param", "params", multiple=True, metavar="K=V")
@click.option("--out", type=click.Path(file_okay=False), metavar="DIR")
@json_option
@click.pass_context
def backtest(
    ctx: click.Context, /, file: str, params: tuple[str, ...], out: str | None, as_json: bool, **market: Any
) -> None:
    """Run FILE over CSV in the sandbox: the same kernel, matching and risk as on paper."""
    from inalpha.research.metrics import compute_metrics
    from inalpha.research.outcomes import is_denied_by_rules
    from inalpha.research.report import write_report
    from inalpha.research.text import report_lines

    source = Path(file).read_bytes()
    notes = lint_or_refuse(source)
    spec, data, rules = run_spec(ctx, "backtest", source, **market)
    spec = replace(spec, params=parse_params(params))
    result, elapsed = _run(spec, data, source, rules, Path(out) if out else None)
    if is_denied_by_rules(result):
        result.warnings.append(OTHER_LIMITS)
    metrics = compute_metrics(result)
    if out:
        write_report(result, Path(out))
    failed = None
    if result.error:
        failed = InalphaError("STRATEGY", f"the strategy failed: {result.error}.", "Mend that line.")
    if as_json:
        findings = [asdict(note) for note in notes]
        body = {**_summary(spec, data, result, metrics, elapsed, file), "findings": findings}
        # One object in any case: a failed strategy's figures stand beside the error.
        emit_json({**body, "error": failed.as_dict() if failed else None})
        ctx.exit(failed.exit_code if failed else 0)
    print_notes(notes)
    say(*report_lines(result, metrics))
    if rules is None:
        say("note: risk was off")
    if failed:
        raise failed


def print_notes(notes: Sequence[Finding]) -> None:
    """What lint found, on stderr: it explains figures and changes none."""
    for note in notes:
        say(f"line {note.line}: {plain(note.message)} {plain(note.fix)}".rstrip(), err=True)


def _run(
    spec: RunSpec, data: BarData, source: bytes, rules: Rules | None, out: Path | None
) -> tuple[Any, float]:
    from inalpha.research.backtest import run_backtest
    from inalpha.research.causality import examine
    from inalpha.research.reexecute import limits_of
    from inalpha.research.report import JOURNAL_NAME, JournalFile
    from inalpha.research.risk_account import RiskAccount
    from inalpha.risk.engine import RiskEngine
    from inalpha.risk.guard import PositionGuard
    from runners.local import LocalSandbox

    with ExitStack() as stack:
        lines = None
        if out is not None:
            out.mkdir(parents=True, exist_ok=True)
            lines = stack.enter_context(JournalFile(out / JOURNAL_NAME)).write
        sandbox = stack.enter_context(LocalSandbox())
        examined = examine(
            sandbox, source, dict(spec.params), spec.instrument, spec.timeframe, spec.seed, data.bars
        )
        examined.refuse_look_ahead()
        runner = sandbox.start_run(
            source, spec.strategy_sha256, dict(spec.params), spec.instrument, spec.timeframe, spec.seed,
            limits_of(rules) if rules else None,
        )  # fmt: skip
        spec = replace(spec, params=runner.params)
        show = None
        if on_terminal():
            progress = stack.enter_context(progress_bar(len(data.bars), "bars"))

            def show(done: int, total: int) -> None:
                progress(done)

        began = time.monotonic()
        result = run_backtest(
            spec,
            data.bars,
            runner,
            RiskEngine(rules) if rules else NoRisk(),
            RiskAccount(spec.run, spec.symbol, spec.opening_cash_e8, rules) if rules else None,
            show,
            lines=lines,
            guard=PositionGuard(rules) if rules else None,
        )
        elapsed = time.monotonic() - began
        gaps = [gap for gap in data.gaps if gap.cause != "holiday"]
        result.warnings.extend(examined.warnings)
        result.gaps, result.missing_bars = len(gaps), sum(gap.missing for gap in gaps)
        runner.kill()
    return result, elapsed


def _summary(
    spec: RunSpec, data: BarData, result: Any, metrics: Any, elapsed: float, file: str
) -> dict[str, Any]:
    from inalpha.research.outcomes import outcomes
    from inalpha.research.report import time_text

    bars = len(data.bars)
    return {
        "strategy": {"name": Path(file).stem, "sha256": spec.strategy_sha256},
        "data": {
            "sha256": data.sha256,
            "bars": bars,
            "first": time_text(data.bars[0].open_time_ns),
            "last": time_text(data.bars[-1].open_time_ns),
        },
        "fill": spec.fill,
        "risk": bool(spec.rules_sha256),
        "fills": len(result.fills),
        "final_equity": text_from_e8(result.final_equity_e8),
        "fees": text_from_e8(sum(fill.fee_e8 for fill in result.fills)),
        "metrics": {metric.name: metric.value for metric in metrics},
        "orders": [ended.as_dict() for ended in outcomes(result)],
        "denials": dict(result.denials),
        "warnings": result.warnings,
        "journal_head": result.head,
        "elapsed_s": round(elapsed, 6),
        "bars_per_s": round(bars / elapsed, 1) if elapsed else 0.0,
    }


@click.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False))
@json_option
def lint(file: str, as_json: bool) -> None:
    """Explain early what would go wrong. It secures nothing; the sandbox does."""
    from inalpha.strategy.lint import lint as find

    findings = find(Path(file).read_bytes())
    errors = [finding for finding in findings if finding.level == "error"]
    if as_json:
        emit_json(
            {"file": file, "findings": [asdict(finding) for finding in findings], "errors": len(errors)}
        )
    else:
        for item in findings:
            where = f"{plain(file)}:{item.line}:{item.col}"
            say(f"{where} {item.level} {item.code}: {plain(item.message)} {plain(item.fix)}".rstrip())
        say(f"{len(errors)} errors, {len(findings) - len(errors)} warnings")
    if errors:
        sys.exit(EXIT_REFUSED)
