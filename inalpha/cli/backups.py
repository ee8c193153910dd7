"""`backup FILE`, `backup test FILE` and `restore FILE`."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

import click

from inalpha.audit.head import read_heads
from inalpha.audit.keys import (
    load_operator_signer,
    make_private,
    operator_name,
    operator_path,
)
from inalpha.cli.client import read_passphrase
from inalpha.cli.main import home_of, named_home
from inalpha.cli.options import home_option, json_option
from inalpha.cli.output import emit_json, say
from inalpha.cli.recover import apply
from inalpha.cli.restored import settle_settings, words_of
from inalpha.client.operator import choose_operator, needs_passphrase
from inalpha.ledger import backup as backups
from inalpha.ledger import mend, readers
from inalpha.ledger.leftovers import put_in_place, sweep, workplace
from inalpha.ledger.lock import take_lock
from inalpha.model import latch
from inalpha.model.errors import EXIT_USAGE, InalphaError, Refused
from inalpha.model.home import Home
from inalpha.model.secretfile import check_closed

_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.command()
@click.argument("words", metavar="FILE | test FILE", nargs=-1)
@home_option
@json_option
@click.pass_context
def backup(ctx: click.Context, words: tuple[str, ...], home_override: str | None, as_json: bool) -> None:
    """Copy ledger, texts and settings into FILE, verified; keys stay here. `test FILE` tries a restore."""
    if len(words) == 2 and words[0] == "test":
        with tempfile.TemporaryDirectory(prefix="inalpha-backup-") as scratch:
            backups.unpack(Path(words[1]), Path(scratch) / "home")
            report = backups.check(Path(scratch) / "home")
        text, file = "would restore", words[1]
    elif len(words) == 1:
        file = words[0]
        report = backups.back_up(home_of(ctx, home_override).root, Path(file))
        text = "holds"
    else:
        raise InalphaError("USAGE", "name one file.", "inalpha backup [test] FILE", exit_code=EXIT_USAGE)
    found = {"file": file, "size": report.size, "root": report.root, "genesis": report.genesis}
    emit_json(found) if as_json else say(f"{file} {text} {report.size} lines, root {report.root}")


@click.command()
@click.argument("file", metavar="FILE", type=_FILE)
@click.option("--reason", default="restored from a backup", show_default=True)
@click.option("--keys", "key_folder", type=click.Path(exists=True, file_okay=False, path_type=Path), metavar="DIR",
              help="Operators' and agents' keys (default: those of the home that is replaced).")  # fmt: skip
@click.option("--operator", metavar="NAME", help="The owner who signs.")
@click.option("--passphrase-file", type=click.Path(exists=True, dir_okay=False))
@home_option
@json_option
@click.pass_context
def restore(
    ctx: click.Context,
    file: Path,
    reason: str,
    key_folder: Path | None,
    operator: str | None,
    passphrase_file: str | None,
    home_override: str | None,
    as_json: bool,
) -> None:
    """Make the home from FILE: verified, signed by the owner, HALTED; the present home is set aside.

    The backup's settings and risk rules are shown and set aside; the rules in force by signature stay.
    """
    home = named_home(ctx, home_override)
    if not any(
        ((key_folder or home.keys) / "op").glob("*.key*")
    ):  # a backup holds no keys, and the owner has to sign
        raise Refused(
            "NO_OPERATOR_KEYS",
            f"{key_folder or home.keys} holds no operator's key, and the owner signs a restore.",
            "--keys DIR: the keys folder of the home that was backed up, with op/ in it.",
        )
    lock = take_lock(home.root) if home.exists else None
    for told in sweep(home.root):
        say(told, err=True)
    try:
        with workplace(home.root.parent, f"{home.root.name}.restoring-") as place:
            fresh = Home(place)
            backups.unpack(file, fresh.root)
            backups.check(fresh.root)
            settings = settle_settings(home, fresh)
            _furnish(home, fresh, key_folder)
            found = _sign(home, fresh, reason, operator, passphrase_file)
            aside = put_in_place(fresh.root, home.root)
    finally:
        if lock is not None:
            os.close(lock)
    body = {**found, "home": str(home.root), "set_aside": str(aside) if aside else None, "settings": settings}
    if as_json:
        emit_json(body)
        return
    for item in settings:
        say(*words_of(item))
    say(f"{home.root} restored, HALTED; resume with: inalpha resume all --reason TEXT")
    if aside is not None:
        say(f"the home before is {aside}")


def _furnish(old: Home, fresh: Home, key_folder: Path | None) -> None:
    """Folders, latch and people's keys; the log's key is made anew."""
    for folder in (fresh.keys, fresh.clients, fresh.log, fresh.root / "checkpoints"):
        make_private(folder)
    latch.create(fresh.latch)
    source = key_folder or old.keys
    for kind in ("op", "agent"):
        make_private(fresh.keys / kind)
        for path in sorted((source / kind).glob("*.key*")):
            check_closed(path, path.stat())
            shutil.copyfile(path, fresh.keys / kind / path.name)
            os.chmod(fresh.keys / kind / path.name, 0o600)
    if old.demo_mark.exists():
        shutil.copyfile(old.demo_mark, fresh.demo_mark)


def _sign(
    old: Home, fresh: Home, reason: str, operator: str | None, passphrase_file: str | None
) -> dict[str, Any]:
    handle = choose_operator(fresh, operator)
    asked = needs_passphrase(fresh, handle)
    passphrase = read_passphrase(passphrase_file, f"Passphrase of {handle}: ") if asked else None
    reader = readers.open_reader(fresh.root)
    origin = readers.origin(reader)
    reader.close()
    signer = load_operator_signer(
        operator_path(fresh.root, handle), operator_name(origin, handle), passphrase
    )
    heads = [(head.size, head.root) for head in read_heads(old.root / "head")]
    known = max(heads, default=None) if _is_same_log(old, origin) else None
    return apply(fresh, mend.prepare(fresh.root, signer, f"op:{handle}", reason, known=known))


def _is_same_log(old: Home, origin: str) -> bool:
    """By the signed head's first line: the old database may be what was lost."""
    try:
        return (old.root / "head.checkpoint").read_text("utf-8").split("\n")[0] == origin
    except OSError:
        return False
