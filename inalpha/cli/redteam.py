"""`redteam`: hostile strategies, a hostile bus client and a hostile agent against a scratch installation."""

from __future__ import annotations

import time

import click

from inalpha.cli.options import json_option
from inalpha.cli.output import emit_json, on_terminal, plain, say, table
from inalpha.model.errors import EXIT_FAILURE
from inalpha.redteam.outcome import Outcome
from inalpha.redteam.weakened import CONTROLS


@click.command()
@click.option(
    "--without",
    type=click.Choice(CONTROLS),
    metavar="CONTROL",
    help=f"Leave one control out, of the scratch installation alone: {', '.join(CONTROLS)}.",
)
@json_option
@click.pass_context
def redteam(ctx: click.Context, without: str | None, as_json: bool) -> None:
    """Attack an installation made for it; name the control that stopped each attack, or the breach.

    Your own home is neither read nor changed. Exit 0 without a breach, else 1.
    """
    from inalpha.redteam import clients, strategies
    from inalpha.redteam.scratch import Scratch

    shows = on_terminal()

    def progress(outcome: Outcome) -> None:
        if shows:
            mark = "BREACH" if outcome.is_breach else "held"
            say(f"{mark:6}  {outcome.family:8}  {outcome.name}", err=True)

    began = time.monotonic()
    with Scratch(without) as scratch:
        found = strategies.play(scratch, None, progress)
        found += clients.play(scratch, None, progress)
    breaches = [outcome for outcome in found if outcome.is_breach]
    if as_json:
        emit_json(
            {
                "without": without,
                "attacks": [outcome.as_dict() for outcome in found],
                "breaches": [outcome.name for outcome in breaches],
                "elapsed_s": round(time.monotonic() - began, 1),
            }
        )
    else:
        rows = [
            (o.family, o.name, "BREACH" if o.is_breach else "held", o.control or "-", plain(o.detail)[:80])
            for o in found
        ]
        table(rows, ("by", "attack", "outcome", "stopped by", "seen"))
        weak = f" without {without}" if without else ""
        say(f"{len(found)} attacks{weak}, {len(breaches)} breaches, {time.monotonic() - began:.0f} s")
        for outcome in breaches:
            say(f"BREACH {outcome.name}: {outcome.what} {plain(outcome.detail)}")
    if breaches:
        ctx.exit(EXIT_FAILURE)
