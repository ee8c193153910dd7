"""`policy`: signed, expiring waivers; and who may do what, and why."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import click

from inalpha.audit.schema import TWO_PERSON, gate_role, gate_subjects, proposal_subjects
from inalpha.bus.command import SLOT_COMMANDS
from inalpha.cli.client import gate, reading, send, unlock
from inalpha.cli.main import home_of
from inalpha.cli.options import home_option, json_option, parse_duration, signing_options
from inalpha.cli.output import emit_json, iso, plain, say, table
from inalpha.daemon.presence import require
from inalpha.ledger import readers
from inalpha.model.errors import EXIT_USAGE, InalphaError

# Verb as it is typed: the command that the daemon gets, which is also the kind of its line where it has one.
_COMMANDS = {
    "candidate submit": "candidate.submit",
    "candidate promote": "candidate.promote",
    "candidate reject": "candidate.reject",
    "candidate revoke": "candidate.revoke",
    "run start": "run.start",
    "run stop": "stop",
    "run pause": "halt",
    "run resume": "halt.resume",
    "plan approve": "plan.approve",
    "plan reject": "plan.reject",
    "halt": "halt",
    "resume": "halt.resume",
    "risk apply": "limits.set",
    "alerts ack": "alert.ack",
    "operator add": "key.enrol",
    "host add": "key.enrol",
    "host revoke": "key.revoke",
    "operator revoke": "key.revoke",
    "agent add": "key.enrol",
    "agent revoke": "key.revoke",
    "policy opt-out": "policy.opt_out",
    "account open": "account.open",
    "account deposit": "account.deposit",
    "blob erase": "blob.erase",
    "rollback accept": "rollback.accept",
}


@click.group()
def policy() -> None:
    """Waivers, and the rule behind each verb."""


@policy.command("opt-out")
@click.argument("rule", metavar="RULE")
@click.option("--run", "run_name", required=True, metavar="RUN", help="The id that the start will get.")
@click.option("--expires", metavar="AGE", help="At most 30d.")
@click.option("--end", is_flag=True, help="End a waiver now; the run that relies on it stops.")
@click.option("--reason", required=True)
@signing_options
@home_option
@json_option
@click.pass_context
def opt_out(
    ctx: click.Context,
    rule: str,
    run_name: str,
    expires: str | None,
    end: bool,
    reason: str,
    operator: str | None,
    passphrase_file: str | None,
    home_override: str | None,
    as_json: bool,
) -> None:
    """Let RUN do without RULE (isolation.LEVEL.HOST, or a risk control) until then, or no longer; the owner signs."""
    home = home_of(ctx, home_override)
    require(home)
    if not reason.strip():
        raise InalphaError("REASON", "the reason is empty.", "--reason TEXT", exit_code=EXIT_USAGE)
    if (expires is None) is not end:
        raise InalphaError(
            "EXPIRES", "a waiver either expires or ends now.", "--expires AGE, or --end", exit_code=EXIT_USAGE
        )
    until = time.time_ns() // 1000 + (parse_duration(expires) * 1_000_000 if expires else 0)
    data = {"expires": until, "rule": rule, "run": run_name}
    who = unlock(home, operator, passphrase_file)
    note = gate(home, who, "policy.opt_out", data)
    found = send(home, "policy.opt_out", {"data": data, "gate": note, "reason": reason}, who)
    if as_json:
        emit_json({**found, "expires": iso(found["expires"])})
    else:
        told = f"until {iso(until)}" if expires else "no longer"
        say(f"{run_name} may do without {plain(rule)} {told} (line {found['seq']})")


@policy.command()
@click.argument("file", metavar="FILE", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@signing_options
@home_option
@json_option
@click.pass_context
def cosign(
    ctx: click.Context,
    file: Path,
    operator: str | None,
    passphrase_file: str | None,
    home_override: str | None,
    as_json: bool,
) -> None:
    """Sign a promotion or start that another operator asks for; FILE then goes back to him."""
    from inalpha.cli.cosign import sign_request

    home = home_of(ctx, home_override)
    signed = sign_request(home, unlock(home, operator, passphrase_file), file)
    emit_json({"file": str(file), "subject": signed}) if as_json else say(
        *json.dumps(signed, indent=2).split("\n")
    )


@policy.command()
@click.argument("verb", nargs=-1, metavar="[VERB]")
@home_option
@json_option
@click.pass_context
def explain(ctx: click.Context, verb: tuple[str, ...], home_override: str | None, as_json: bool) -> None:
    """Who may ask for VERB and whose signature it needs; without VERB all of them, and rules that bind nothing."""
    wanted = " ".join(verb)
    if wanted and wanted not in _COMMANDS:
        raise InalphaError(
            "NO_VERB", f"{wanted!r} changes nothing, so no policy decides it.",
            f"Verbs that do: {', '.join(_COMMANDS)}.", exit_code=EXIT_USAGE,
        )  # fmt: skip
    home = home_of(ctx, home_override)
    items = [rule_of(name) for name in _COMMANDS if not wanted or name == wanted]
    dead = [] if wanted else _dead(home)
    if as_json:
        emit_json({"items": items, "dead": dead})
        return
    table([tuple(item.values()) for item in items], tuple(items[0]))
    for item in dead:
        say(f"dead: {item}")


def rule_of(verb: str) -> dict[str, Any]:
    """The rule behind a verb, read from the same tables that the daemon and the verifier use."""
    command = _COMMANDS[verb]
    gated = command in gate_subjects()
    role = gate_role(command, "op:any", {"direction": "loosen"}) if gated else None
    asks = ["operator", "owner"]
    if command in SLOT_COMMANDS:
        asks.insert(0, "anyone here")
    if command in proposal_subjects():
        asks.insert(0, "agent (its proposal note)")
    return {
        "verb": verb,
        "may ask": ", ".join(asks),
        "must sign": role or "nobody",
        "two persons": "where configured" if command in TWO_PERSON else "no",
        "line": command if gated or command == "candidate.submit" else "-",
    }


def _dead(home: Any) -> list[str]:
    """Waivers that are over, by their time or an owner's word, or whose run is. The last line of each decides."""
    now_us = time.time_ns() // 1000
    with reading(home) as reader:
        rows = readers.rows(
            reader,
            "SELECT o.rule, o.run, o.expires, r.state, max(o.seq) AS seq"
            " FROM opt_out o LEFT JOIN run r ON r.run = o.run GROUP BY o.rule, o.run ORDER BY seq",
        )
    return [
        f"{row['rule']} of {row['run']}: "
        + (f"over since {iso(row['expires'])}" if row["expires"] <= now_us else f"its run is {row['state']}")
        for row in rows
        if row["expires"] <= now_us or row["state"] in ("stopped", "failed")
    ]
