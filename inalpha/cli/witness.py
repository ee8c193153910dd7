"""`audit witness`: another machine's memory of this log, and its cosignatures.

Four files pass between the two machines and no connection is needed: the witness's key is enrolled once; a
request goes out, a cosigned checkpoint comes back.
"""

from __future__ import annotations

import time
from pathlib import Path

import click

from inalpha.audit import witness as witnesses
from inalpha.audit.bundle import write_whole
from inalpha.cli.client import gate, reading, send, unlock
from inalpha.cli.main import home_of
from inalpha.cli.options import home_option, json_option, signing_options
from inalpha.cli.output import emit_json
from inalpha.client import presence

_DIRECTORY = click.Path(file_okay=False, path_type=Path)
_FILE = click.Path(dir_okay=False, path_type=Path)
_EXISTING = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.group()
def witness() -> None:
    """Cosigning: new, show, cosign on the witness; enrol, request, record on the log's machine."""


@witness.command()
@click.argument("directory", metavar="DIR", type=_DIRECTORY)
@click.option("--name", required=True, help="The witness's handle.")
@click.option("--log", "origin", required=True, help="The log's origin, as its checkpoints name it.")
@click.option("--genesis", required=True, metavar="HEX", help="The hash that init printed.")
def new(directory: Path, name: str, origin: str, genesis: str) -> None:
    """Make a witness for one log; prints the key to enrol there."""
    from inalpha.cli.keys import check_handle

    check_handle(name)
    click.echo(witnesses.create(directory, name, origin, genesis.lower()).text)


@witness.command()
@click.argument("directory", metavar="DIR", type=_DIRECTORY)
def show(directory: Path) -> None:
    """How far this witness has seen."""
    size, root = witnesses.seen(directory)
    click.echo(f"{size} lines, root {root}")


@witness.command()
@click.argument("directory", metavar="DIR", type=_DIRECTORY)
@click.argument("request", metavar="REQUEST", type=_EXISTING)
@click.argument("file", metavar="FILE", type=_FILE)
def cosign(directory: Path, request: Path, file: Path) -> None:
    """Check a request against what was seen and write the cosigned checkpoint. Exit 6: history changed."""
    note = witnesses.cosign(directory, request.read_bytes(), int(time.time()))
    write_whole(file, [note])
    size, root = witnesses.seen(directory)
    click.echo(f"{file}: {size} lines, root {root}")


@witness.command()
@click.argument("vkey", metavar="KEY")
@signing_options
@home_option
@json_option
@click.pass_context
def enrol(
    ctx: click.Context,
    vkey: str,
    operator: str | None,
    passphrase_file: str | None,
    home_override: str | None,
    as_json: bool,
) -> None:
    """Let a witness's cosignatures count; signed by the owner."""
    home = home_of(ctx, home_override)
    presence.require(home)
    who = unlock(home, operator, passphrase_file)
    data = {"principal": None, "role": "witness", "sponsor": None, "vkey": vkey}
    found = send(home, "key.enrol", {"data": data, "gate": gate(home, who, "key.enrol", data)}, who)
    emit_json(found) if as_json else click.echo(f"enrolled in line {found['seq']}")


@witness.command()
@click.argument("file", metavar="FILE", type=_FILE)
@click.option("--old", type=int, default=1, show_default=True, help="How many lines the witness has seen.")
@home_option
@click.pass_context
def request(ctx: click.Context, file: Path, old: int, home_override: str | None) -> None:
    """Write what a witness needs to cosign the last signed head."""
    home = home_of(ctx, home_override)
    with reading(home) as reader:
        write_whole(file, [witnesses.make_request(home.root, reader, old)])
    click.echo(str(file))


@witness.command()
@click.argument("note", metavar="NOTE", type=_EXISTING)
@signing_options
@home_option
@json_option
@click.pass_context
def record(
    ctx: click.Context,
    note: Path,
    operator: str | None,
    passphrase_file: str | None,
    home_override: str | None,
    as_json: bool,
) -> None:
    """Write a cosigned checkpoint into the log. Without a daemon it still serves 'audit export --checkpoint'."""
    home = home_of(ctx, home_override)
    presence.require(home)
    who = unlock(home, operator, passphrase_file)
    found = send(home, "witness.cosign", {"note": note.read_text(encoding="utf-8")}, who)
    emit_json(found) if as_json else click.echo(
        f"{found['size']} lines cosigned, recorded in line {found['seq']}"
    )
