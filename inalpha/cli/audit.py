"""`audit`: verify, export, trace, log, show, checkpoint; and `prove`, one trade's self-contained proof."""

from __future__ import annotations

import json
import re
import sqlite3
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from inalpha.audit.verify import verify as verify_ledger
from inalpha.cli.client import reading
from inalpha.cli.main import home_of
from inalpha.cli.options import home_option, json_option
from inalpha.cli.output import emit_json, iso, on_terminal, plain, progress_bar, say, say_exactly
from inalpha.cli.witness import witness
from inalpha.ledger import readers
from inalpha.model.errors import EXIT_INTEGRITY, InalphaError, TryAgain
from inalpha.model.home import Home
from inalpha.model.plain import json_text
from inalpha.verifier.checkpoints import Policy
from inalpha.verifier.checks import Malformed

_EXISTING = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.group()
def audit() -> None:
    """The append-only log: verify it, read it."""


audit.add_command(witness)


def _hash(ctx: click.Context, param: click.Parameter, value: str | None) -> str | None:
    if value is not None and re.fullmatch("[0-9a-fA-F]{64}", value) is None:
        raise click.BadParameter(f"{value!r} is no hash: 64 hexadecimal digits are.")
    return value.lower() if value is not None else None


@contextmanager
def _lines_bar(label: str) -> Iterator[Callable[[int, int], None] | None]:
    """A bar of lines on a terminal, None elsewhere. Ctrl-C inside is exit 75."""
    try:
        if not on_terminal():
            yield None
            return
        with progress_bar(1000, label) as show:
            yield lambda done, total: show(int(1000 * done / max(total, 1)))
    except KeyboardInterrupt as error:
        raise TryAgain("INTERRUPTED", f"{label} was interrupted.", "Nothing was left behind.") from error


def run_verify(
    home: Home,
    genesis: str | None = None,
    from_seq: int = 0,
    *,
    execute: bool = True,
    progress: Any = None,
    **anchors: Any,
) -> Any:
    """Every check over a home; execute: re-run the strategies in the sandbox too (I20). anchors: kept, policy."""
    work = (lambda reader: _execute(home, reader)) if execute else None
    return verify_ledger(home.root, genesis, from_seq, progress, execute=work, **anchors)


def _execute(home: Home, reader: sqlite3.Connection) -> tuple[int | None, str]:
    """Replay every run that has a journal; the first that differs is named by its run's start line."""
    from inalpha.kernel.version import KERNEL_VERSION, OtherKernel
    from inalpha.research.reexecute import load_record, replay_run, unsigned_step
    from runners.local import LocalSandbox

    rows = reader.execute(
        "SELECT run, started_seq FROM run WHERE EXISTS (SELECT 1 FROM journal WHERE journal.run = run.run)"
        " ORDER BY started_seq"
    ).fetchall()
    if not rows:
        return None, "no run to execute"
    steps = 0
    others: list[str] = []
    with LocalSandbox() as sandbox:
        for run, started in rows:
            try:
                record = load_record(
                    reader, lambda name: readers.read_blob(home.root, name), run,
                    lambda commits: readers.read_salted(home.root, commits),
                )  # fmt: skip
                found = replay_run(record, sandbox)
            except OtherKernel as error:
                bad = unsigned_step(reader, run)
                if bad is not None:
                    return bad, f"{run}: the journal's text is not what its signed head covers"
                others.append(f"{run} (made by kernel {error.made_by})")
                continue
            except InalphaError as error:
                return started, f"{run}: {error.message}"
            except (ValueError, KeyError) as error:  # a header of another kernel, or of none
                return started, f"{run}: {error}; --no-exec leaves the rest of the checks"
            steps += found.steps
            if found.divergence is not None:
                where = found.divergence
                row = reader.execute(
                    "SELECT seq FROM step WHERE run = ? AND bar = ?", (run, where["step"])
                ).fetchone()
                return (row[0] if row else started), f"{run} differs at {json.dumps(where)[:300]}"
    said = f"{len(rows) - len(others)} runs, {steps} steps executed again, equal"
    if others:
        said += f"; NOT EXECUTED AGAIN by this program's kernel {KERNEL_VERSION}: {', '.join(others)}"
    return None, said


@audit.command()
@click.option("--genesis", metavar="HEX", callback=_hash, help="The hash that you kept from init.")
@click.option("--from", "from_seq", type=int, default=0, metavar="SEQ")
@click.option("--no-exec", is_flag=True, help="Do not run the strategies again.")
@click.option("--since", type=_EXISTING, metavar="CHECKPOINT", help="A checkpoint that you kept.")
@click.option(
    "--policy", type=_EXISTING, metavar="FILE", help="Whose cosignatures count for you (tlog-policy)."
)
@click.option("--require-anchor", is_flag=True, help="An uncovered tail is a failure.")
@home_option
@json_option
@click.pass_context
def verify(
    ctx: click.Context,
    genesis: str | None,
    from_seq: int,
    no_exec: bool,
    since: Path | None,
    policy: Path | None,
    require_anchor: bool,
    home_override: str | None,
    as_json: bool,
) -> None:
    """Every check: exit 0, or 6 naming the first bad line."""
    home = home_of(ctx, home_override)
    try:
        rules = Policy(policy.read_text(encoding="utf-8")) if policy else None
    except (ValueError, Malformed) as error:
        raise click.BadParameter(str(error), param_hint="--policy") from error
    with _lines_bar("lines") as show:
        found = run_verify(
            home, genesis, from_seq, execute=not no_exec, progress=show, policy=rules,
            kept=since.read_bytes() if since else None, require_anchor=require_anchor,
        )  # fmt: skip
    body = found.to_json()
    if as_json:
        emit_json(body)
    else:
        for check in body["checks"]:
            say(f"{'✓' if check['passed'] else '✗'} {check['name']:4} {plain(check['detail'])}")
        if found.first_bad is None:
            say(f"{body['size']} lines, 0 breaks, root {body['root']}")
            if body["unanchored_since"] is not None:
                say(
                    f"unanchored since line {body['unanchored_since']}: nothing outside this machine holds it"
                )
            if no_exec:
                say("strategies were not executed again (--no-exec)")
            elif "NOT EXECUTED" in found.notes.get("I20", ""):
                say(f"warning: {plain(found.notes['I20'])}", err=True)
        else:
            say(
                f"BROKEN: {plain(found.reason)}. Nothing after it is proven.",
                err=True,
            )
    if found.first_bad is not None:
        sys.exit(EXIT_INTEGRITY)


@audit.command("log")
@click.option("--since", type=int, default=0, metavar="SEQ")
@click.option("--kind", metavar="KIND")
@click.option("--limit", type=int, default=1_000_000)
@home_option
@json_option
@click.pass_context
def log(
    ctx: click.Context, since: int, kind: str | None, limit: int, home_override: str | None, as_json: bool
) -> None:
    """Lines of the log."""
    home = home_of(ctx, home_override)
    with reading(home) as reader:
        for event in readers.lines(reader, since, kind, limit):
            if as_json:
                body = {"schema": 1, "seq": event.seq, "ts": iso(event.ts), "kind": event.kind, "actor": event.actor,
                        "epoch": event.epoch, "data": event.data}  # fmt: skip
                say(json_text(body))
            else:
                text = json.dumps(event.data, ensure_ascii=False)
                say(f"{event.seq:>7} {iso(event.ts)} {event.actor:18} {event.kind:18} {plain(text)[:120]}")


@audit.command()
@click.argument("seq", type=int)
@home_option
@click.pass_context
def show(ctx: click.Context, seq: int, home_override: str | None) -> None:
    """One line's bytes, exactly as signed."""
    home = home_of(ctx, home_override)
    with reading(home) as reader:
        say_exactly(readers.entry(reader, seq).decode("utf-8"))


@audit.command()
@home_option
@click.pass_context
def checkpoint(ctx: click.Context, home_override: str | None) -> None:
    """The last signed head: keep a copy outside this machine."""
    home = home_of(ctx, home_override)
    say_exactly((home.root / "head.checkpoint").read_text(encoding="utf-8"))


@audit.command()
@click.argument("file", metavar="FILE", type=click.Path(dir_okay=False, path_type=Path))
@click.option(
    "--checkpoint",
    "signed",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Export the lines under this signed checkpoint, with its cosignatures.",
)
@home_option
@json_option
@click.pass_context
def export(
    ctx: click.Context, file: Path, signed: Path | None, home_override: str | None, as_json: bool
) -> None:
    """The auditor's file: all lines, what they name, and a verifier that needs nothing of Inalpha.

    Texts of people and models go along; erasing them later does not reach a file that was handed out.
    """
    from inalpha.audit.export import export_ledger

    home = home_of(ctx, home_override)
    if not file.absolute().parent.is_dir():
        raise click.BadParameter(f"the folder of {file} does not exist", param_hint="FILE")
    with reading(home) as reader, _lines_bar("export") as show:
        found = export_ledger(home.root, reader, file, signed.read_bytes() if signed else None, show)
    body = {
        "file": str(file),
        "size": found.size,
        "root": found.root,
        "genesis": found.genesis,
        "bytes": found.length,
    }
    if as_json:
        emit_json(body)
    else:
        say(f"{file}: {found.size} lines, {found.length} bytes, root {found.root}")
        say(f"check it: python verify.py {file} --genesis {found.genesis}")


@audit.command()
@click.argument("fill", metavar="FILL")
@home_option
@json_option
@click.pass_context
def trace(ctx: click.Context, fill: str, home_override: str | None, as_json: bool) -> None:
    """One fill back to the people who allowed it: promotion, mandate, approval."""
    from inalpha.audit.lineage import lineage

    home = home_of(ctx, home_override)
    with reading(home) as reader, readers.snapshot(reader) as still:
        links = lineage(still, fill)
    told: list[dict[str, object]] = []
    for link in links:
        event = link.event
        told.append({"role": link.role, "seq": event.seq, "ts": iso(event.ts), "kind": event.kind, "actor": event.actor,
                     "signed": event.gate is not None or event.proposal is not None, "data": event.data})  # fmt: skip
    if as_json:
        emit_json({"fill": fill, "lines": told})
        return
    for item in reversed(told):
        mark = "signed" if item["signed"] else ""
        text = plain(json.dumps(item["data"], ensure_ascii=False))[:90]
        say(f"{item['role']:8} {item['seq']:>7} {item['ts']} {item['actor']!s:18} {mark:6} {text}".rstrip())


@click.command()
@click.argument("fill", metavar="FILL")
@click.argument("file", metavar="FILE", type=click.Path(dir_okay=False, path_type=Path))
@home_option
@json_option
@click.pass_context
def prove(ctx: click.Context, fill: str, file: Path, home_override: str | None, as_json: bool) -> None:
    """One trade's proof as a file, to be checked by verify.py --prove without this ledger."""
    from inalpha.audit.bundle import write_whole
    from inalpha.audit.prove import prove_fill

    home = home_of(ctx, home_override)
    if not file.absolute().parent.is_dir():
        raise click.BadParameter(f"the folder of {file} does not exist", param_hint="FILE")
    with reading(home) as reader:
        bundle = prove_fill(home.root, reader, fill)
        genesis = readers.genesis(reader)
    write_whole(file, [bundle])
    if as_json:
        emit_json({"file": str(file), "fill": fill, "genesis": genesis, "bytes": len(bundle)})
    else:
        say(f"{file}: {fill} in {len(bundle)} bytes")
        say(f"check it: python verify.py {file} --prove --genesis {genesis}")
