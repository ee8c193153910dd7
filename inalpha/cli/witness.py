"""`audit witness`: another machine's memory of this log, and its cosignatures.

Over the network `serve` answers and `submit` asks. Without one, files pass between the two machines: the
witness's key is enrolled once; a request goes out, a cosigned checkpoint comes back.
"""

from __future__ import annotations

import contextlib
import time
from pathlib import Path

import click

from inalpha.audit import witness as witnesses
from inalpha.audit.bundle import write_whole
from inalpha.audit.checkpoint import parse_note
from inalpha.cli.client import gate, reading, send, unlock
from inalpha.cli.main import home_of
from inalpha.cli.options import home_option, json_option, signing_options
from inalpha.cli.output import emit_json, say
from inalpha.client import presence

_DIRECTORY = click.Path(file_okay=False, path_type=Path)
_FILE = click.Path(dir_okay=False, path_type=Path)
_EXISTING = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.group()
def witness() -> None:
    """Cosigning: new, serve, show, cosign on the witness; enrol, submit, request, record on the log's machine."""


@witness.command()
@click.argument("directory", metavar="DIR", type=_DIRECTORY)
@click.option("--name", required=True, help="The witness's handle.")
@click.option("--log", "origin", required=True, help="The log's origin, as its checkpoints name it.")
@click.option("--genesis", required=True, metavar="HEX", help="The hash that init printed.")
def new(directory: Path, name: str, origin: str, genesis: str) -> None:
    """Make a witness for one log; prints the key to enrol there."""
    from inalpha.cli.keys import check_handle

    check_handle(name)
    say(witnesses.create(directory, name, origin, genesis.lower()).text)


@witness.command()
@click.argument("directory", metavar="DIR", type=_DIRECTORY)
def show(directory: Path) -> None:
    """How far this witness has seen."""
    size, root = witnesses.seen(directory)
    say(f"{size} lines, root {root}")


@witness.command()
@click.argument("directory", metavar="DIR", type=_DIRECTORY)
@click.argument("request", metavar="REQUEST", type=_EXISTING)
@click.argument("file", metavar="FILE", type=_FILE)
def cosign(directory: Path, request: Path, file: Path) -> None:
    """Check a request against what was seen and write the cosigned checkpoint. Exit 6: history changed."""
    note = witnesses.cosign(directory, request.read_bytes(), int(time.time()))
    write_whole(file, [note])
    size, root = witnesses.seen(directory)
    say(f"{file}: {size} lines, root {root}")


@witness.command()
@click.option(
    "--state", "directory", required=True, metavar="DIR", type=_DIRECTORY, help="The witness's folder."
)
@click.option("--listen", default="127.0.0.1:8190", show_default=True, metavar="HOST:PORT")
def serve(directory: Path, listen: str) -> None:
    """Answer C2SP add-checkpoint until interrupted. Plain HTTP: put a TLS proxy in front of other machines."""
    from inalpha.audit.witness_server import WitnessServer

    host, _, port = listen.rpartition(":")
    if not host or not port.isdigit() or int(port) > 65_535:
        raise click.BadParameter(f"{listen!r} is no HOST:PORT.", param_hint="--listen")
    with WitnessServer(directory, host.strip("[]"), int(port)) as server:
        say(f"http://{host}:{server.server_address[1]}")
        with contextlib.suppress(KeyboardInterrupt):
            server.serve_forever()


@witness.command()
@click.argument("url", metavar="URL")
@click.option(
    "--out", type=_FILE, metavar="FILE", help="Write the cosigned checkpoint here; no daemon is needed."
)
@signing_options
@home_option
@json_option
@click.pass_context
def submit(
    ctx: click.Context,
    url: str,
    out: Path | None,
    operator: str | None,
    passphrase_file: str | None,
    home_override: str | None,
    as_json: bool,
) -> None:
    """Have the witness at URL cosign the last signed head, and write its cosignature into the log."""
    from inalpha.audit.client import tree_of
    from inalpha.audit.witness_client import check_url
    from inalpha.audit.witness_client import submit as ask

    home = home_of(ctx, home_override)
    check_url(url)
    who = None
    if out is None:
        presence.require(home)
        who = unlock(home, operator, passphrase_file)
    head = (home.root / "head.checkpoint").read_bytes()
    with reading(home) as reader:
        tree = tree_of(reader)
        size = parse_note(head).size
        note = ask(
            url,
            head,
            lambda old: tree.consistency(old, size),
            lambda old: witnesses.make_request(home.root, reader, old, head),
        )
    if out is not None:
        write_whole(out, [note])
        found: dict[str, object] = {"size": size, "file": str(out)}
    else:
        found = send(home, "witness.cosign", {"note": note.decode()}, who)
    emit_json(found) if as_json else say(f"{size} lines cosigned, {found.get('file') or 'recorded'}")


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
    emit_json(found) if as_json else say(f"enrolled in line {found['seq']}")


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
    say(str(file))


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
    emit_json(found) if as_json else say(f"{found['size']} lines cosigned, recorded in line {found['seq']}")
