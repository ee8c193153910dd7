"""`bus export` and `host`: an external broker's files, and other machines that run strategies."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click
from nacl.signing import SigningKey as BusKey

from inalpha.audit.keys import host_name, make_private, new_key, write_durable
from inalpha.audit.notes import Signer, parse_vkey
from inalpha.bus import external
from inalpha.bus.slots import SELF_TEST
from inalpha.bus.topics import LOCAL_HOST
from inalpha.cli.client import gate, reading, send, unlock
from inalpha.cli.health import read_status
from inalpha.cli.keys import check_handle, tell_settled
from inalpha.cli.main import home_of
from inalpha.cli.options import home_option, json_option, signing_options
from inalpha.cli.output import emit_items, emit_json, say, table
from inalpha.client.newkeys import enrol_with_file
from inalpha.daemon.config import load_config
from inalpha.daemon.presence import require
from inalpha.ledger import readers
from inalpha.model.errors import ConfigError, Refused
from inalpha.model.home import Home


@click.group()
def bus() -> None:
    """The external broker of [bus] url: export."""


@click.group()
def host() -> None:
    """Other machines that run strategies: add, list, revoke."""


@bus.command("export")
@click.argument("directory", metavar="DIR", type=click.Path(path_type=Path, file_okay=False))
@home_option
@json_option
@click.pass_context
def export(ctx: click.Context, directory: Path, home_override: str | None, as_json: bool) -> None:
    """Write passwd, acl and mosquitto.conf for the broker's machine. Again after each `host add` or `revoke`."""
    home = home_of(ctx, home_override)
    written = export_to(home, directory.absolute())
    emit_json({"written": [str(path) for path in written]}) if as_json else say(*written)


def export_to(home: Home, directory: Path) -> list[Path]:
    """The files of an external broker."""
    with reading(home) as reader:
        instance = readers.origin(reader).rpartition("/")[2]
        hosts = [f"host-{item['name']}" for item in enrolled(reader) if item["revoked_after"] is None]
    make_private(home.bus)
    return external.export(home.bus, directory, instance, hosts)


def enrolled(reader: Any) -> list[dict[str, Any]]:
    """Hosts by the ledger, also those whose key was revoked."""
    rows = [dict(row) for row in readers.keys(reader) if row["role"] == "host"]
    return [{**row, "name": parse_vkey(row["vkey"]).name.rpartition("/")[2]} for row in rows]


@host.command("add")
@click.argument("name")
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), required=True, metavar="FILE")
@signing_options
@home_option
@json_option
@click.pass_context
def add(
    ctx: click.Context,
    name: str,
    out: Path,
    operator: str | None,
    passphrase_file: str | None,
    home_override: str | None,
    as_json: bool,
) -> None:
    """Enrol a machine; FILE (0600) holds all that it needs to join. Move it there, keep no copy."""
    home = home_of(ctx, home_override)
    require(home)
    check_handle(name)
    settings = load_config(home.config).bus
    if not settings.url:
        raise ConfigError(
            "NO_BUS_URL", "a remote host needs an external broker.", "Set [bus] url, then restart the daemon."
        )
    tell_settled(home, out)
    with reading(home) as reader:
        origin = readers.origin(reader)
        taken = any(row["name"] == name and row["revoked_after"] is None for row in enrolled(reader))
    if f"host-{name}" in (LOCAL_HOST, *SELF_TEST):
        raise Refused("IDENTITY_TAKEN", f"{name} is the daemon's own.", "Choose another name.")
    if taken:
        raise Refused("IDENTITY_TAKEN", f"there is a host {name}.", f"inalpha host revoke {name}")
    if out.exists():
        raise Refused("FILE_EXISTS", f"{out} exists.", "Choose another file.")
    who = unlock(home, operator, passphrase_file)
    key = new_key()
    signer = Signer(host_name(origin, name), key)
    data = {"principal": None, "role": "host", "sponsor": None, "vkey": signer.vkey.text}
    (home.bus / f"host-{name}.token").unlink(missing_ok=True)  # of an earlier host of this name
    bundle = _bundle(home, name, origin.rpartition("/")[2], key.seed)
    found = enrol_with_file(
        out.absolute(),
        signer,
        lambda made: write_durable(made, json.dumps(bundle)),
        lambda: send(home, "key.enrol", {"data": data, "gate": gate(home, who, "key.enrol", data)}, who),
    )
    if as_json:
        emit_json({"host": f"host-{name}", "credentials": str(out), **found})
        return
    say(f"host-{name}  credentials {out}")
    say("next: inalpha bus export DIR, copy its passwd to the broker and send it SIGHUP;", err=True)
    say(f"there: python -m runners.host --name {name} --credentials {out.name}", err=True)


def _bundle(home: Home, name: str, instance: str, seed: bytes) -> dict[str, Any]:
    settings = load_config(home.config).bus
    ca = settings.ca_path(home.root)
    daemon = BusKey(bytes.fromhex(external.daemon_seed(home.bus)))
    return {
        "v": 1,
        "name": name,
        "url": settings.url,
        "ca": Path(ca).read_text(encoding="ascii") if ca else None,
        "root": external.root_of(instance),
        "instance": instance,
        "daemon_key": bytes(daemon.verify_key).hex(),
        "token": external.make_secret(home.bus, f"host-{name}.token"),
        "seed": seed.hex(),
    }


@host.command("list")
@home_option
@json_option
@click.pass_context
def list_(ctx: click.Context, home_override: str | None, as_json: bool) -> None:
    """Hosts, their level (of another machine: as it claims) and the age of their last beat."""
    home = home_of(ctx, home_override)
    with reading(home) as reader:
        known = enrolled(reader)
    live = {str(item["name"]): item for item in read_status(home)["hosts"]}
    items = [live[name] | {"revoked_after": None} for name in live if name == LOCAL_HOST]
    for row in known:
        seen = live.get(f"host-{row['name']}", {}) if row["revoked_after"] is None else {}
        items.append(
            {
                "name": f"host-{row['name']}",
                "is_remote": True,
                "is_up": seen.get("is_up", False),
                "level": seen.get("level"),
                "level_is": "claimed",
                "beat_age_s": seen.get("beat_age_s"),
                "pid": None,
                "runs": seen.get("runs", 0),
                "revoked_after": row["revoked_after"],
            }
        )
    if as_json:
        emit_items(items)
    else:
        columns = ("name", "is_up", "level", "level_is", "beat_age_s", "runs", "revoked_after")
        table([[item[column] for column in columns] for item in items], columns)


@host.command("revoke")
@click.argument("name")
@signing_options
@home_option
@json_option
@click.pass_context
def revoke(
    ctx: click.Context,
    name: str,
    operator: str | None,
    passphrase_file: str | None,
    home_override: str | None,
    as_json: bool,
) -> None:
    """A host's words count no more; its runs go on at the local host, by replay."""
    home = home_of(ctx, home_override)
    require(home)
    with reading(home) as reader:
        rows = [row for row in enrolled(reader) if row["name"] == name and row["revoked_after"] is None]
        size = readers.size(reader)
    if not rows:
        raise Refused("NO_KEY", f"there is no host {name}.", "inalpha host list")
    who = unlock(home, operator, passphrase_file)
    data = {"principal": None, "valid_through_seq": size - 1, "vkey": rows[-1]["vkey"]}
    found = send(home, "key.revoke", {"data": data, "gate": gate(home, who, "key.revoke", data)}, who)
    (home.bus / f"host-{name}.token").unlink(missing_ok=True)
    emit_json({"host": f"host-{name}", **found}) if as_json else say(
        f"host-{name}  revoked; bar it from the broker too: inalpha bus export DIR"
    )
