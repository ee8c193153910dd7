"""`rollback accept`: the owner's leave to go on from an older copy, or under a new log key. No daemon may run."""

from __future__ import annotations

import click

from inalpha import __version__
from inalpha.cli.client import unlock
from inalpha.cli.main import home_of
from inalpha.cli.options import home_option, json_option, signing_options
from inalpha.cli.output import emit_json, say
from inalpha.ledger import mend
from inalpha.ledger.writer import Ledger
from inalpha.model.errors import EXIT_USAGE, InalphaError
from inalpha.model.home import Home


@click.group()
def rollback() -> None:
    """An older copy of the ledger."""


@rollback.command()
@click.option("--reason", required=True)
@signing_options
@home_option
@json_option
@click.pass_context
def accept(
    ctx: click.Context,
    reason: str,
    operator: str | None,
    passphrase_file: str | None,
    home_override: str | None,
    as_json: bool,
) -> None:
    """Go on although head files know more lines, or log.key is lost: signed by the owner; everything is HALTED."""
    if not reason.strip():
        raise InalphaError("REASON", "the reason is empty.", "--reason TEXT", exit_code=EXIT_USAGE)
    home = home_of(ctx, home_override)
    who = unlock(home, operator, passphrase_file)
    made = mend.prepare(home.root, who.signer, who.principal, reason)
    found = apply(home, made)
    if as_json:
        emit_json(found)
        return
    if made.rollback is not None:
        say(f"lines {found['from_size']} to {found['to_size']}: what came between is lost to this log")
    say("HALTED; resume with: inalpha resume all --reason TEXT")


def apply(home: Home, made: mend.Mend) -> dict[str, object]:
    """Open the next epoch with what the owner signed, and close it again."""
    ledger = Ledger.open(home.root, app=f"inalpha {__version__}", mend=made)
    ledger.close("rollback.accept" if made.rollback else "key.enrol")
    signer = next(iter(home.clients.glob(f"seen-{made.signer_id}.json")), None)
    if signer is not None and made.rollback is not None:
        signer.rename(
            signer.with_suffix(".rolled-back")
        )  # he has just signed that this tree is no longer his
    data = made.rollback[1] if made.rollback else {}
    return {
        "from_size": data.get("from_size"),
        "to_size": data.get("to_size"),
        "new_log_key": made.log is not None,
        "halt": "HALTED",
        "epoch": ledger.epoch,
    }
