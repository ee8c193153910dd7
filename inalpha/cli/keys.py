"""`operator` and `agent`: whose keys count, enrolled and revoked by the owner's signature."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from inalpha.audit.keys import (
    agent_name,
    agent_path,
    make_private,
    new_key,
    operator_name,
    operator_path,
    recovery_name,
    write_agent,
    write_open,
    write_sealed,
)
from inalpha.audit.notes import Signer, SigningKey
from inalpha.audit.sshagent import AgentSigner, identities
from inalpha.cli.client import Operator, gate, new_passphrase, reading, send, unlock
from inalpha.cli.main import home_of
from inalpha.cli.options import home_option, json_option, signing_options
from inalpha.cli.output import emit_items, emit_json, say, table
from inalpha.cli.setup import HANDLE
from inalpha.client.newkeys import enrol_with_file, settle
from inalpha.daemon.presence import require
from inalpha.ledger import readers
from inalpha.model.errors import EXIT_USAGE, InalphaError, Refused
from inalpha.model.home import Home
from inalpha.model.secretfile import read_secret


@click.group()
def operator() -> None:
    """People: add, list, revoke."""


@click.group()
def agent() -> None:
    """Agents, which propose and never decide: add, list, revoke."""


def check_handle(name: str) -> None:
    if not HANDLE.match(name):
        fix = "Lower-case letters, digits and hyphens, at most 36, the first no hyphen."
        raise InalphaError("NAME", f"{name!r} cannot be a name.", fix, exit_code=EXIT_USAGE)


def enrol(
    home: Home, who: Any, signer: Signer | AgentSigner, principal: str, role: str, sponsor: str | None
) -> dict[str, Any]:
    """Sign and send one enrolment."""
    data = {"principal": principal, "role": role, "sponsor": sponsor, "vkey": signer.vkey.text}
    return send(home, "key.enrol", {"data": data, "gate": gate(home, who, "key.enrol", data)}, who)


def write_key(path: Path, key: SigningKey, passphrase: str | None) -> None:
    """passphrase None: an open key."""
    write_open(path, key) if passphrase is None else write_sealed(path, key, passphrase)


def tell_settled(home: Home, *others: Path) -> None:
    """Finish what an earlier verb was killed in, and say so."""
    for told in settle(home, *others):
        say(told, err=True)


def add_agent(home: Home, who: Any, name: str) -> dict[str, Any]:
    """A new agent key in this home, enrolled with the signer as its sponsor."""
    check_handle(name)
    settle(home)
    path = agent_path(home.root, name)
    if path.exists():
        raise Refused("IDENTITY_TAKEN", f"{path} exists.", "Choose another name, or revoke it first.")
    with reading(home) as reader:
        origin = readers.origin(reader)
    key = new_key()
    make_private(path.parent)
    signer = Signer(agent_name(origin, name), key)
    found = enrol_with_file(
        path,
        signer,
        lambda made: write_open(made, key),
        lambda: enrol(home, who, signer, f"agent:{name}", "proposer", who.principal),
    )
    return {"principal": f"agent:{name}", "key": str(path), **found}


@agent.command("add")
@click.argument("name")
@signing_options
@home_option
@json_option
@click.pass_context
def agent_add(
    ctx: click.Context,
    name: str,
    operator: str | None,
    passphrase_file: str | None,
    home_override: str | None,
    as_json: bool,
) -> None:
    """Enrol an agent's key; the signer is its sponsor."""
    home = home_of(ctx, home_override)
    require(home)
    found = add_agent(home, unlock(home, operator, passphrase_file), name)
    emit_json(found) if as_json else say(f"{found['principal']}  key {found['key']}")


@operator.command("add")
@click.argument("name")
@click.option("--role", type=click.Choice(["operator", "owner"]), default="operator", show_default=True)
@click.option("--insecure-no-passphrase", "is_open", is_flag=True)
@click.option("--new-passphrase-file", type=click.Path(exists=True, dir_okay=False))
@click.option(
    "--ssh-agent", "ssh_comment", metavar="COMMENT", help="Use the agent's Ed25519 key of this comment."
)
@signing_options
@home_option
@json_option
@click.pass_context
def operator_add(
    ctx: click.Context,
    name: str,
    role: str,
    is_open: bool,
    new_passphrase_file: str | None,
    ssh_comment: str | None,
    operator: str | None,
    passphrase_file: str | None,
    home_override: str | None,
    as_json: bool,
) -> None:
    """Enrol a person's key, made here or held by ssh-agent."""
    home = home_of(ctx, home_override)
    require(home)
    check_handle(name)
    tell_settled(home)
    path = operator_path(home.root, name)
    if path.exists():
        raise Refused("IDENTITY_TAKEN", f"{path} exists.", "Choose another name.")
    who = unlock(home, operator, passphrase_file)
    with reading(home) as reader:
        origin = readers.origin(reader)
    if ssh_comment is not None:
        agent_signer = AgentSigner(operator_name(origin, name), _agent_key(ssh_comment))
        found = enrol_with_file(
            path,
            agent_signer,
            lambda made: write_agent(made, agent_signer.key.public),
            lambda: enrol(home, who, agent_signer, f"op:{name}", role, None),
        )
        emit_json({"principal": f"op:{name}", **found}) if as_json else say(f"op:{name}  in ssh-agent")
        return
    key = new_key()
    passphrase = None if is_open else new_passphrase(new_passphrase_file, name, home.root.name)
    signer = Signer(operator_name(origin, name), key)
    found = enrol_with_file(
        path,
        signer,
        lambda made: write_key(made, key, passphrase),
        lambda: enrol(home, who, signer, f"op:{name}", role, None),
    )
    emit_json({"principal": f"op:{name}", **found}) if as_json else say(f"op:{name}  key {path}")


@operator.command()
@click.argument("name")
@click.option("--seed-file", required=True, type=click.Path(exists=True, dir_okay=False), metavar="FILE",
              help="Holds the recovery seed that init printed.")  # fmt: skip
@click.option("--insecure-no-passphrase", "is_open", is_flag=True)
@click.option("--new-passphrase-file", type=click.Path(exists=True, dir_okay=False))
@home_option
@json_option
@click.pass_context
def recover(
    ctx: click.Context,
    name: str,
    seed_file: str,
    is_open: bool,
    new_passphrase_file: str | None,
    home_override: str | None,
    as_json: bool,
) -> None:
    """A new key for the owner NAME who lost his, signed by the recovery key; his old key counts no more."""
    home = home_of(ctx, home_override)
    check_handle(name)
    require(home)
    try:
        seed = bytes.fromhex(read_secret(Path(seed_file)).strip())
        recovery = SigningKey(seed)
    except ValueError as error:
        raise Refused("SEED", f"{seed_file} holds no recovery seed.", "64 hexadecimal digits.") from error
    passphrase = None if is_open else new_passphrase(new_passphrase_file, name, home.root.name)
    tell_settled(home)
    with reading(home) as reader:
        origin, size = readers.origin(reader), readers.size(reader)
        rows = [row for row in readers.keys(reader) if row["principal"] == f"op:{name}"]
    live = [row["vkey"] for row in rows if row["revoked_after"] is None and row["role"] != "recovery"]
    if not any(row["role"] == "owner" for row in rows):
        raise Refused("NO_OWNER", f"op:{name} was never an owner.", "inalpha operator list")
    who = Operator(Signer(recovery_name(origin), recovery), f"op:{name}")
    path, key = operator_path(home.root, name), new_key()
    signer = Signer(operator_name(origin, name), key)

    def replace_keys() -> dict[str, Any]:
        for vkey in live:
            data = {"principal": f"op:{name}", "valid_through_seq": size - 1, "vkey": vkey}
            send(home, "key.revoke", {"data": data, "gate": gate(home, who, "key.revoke", data)}, who)
        return enrol(home, who, signer, f"op:{name}", "owner", None)

    found = enrol_with_file(path, signer, lambda made: write_key(made, key, passphrase), replace_keys)
    emit_json({"principal": f"op:{name}", **found}) if as_json else say(f"op:{name}  key {path}")


def _agent_key(comment: str) -> bytes:
    """The public half of the one key in ssh-agent that has this comment."""
    found = [item for item in identities() if item.comment == comment]
    if len(found) != 1:
        raise Refused(
            "SSH_AGENT", f"the agent holds {len(found)} Ed25519 keys {comment!r}.", "'ssh-add -l' lists them."
        )
    return found[0].public


def _list(ctx: click.Context, home_override: str | None, as_json: bool, roles: tuple[str, ...]) -> None:
    home = home_of(ctx, home_override)
    with reading(home) as reader:
        rows = [row for row in readers.keys(reader) if row["role"] in roles]
    names = ("principal", "role", "sponsor", "enrolled_seq", "revoked_after", "vkey")
    items = [{name: row[name] for name in names} for row in rows]
    if as_json:
        emit_items(items)
    else:
        table([[item[name] for name in names[:-1]] for item in items], names[:-1])


@agent.command("list")
@home_option
@json_option
@click.pass_context
def agent_list(ctx: click.Context, home_override: str | None, as_json: bool) -> None:
    """Agents and their sponsors."""
    _list(ctx, home_override, as_json, ("proposer",))


@operator.command("list")
@home_option
@json_option
@click.pass_context
def operator_list(ctx: click.Context, home_override: str | None, as_json: bool) -> None:
    """People and their roles."""
    _list(ctx, home_override, as_json, ("owner", "operator", "recovery"))


def _revoke(
    ctx: click.Context,
    principal: str,
    named: str | None,
    passphrase_file: str | None,
    home_override: str | None,
    as_json: bool,
) -> None:
    home = home_of(ctx, home_override)
    require(home)
    with reading(home) as reader:
        rows = [
            row
            for row in readers.keys(reader)
            if row["principal"] == principal and row["revoked_after"] is None and row["role"] != "recovery"
        ]
        size = readers.size(reader)
    if not rows:
        raise Refused("NO_KEY", f"{principal} has no key that counts.", "inalpha operator list")
    who = unlock(home, named, passphrase_file)
    data = {"principal": principal, "valid_through_seq": size - 1, "vkey": rows[-1]["vkey"]}
    found = send(home, "key.revoke", {"data": data, "gate": gate(home, who, "key.revoke", data)}, who)
    emit_json({"principal": principal, **found}) if as_json else say(f"{principal}  revoked")


@agent.command("revoke")
@click.argument("name")
@signing_options
@home_option
@json_option
@click.pass_context
def agent_revoke(
    ctx: click.Context,
    name: str,
    operator: str | None,
    passphrase_file: str | None,
    home_override: str | None,
    as_json: bool,
) -> None:
    """An agent's later signatures count no more."""
    _revoke(ctx, f"agent:{name}", operator, passphrase_file, home_override, as_json)


@operator.command("revoke")
@click.argument("name")
@signing_options
@home_option
@json_option
@click.pass_context
def operator_revoke(
    ctx: click.Context,
    name: str,
    operator: str | None,
    passphrase_file: str | None,
    home_override: str | None,
    as_json: bool,
) -> None:
    """A person's later signatures count no more."""
    _revoke(ctx, f"op:{name}", operator, passphrase_file, home_override, as_json)
