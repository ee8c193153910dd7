"""What every verb that changes something needs: the operator's key, signed notes, one command and its reply."""

from __future__ import annotations

import getpass
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from inalpha.audit.keys import agent_name, agent_path, load_signer
from inalpha.client import presence
from inalpha.client.newkeys import settle
from inalpha.client.operator import (
    Commitment,
    Operator,
    choose_operator,
    gate,
    load_operator,
    needs_passphrase,
    reading,
)
from inalpha.client.passphrase import check_passphrase
from inalpha.ledger import readers
from inalpha.model.errors import ConfigError, Refused
from inalpha.model.home import Home
from inalpha.model.plain import plain
from inalpha.model.secretfile import read_secret

__all__ = [
    "Commitment",
    "Operator",
    "choose_operator",
    "gate",
    "read_passphrase",
    "reading",
    "send",
    "unlock",
    "unlock_agent",
]


def unlock(home: Home, named: str | None, passphrase_file: str | None) -> Operator:
    """The operator's key; asks for the passphrase on the terminal unless a file gives it."""
    handle = choose_operator(home, named)
    passphrase: str | None = None
    if needs_passphrase(home, handle):
        passphrase = read_passphrase(passphrase_file, f"Passphrase of {handle}: ")
    return load_operator(home, handle, passphrase)


def unlock_agent(home: Home, name: str) -> Operator:
    """An agent's key, an open file."""
    settle(home)
    path = agent_path(home.root, name)
    if not path.exists():
        raise ConfigError("NO_KEY", f"{home.root} holds no key of agent {name}.", f"inalpha agent add {name}")
    with reading(home) as reader:
        origin = readers.origin(reader)
    return Operator(load_signer(path, agent_name(origin, name)), f"agent:{name}")


def read_passphrase(file: str | None, prompt: str) -> str:
    """From a file (its first line) or the terminal; never from an argument."""
    if file is not None:
        return read_secret(Path(file)).partition("\n")[0].rstrip("\r")
    if not sys.stdin.isatty():
        raise Refused(
            "PASSPHRASE", "a passphrase is needed and no terminal asks for it.", "--passphrase-file FILE"
        )
    return getpass.getpass(plain(prompt))


def new_passphrase(file: str | None, handle: str, *names: str) -> str:
    """One for a key that is being made: typed twice, and strong. names: what else a guesser tries first."""
    first = read_passphrase(file, f"New passphrase of {handle}: ")
    if file is None and read_passphrase(None, "Again: ") != first:
        raise Refused("PASSPHRASE", "the two passphrases differ.", "Try again; nothing was made.")
    check_passphrase(first, handle, *names)
    return first


def send(
    home: Home,
    command: str,
    args: Mapping[str, Any],
    operator: Operator | None = None,
    timeout_s: float = 20.0,
) -> dict[str, Any]:
    """Ask the daemon. Without an operator the slot's own key signs: enough to halt and to stop.

    Raises NoDaemon (3), what the daemon refused with, or TryAgain (75) when no reply came.
    """
    from inalpha.client.ask import ask  # the bus costs a reading verb a sixth of its time

    return ask(presence.require(home), command, args, operator, timeout_s)
