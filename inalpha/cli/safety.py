"""`halt`, `resume` and `risk`: tightening is free, loosening is signed."""

from __future__ import annotations

import os
import sqlite3
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from inalpha.cli import headroom
from inalpha.cli.client import Commitment, Operator, choose_operator, gate, reading, send, unlock
from inalpha.cli.locks import locks
from inalpha.cli.main import folder_of, home_of
from inalpha.cli.options import home_option, json_option, signing_options
from inalpha.cli.output import emit_json, plain, say, table
from inalpha.cli.restored import changed_settings
from inalpha.client import halting
from inalpha.daemon.presence import require
from inalpha.ledger import readers
from inalpha.model.errors import EXIT_USAGE, InalphaError, Refused
from inalpha.model.home import Home
from inalpha.model.ownership import owner_account_id
from inalpha.model.states import HaltState
from inalpha.risk.rules import Rules, default_text, load_rules, loosens, rules_from_canonical


def scope_of(home: Home, run: str | None, account: str | None) -> dict[str, Any]:
    """The members that name a scope in lines, latch rows and commands."""
    with reading(home) as reader:
        if run is not None:
            readers.run(reader, run)
            return {"scope": "run", "run": run, "account": None}
        if account is not None:
            return {"scope": "account", "run": None, "account": readers.account(reader, account)["account"]}
    return {"scope": "all", "run": None, "account": None}


@click.command()
@click.option("--run", "run_name", metavar="RUN")
@click.option("--account", metavar="NAME")
@click.option("--all", "everything", is_flag=True, help="Every account and run (the default).")
@click.option("--kill", is_flag=True, help="KILLED: runners end too.")
@click.option("--reducing", is_flag=True, help="REDUCING: entries end, exits go on.")
@click.option("--reason", required=True)
@home_option
@json_option
@click.pass_context
def halt(
    ctx: click.Context,
    run_name: str | None,
    account: str | None,
    everything: bool,
    kill: bool,
    reducing: bool,
    reason: str,
    home_override: str | None,
    as_json: bool,
) -> None:
    """HALTED: no order works, positions stay. --reducing stops entries alone, --kill ends the runners too.

    Needs no key; works with the daemon hung or gone.
    """
    home = folder_of(ctx, home_override)
    if sum((run_name is not None, account is not None, everything)) > 1:
        raise InalphaError("SCOPE", "name one scope.", "--run R, --account A or --all.", exit_code=EXIT_USAGE)
    if kill and reducing:
        raise InalphaError("STATE", "name one state.", "--kill or --reducing.", exit_code=EXIT_USAGE)
    state = HaltState.KILLED if kill else HaltState.REDUCING if reducing else HaltState.HALTED
    scope, unsure = halting.scope_of(home, run_name, account)
    found = set_halt(home, scope, state, reason)
    found["warnings"] = [*unsure, *found["warnings"]]
    if as_json:
        emit_json(found)
        return
    say(f"{found['scope']}  {found['state']}  {found['by']}")
    for warning in found["warnings"]:
        say(f"warning: {warning}", err=True)


def set_halt(home: Home, scope: dict[str, Any], state: HaltState, reason: str) -> dict[str, Any]:
    """Row first for a kill; a plain halt asks the daemon and latches when it does not answer in 1 s."""
    return halting.set_halt(
        home, scope, state, reason, lambda args: send(home, "halt", args, None, halting.ANSWER_S), "cli"
    )


def sign_resume(
    home: Home, who: Operator, scope_name: str, reason: str, *, reducing: bool = False
) -> dict[str, Any]:
    """Lift a halt on `all`, a run or an account by a signed note with a reason; reducing: entries stay out."""
    if not reason.strip():
        raise InalphaError("REASON", "the reason is empty.", "--reason TEXT", exit_code=EXIT_USAGE)
    if scope_name == "all":
        scope = scope_of(home, None, None)
    elif scope_name.startswith("run-"):
        scope = scope_of(home, scope_name, None)
    else:
        scope = scope_of(home, None, scope_name)
    why = Commitment.of(reason)
    subject = {**scope, "reason_commit": why.commit}
    note = gate(home, who, "halt.resume", subject)
    return send(home, "halt.resume", {**scope, "gate": note, "reducing": reducing, **why.args()}, who)


@click.command()
@click.argument("scope", metavar="SCOPE")
@click.option("--reducing", is_flag=True, help="Only exits: the scope stays REDUCING.")
@click.option("--reason", required=True)
@signing_options
@home_option
@json_option
@click.pass_context
def resume(
    ctx: click.Context,
    scope: str,
    reducing: bool,
    reason: str,
    operator: str | None,
    passphrase_file: str | None,
    home_override: str | None,
    as_json: bool,
) -> None:
    """Lift the halt of SCOPE (all, run-N or an account's owner), signed, with a reason."""
    home = home_of(ctx, home_override)
    require(home)
    found = sign_resume(home, unlock(home, operator, passphrase_file), scope, reason, reducing=reducing)
    emit_json(found) if as_json else say(f"{found['scope']}  {found['state']}")


@click.group()
def risk() -> None:
    """The rules in force: show, check a file, apply looser ones."""


@risk.command("show")
@click.option("--account", metavar="NAME", help="One account; default: every one.")
@home_option
@json_option
@click.pass_context
def show(ctx: click.Context, account: str | None, home_override: str | None, as_json: bool) -> None:
    """Every control of the rules that bind now, and how much room is left under each limit."""
    home = home_of(ctx, home_override)
    with reading(home) as reader, readers.snapshot(reader):
        rows = [readers.account(reader, account)] if account else readers.accounts(reader)
        rules = {
            row["account"]: in_force
            for row in rows
            if (in_force := _rules_in_force(home, reader, row["account"])) is not None
        }
        if not rules:
            raise Refused("NO_RISK_RULES", "no rules are in force.", "inalpha risk apply")
        books = headroom.folded(reader, rules)
        found = [
            (row, rules[row["account"]], headroom.rooms(reader, books[row["account"]], rules[row["account"]]))
            for row in rows
            if row["account"] in rules
        ]
    items = [_rules_item(*each) for each in found]
    for (row, in_force, _), item in zip(found, items, strict=True):
        item["file"] = _of_file(home, row["owner"], in_force)
    if as_json:
        emit_json({**items[0], "accounts": items})
        return
    for (row, in_force, room), item in zip(found, items, strict=True):
        if len(found) > 1:
            say(f"account {plain(row['owner']).removeprefix('op:')}")
        settings: dict[str, dict[str, str]] = item["controls"]
        table(
            [(name, key, value) for name, keys in settings.items() for key, value in keys.items()],
            ("control", "setting", "value"),
        )
        say("", "room now")
        columns = ("control", "scope", "measured", "limit", "left", "unit", "setting")
        table([[getattr(one, name) for name in columns] for one in room], columns)
        say(f"zone {in_force.zone}  sha256 {in_force.sha256}", *item["file"])


def _of_file(home: Home, owner: str, in_force: Rules) -> list[str]:
    """What risk.toml says otherwise than the rules in force, line by line, and what becomes of that."""
    try:
        written = load_rules(home.risk, owner.partition(":")[2])
    except InalphaError as error:
        return [
            f"risk.toml cannot be used, so the rules above stay and no run starts: {error.message} {error.fix}"
        ]
    changes = list(changed_settings(in_force, written))
    if not changes:
        return []
    waits = loosens(written, in_force)
    what = f"loosens {waits}, so all of it waits for: inalpha risk apply" if waits else "binds within seconds"
    return [f"risk.toml {what}", *changes]


def _rules_in_force(home: Home, reader: sqlite3.Connection, account: str) -> Rules | None:
    """None for an account that never had any."""
    limits = readers.one(reader, "SELECT * FROM limits WHERE account = ?", account)
    text = readers.read_blob(home.root, limits["rules_sha256"]) if limits else None
    return None if text is None else rules_from_canonical(text.decode())


def _rules_item(row: dict[str, Any], rules: Rules, room: list[headroom.Room]) -> dict[str, Any]:
    settings = {
        name: {key: _told(getattr(section, key)) for key in type(section).__struct_fields__}
        for name in type(rules.controls).__struct_fields__
        for section in [getattr(rules.controls, name)]
    }
    return {
        "account": row["account"],
        "owner": row["owner"],
        "rules_sha256": rules.sha256,
        "zone": rules.zone,
        "controls": settings,
        "headroom": [asdict(one) for one in room],
    }


def _told(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, tuple) else str(value)


@risk.command("check")
@click.argument("file", type=click.Path(exists=True, dir_okay=False))
@json_option
def check(file: str, as_json: bool) -> None:
    """Validate a risk file; changes nothing."""
    rules = load_rules(Path(file))
    if as_json:
        emit_json({"valid": True, "sha256": rules.sha256, "active": rules.active})
    else:
        say(f"{plain(file)}: valid, {rules.active} controls active, sha256 {rules.sha256}")


@risk.command("init")
@home_option
@json_option
@click.pass_context
def init(ctx: click.Context, home_override: str | None, as_json: bool) -> None:
    """Write risk.toml with every default where there is none; an existing file is kept."""
    home = home_of(ctx, home_override)
    if home.risk.exists() and home.risk.read_bytes().strip():
        raise Refused("FILE_EXISTS", f"{home.risk} holds rules.", "Edit it, or move it away first.")
    home.risk.write_text(default_text(), encoding="utf-8")
    os.chmod(home.risk, 0o600)
    emit_json({"file": str(home.risk)}) if as_json else say(str(home.risk))


@risk.command("apply")
@signing_options
@home_option
@json_option
@click.pass_context
def apply(
    ctx: click.Context,
    operator: str | None,
    passphrase_file: str | None,
    home_override: str | None,
    as_json: bool,
) -> None:
    """Sign the rules of risk.toml, looser ones included; runs started from now on are bound by them."""
    home = home_of(ctx, home_override)
    require(home)
    handle = choose_operator(home, operator)
    rules = load_rules(home.risk, handle)
    account = owner_account_id(handle)
    with reading(home) as reader:
        old = readers.one(reader, "SELECT * FROM limits WHERE account = ?", account)
    text = readers.read_blob(home.root, old["rules_sha256"]) if old else None
    before = rules_from_canonical(text.decode()) if text else None
    loosened = loosens(rules, before) if before else None
    if before is not None:  # what is about to be signed, whoever wrote the file
        say(*changed_settings(before, rules), err=True)
    who = unlock(home, handle, passphrase_file)
    data = {"account": account, "direction": "loosen", "rules_sha256": rules.sha256}
    found = send(home, "limits.set", {"data": data, "gate": gate(home, who, "limits.set", data)}, who)
    if as_json:
        emit_json({**found, "rules_sha256": rules.sha256, "loosened": loosened})
    else:
        say(f"in force: {rules.sha256}" + (f", loosens {loosened}" if loosened else ""))


risk.add_command(locks)
