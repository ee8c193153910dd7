"""`replay` and `parity`: a recorded run executed again, in a fresh sandbox, without the daemon."""

from __future__ import annotations

import sys

import click

from inalpha.cli.client import reading
from inalpha.cli.main import home_of
from inalpha.cli.options import home_option, json_option
from inalpha.cli.output import emit_json, on_terminal, plain
from inalpha.ledger import readers
from inalpha.model.errors import EXIT_INTEGRITY
from inalpha.model.home import Home
from inalpha.research.reexecute import RunRecord, load_record


def read_record(home: Home, name: str) -> RunRecord:
    """One run's record in one read transaction."""
    with reading(home) as reader, readers.snapshot(reader) as still:
        return load_record(still, lambda sha256: readers.read_blob(home.root, sha256), name)


@click.command()
@click.argument("name", metavar="RUN")
@home_option
@json_option
@click.pass_context
def replay(ctx: click.Context, name: str, home_override: str | None, as_json: bool) -> None:
    """Feed back the recorded inputs and compare every output. Exit 0, or 6 naming the first difference."""
    from inalpha.research.reexecute import replay_run
    from runners.local import LocalSandbox

    record = read_record(home_of(ctx, home_override), name)
    with LocalSandbox() as sandbox, _progress(record) as show:
        found = replay_run(record, sandbox, show)
    if as_json:
        emit_json({"run": name, "steps": found.steps, "divergence": found.divergence})
    elif found.divergence is None:
        click.echo(f"{name}: {found.steps} steps, no difference")
    else:
        first = {key: plain(value) for key, value in found.divergence.items()}
        click.echo(f"{name}: differs at {first}", err=True)
    if found.divergence is not None:
        sys.exit(EXIT_INTEGRITY)


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
        click.echo(
            f"{name}: {equal} fills equal, {len(differences)} differences, {len(unexplained)} unexplained"
        )
        for item in differences:
            why = item.why or "no verdict explains it"
            click.echo(f"  {item.intent}: recorded {item.recorded}, backtest {item.backtest} ({why})")
    if unexplained:
        sys.exit(EXIT_INTEGRITY)


class _progress:
    """A bar on a terminal, silence elsewhere."""

    def __init__(self, record: RunRecord) -> None:
        self._total = sum(entry.kind == "bar" for entry in record.entries)
        self._shown = 0

    def __enter__(self):  # type: ignore[no-untyped-def]
        if not on_terminal():
            return None
        self._bar = click.progressbar(length=self._total, label="bars", file=sys.stderr)
        self._bar.__enter__()
        return self._step

    def _step(self, done: int) -> None:
        self._bar.update(done - self._shown)
        self._shown = done

    def __exit__(self, *error: object) -> None:
        if on_terminal():
            self._bar.render_finish()
