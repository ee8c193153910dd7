"""`replay` and `parity`: a recorded run executed again, in a fresh sandbox, without the daemon."""

from __future__ import annotations

import sys
from contextlib import ExitStack
from pathlib import Path

import click

from inalpha.cli.client import reading
from inalpha.cli.main import home_of, named_home
from inalpha.cli.options import home_option, json_option
from inalpha.cli.output import emit_json, on_terminal, progress_bar, say
from inalpha.ledger import readers
from inalpha.model.errors import EXIT_INTEGRITY
from inalpha.model.home import Home
from inalpha.research.reexecute import Replayed, RunRecord, load_record


def read_record(home: Home, name: str) -> RunRecord:
    """One run's record in one read transaction."""
    with reading(home) as reader, readers.snapshot(reader) as still:
        root = home.root
        return load_record(
            still, lambda sha256: readers.read_blob(root, sha256), name,
            lambda commits: readers.read_salted(root, commits),
        )  # fmt: skip


@click.command()
@click.argument("name", metavar="RUN|JOURNAL")
@click.option(
    "--strategy", type=click.Path(exists=True, dir_okay=False), help="For a journal file: ask this file anew."
)
@home_option
@json_option
@click.pass_context
def replay(
    ctx: click.Context, name: str, strategy: str | None, home_override: str | None, as_json: bool
) -> None:
    """Feed back the recorded inputs and compare every output. Exit 0, or 6 naming the first difference.

    A RUN of the ledger is asked again in a fresh sandbox. A JOURNAL that `backtest --out` wrote counts its
    recorded replies as given, unless --strategy names the file that gave them.
    """
    if Path(name).is_file():
        found = _replay_path(ctx, Path(name), strategy, home_override)
    else:
        found = _replay_run(home_of(ctx, home_override), name)
    if as_json:
        emit_json({"run": name, "steps": found.steps, "divergence": found.divergence})
    elif found.divergence is None:
        say(f"{name}: {found.steps} steps, no difference")
    else:
        first = {key: str(value) for key, value in found.divergence.items()}
        say(f"{name}: differs at {first}", err=True)
    if found.divergence is not None:
        sys.exit(EXIT_INTEGRITY)


def _replay_run(home: Home, name: str) -> Replayed:
    from inalpha.research.reexecute import replay_run
    from runners.local import LocalSandbox

    record = read_record(home, name)
    with LocalSandbox() as sandbox, _progress(record) as show:
        return replay_run(record, sandbox, show)


def _replay_path(ctx: click.Context, path: Path, strategy: str | None, home_override: str | None) -> Replayed:
    from inalpha.research.replayfile import ask_again, read_file, replay_file, reported_head, rules_named
    from inalpha.risk.rules import Rules, default_rules, load_rules
    from runners.local import LocalSandbox

    def known() -> list[Rules]:
        home = named_home(ctx, home_override)
        return [default_rules(), *([load_rules(home.risk)] if home.exists else [])]

    spec, entries = read_file(path)
    rules = rules_named(spec.rules_sha256, known)
    with ExitStack() as stack:
        runner = None
        if strategy is not None:
            sandbox = stack.enter_context(LocalSandbox())
            runner = ask_again(spec, Path(strategy).read_bytes(), rules, sandbox)
        return replay_file(spec, entries, rules, runner, reported_head(path))


@click.command()
@click.argument("name", metavar="RUN")
@home_option
@json_option
@click.pass_context
def parity(ctx: click.Context, name: str, home_override: str | None, as_json: bool) -> None:
    """Backtest the run's own bars and compare fills. A person's verdict is a named difference, exit 0."""
    from inalpha.research.reexecute import parity_run
    from runners.local import LocalSandbox

    record = read_record(home_of(ctx, home_override), name)
    with LocalSandbox() as sandbox, _progress(record) as show:
        equal, differences = parity_run(record, sandbox, show)
    unexplained = [item for item in differences if not item.why]
    if as_json:
        told = [{"intent": d.intent, "recorded": d.recorded, "backtest": d.backtest, "why": d.why or None}
                for d in differences]  # fmt: skip
        emit_json({"run": name, "equal": equal, "differences": told, "unexplained": len(unexplained)})
    else:
        say(f"{name}: {equal} fills equal, {len(differences)} differences, {len(unexplained)} unexplained")
        for item in differences:
            why = item.why or "no verdict explains it"
            recorded, tested = item.recorded or "no fill", item.backtest or "no fill"
            say(f"  {item.intent}: recorded {recorded}, backtest {tested} ({why})")
    if unexplained:
        sys.exit(EXIT_INTEGRITY)


class _progress:
    """A bar on a terminal, silence elsewhere."""

    def __init__(self, record: RunRecord) -> None:
        self._total = sum(entry.kind == "bar" for entry in record.entries)

    def __enter__(self):  # type: ignore[no-untyped-def]
        if not on_terminal():
            return None
        self._bar = progress_bar(self._total, "bars")
        return self._bar.__enter__()

    def __exit__(self, *error: object) -> None:
        if on_terminal():
            self._bar.__exit__(None, None, None)
