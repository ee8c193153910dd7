"""`init`: a home with its ledger, keys and settings."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Callable
from pathlib import Path

import click

from inalpha import __version__
from inalpha.audit.client import sign_gate
from inalpha.audit.keys import (
    load_signer,
    make_private,
    new_key,
    operator_name,
    operator_path,
    sync_directory,
    write_durable,
    write_open,
    write_sealed,
)
from inalpha.cli.client import new_passphrase
from inalpha.cli.main import named_home
from inalpha.cli.options import home_option, json_option
from inalpha.cli.output import emit_json, say
from inalpha.daemon.config import DEFAULT_TEXT
from inalpha.ledger import readers
from inalpha.ledger.txn import Txn
from inalpha.ledger.writer import Genesis, Ledger
from inalpha.model import latch
from inalpha.model.errors import EXIT_USAGE, InalphaError, Refused
from inalpha.model.home import Home
from inalpha.model.money import MOST_CASH_E8, e8_from_text, text_from_e8
from inalpha.model.ownership import owner_account_id
from inalpha.risk.rules import default_text, parse_rules

_LEDGER_FILES = ("ledger.db*", "blobs.db*", "log.key*", "head", "head.checkpoint*", "folded.*", "lock")
HANDLE = re.compile(r"[a-z0-9][a-z0-9-]{0,35}\Z")


@click.command()
@home_option
@click.option(
    "--operator", default=None, metavar="NAME", help="The owner's handle (default: your user name)."
)
@click.option("--cash", default="100000", show_default=True, help="Opening cash of the paper account.")
@click.option("--currency", default="USD", show_default=True)
@click.option("--insecure-no-passphrase", "is_open", is_flag=True, help="An open key: demos and tests only.")
@click.option("--passphrase-file", type=click.Path(exists=True, dir_okay=False))
@json_option
@click.pass_context
def init(
    ctx: click.Context,
    home_override: str | None,
    operator: str | None,
    cash: str,
    currency: str,
    is_open: bool,
    passphrase_file: str | None,
    as_json: bool,
) -> None:
    """Make the home: ledger, log key, operator key, inalpha.toml and risk.toml."""
    home = named_home(ctx, home_override)
    handle = operator or _user_handle()
    passphrase = None if is_open else new_passphrase(passphrase_file, handle, home.root.name)

    def tell(genesis: Genesis) -> None:
        _tell(home, handle, genesis, is_open=is_open, as_json=as_json)

    create_home(home, handle, cash, currency, passphrase, tell=tell)


def _tell(home: Home, handle: str, genesis: Genesis, *, is_open: bool, as_json: bool) -> None:
    """The one time that the recovery seed is shown."""
    if as_json:
        emit_json(
            {
                "home": str(home.root),
                "operator": f"op:{handle}",
                "account": owner_account_id(handle),
                "genesis": genesis.hex,
                "recovery_seed": genesis.recovery_seed,
                "open_key": is_open,
            }
        )
        return
    say(f"home      {home.root}")
    say(f"operator  op:{handle}, account {owner_account_id(handle)}")
    say(f"genesis   {genesis.hex}")
    say("          Keep this outside the machine: it anchors every later verification.")
    say(f"recovery  {genesis.recovery_seed}")
    say("          Write this on paper now. It is shown once and kept nowhere.")
    if is_open:
        say("warning: the operator key is open (no passphrase).", err=True)


def create_home(
    home: Home,
    handle: str,
    cash: str,
    currency: str,
    passphrase: str | None,
    risk_overrides: dict[str, dict[str, object]] | None = None,
    config_text: str = DEFAULT_TEXT,
    tell: Callable[[Genesis], None] = lambda genesis: None,
) -> Genesis:
    """Everything that `init` makes; nothing is left behind when it refuses. passphrase None: an open key.

    Killed before tell has returned, there is no home: the next call clears away what there is and makes it anew.
    """
    _check(home, handle, cash, currency)
    config, risk = config_text, default_text(risk_overrides)
    make_private(home.root)
    _clear_unfinished(home)
    if operator_path(home.root, handle).exists():
        raise Refused(
            "KEY_EXISTS",
            f"{home.root} holds a key of {handle} and no ledger.",
            "Restore a backup, or move it.",
        )
    write_durable(home.making, handle)
    for folder in (home.keys, home.keys / "op", home.keys / "agent", home.clients, home.log):
        make_private(folder)
    key, path = new_key(), operator_path(home.root, handle)
    if passphrase is None:
        write_open(path, key)
    else:
        write_sealed(path, key, passphrase)
    _write(home.config, config)
    _write(home.risk, risk)
    latch.create(home.latch)
    genesis = Ledger.create(
        home.root,
        owner=handle,
        owner_signer=key,
        cash=text_from_e8(e8_from_text(cash)),
        currency=currency,
        config_sha256=hashlib.sha256(config.encode()).hexdigest(),
        app=f"inalpha {__version__}",
    )
    _sign_first_limits(home, handle, passphrase)
    tell(genesis)
    home.making.unlink()
    sync_directory(home.root)
    return genesis


def _clear_unfinished(home: Home) -> None:
    """What a killed init made. Its key goes before its mark: a key of its own is no stranger's."""
    if not home.making.exists():
        return
    handle = home.making.read_text(encoding="utf-8")
    if HANDLE.match(handle):
        operator_path(home.root, handle).unlink(missing_ok=True)
    for name in _LEDGER_FILES:
        for path in home.root.glob(name):
            path.unlink(missing_ok=True)
    for path in (*(home.root / "checkpoints").glob("*"), *home.clients.glob("seen-*")):
        path.unlink(missing_ok=True)
    sync_directory(home.root)
    home.making.unlink()


def _sign_first_limits(home: Home, handle: str, passphrase: str | None) -> None:
    """The first rules in force need a person, who is here."""
    rules = parse_rules(home.risk.read_text(encoding="utf-8"), handle)
    data = {"account": owner_account_id(handle), "direction": "loosen", "rules_sha256": rules.sha256}
    ledger = Ledger.open(home.root, app=f"inalpha {__version__}")
    try:
        reader = readers.open_reader(home.root)
        origin = readers.origin(reader)
        signer = load_signer(operator_path(home.root, handle), operator_name(origin, handle), passphrase)
        note = sign_gate(reader, signer, "limits.set", data, memory=home.clients)
        reader.close()

        def job(txn: Txn) -> None:
            txn.blob(rules.canonical.encode())
            txn.line("limits.set", f"op:{handle}", data, gate=note)

        ledger.submit(job).result()
    finally:
        ledger.close("init")


def _check(home: Home, handle: str, cash: str, currency: str) -> None:
    if home.exists:
        raise Refused("LEDGER_EXISTS", f"{home.root} already holds a ledger.", "Choose another --home.")
    if not HANDLE.match(handle):
        fix = "Lower-case letters, digits and hyphens, at most 36, the first no hyphen."
        raise InalphaError(
            "OPERATOR_NAME", f"{handle!r} cannot be an operator's name.", fix, exit_code=EXIT_USAGE
        )
    try:
        amount = e8_from_text(cash)
    except ValueError:
        amount = 0
    if not 0 < amount <= MOST_CASH_E8:
        raise InalphaError(
            "CASH",
            f"{cash!r} is no opening cash.",
            "A decimal above zero and at most ten thousand million, such as 100000.",
            exit_code=EXIT_USAGE,
        )
    if not (currency.isascii() and currency.isalpha() and currency.isupper() and 3 <= len(currency) <= 8):
        fix = "Three to eight capital letters, such as USD."
        raise InalphaError("CURRENCY", f"{currency!r} is no currency.", fix, exit_code=EXIT_USAGE)


def _write(path: Path, text: str) -> None:
    """An existing file of the person's own is kept."""
    if not path.exists():
        path.write_text(text, encoding="utf-8")
        os.chmod(path, 0o600)


def _user_handle() -> str:
    name = re.sub(r"[^a-z0-9-]", "-", os.environ.get("USER", "owner").lower()).strip("-")[:36]
    return name or "owner"
