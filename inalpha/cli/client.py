"""What every verb that changes something needs: the operator's key, signed notes, one command and its reply."""

from __future__ import annotations

import asyncio
import getpass
import hashlib
import hmac
import os
import sqlite3
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nacl.signing import SigningKey as BusKey

from inalpha.audit.client import sign_gate
from inalpha.audit.keys import agent_name, agent_path, is_open, load_signer, operator_name, operator_path
from inalpha.audit.notes import Signer
from inalpha.bus import slots
from inalpha.bus.client import BusClient
from inalpha.bus.command import CommandClient
from inalpha.daemon import presence
from inalpha.ledger import readers
from inalpha.model.errors import ConfigError, Refused
from inalpha.model.home import Home


@dataclass(frozen=True, slots=True)
class Operator:
    """An unlocked key and whom it speaks for."""

    signer: Signer
    principal: str

    @property
    def handle(self) -> str:
        return self.principal.partition(":")[2]


def _handles(folder: Path) -> list[str]:
    return sorted(path.stem for path in folder.glob("*.key"))


def choose_operator(home: Home, named: str | None) -> str:
    """The operator whose key lies in this home; --operator decides where there are several."""
    found = _handles(home.keys / "op")
    if named is not None:
        if named not in found:
            raise ConfigError("NO_KEY", f"{home.root} holds no key of {named}.", f"Keys: {', '.join(found)}.")
        return named
    if len(found) != 1:
        raise ConfigError(
            "WHICH_OPERATOR",
            f"{home.root} holds {len(found)} operator keys.",
            f"--operator {'|'.join(found)}",
        )
    return found[0]


def unlock(home: Home, named: str | None, passphrase_file: str | None) -> Operator:
    """The operator's key; asks for the passphrase on the terminal unless a file gives it."""
    handle = choose_operator(home, named)
    path = operator_path(home.root, handle)
    passphrase: str | None = None
    if not is_open(path):
        passphrase = read_passphrase(passphrase_file, f"Passphrase of {handle}: ")
    with reading(home) as reader:
        origin = readers.origin(reader)
    return Operator(load_signer(path, operator_name(origin, handle), passphrase), f"op:{handle}")


def unlock_agent(home: Home, name: str) -> Operator:
    """An agent's key, an open file."""
    path = agent_path(home.root, name)
    if not path.exists():
        raise ConfigError("NO_KEY", f"{home.root} holds no key of agent {name}.", f"inalpha agent add {name}")
    with reading(home) as reader:
        origin = readers.origin(reader)
    return Operator(load_signer(path, agent_name(origin, name)), f"agent:{name}")


def read_passphrase(file: str | None, prompt: str) -> str:
    """From a file (its first line) or the terminal; never from an argument."""
    if file is not None:
        return Path(file).read_text(encoding="utf-8").partition("\n")[0].rstrip("\r")
    if not sys.stdin.isatty():
        raise Refused(
            "PASSPHRASE", "a passphrase is needed and no terminal asks for it.", "--passphrase-file FILE"
        )
    return getpass.getpass(prompt)


class reading:
    """A read-only connection for the length of a with-block."""

    def __init__(self, home: Home) -> None:
        self._home = home

    def __enter__(self) -> sqlite3.Connection:
        self._reader = readers.open_reader(self._home.root)
        return self._reader

    def __exit__(self, *error: object) -> None:
        self._reader.close()


@dataclass(frozen=True, slots=True)
class Commitment:
    """A text and the salted HMAC that stands for it in a signed note, so that it can be erased later."""

    text: str
    salt: str
    commit: str

    @classmethod
    def of(cls, text: str) -> Commitment:
        salt = os.urandom(32)
        return cls(text, salt.hex(), hmac.new(salt, text.encode(), hashlib.sha256).hexdigest())

    def args(self) -> dict[str, str]:
        return {"reason": self.text, "salt": self.salt, "reason_commit": self.commit}


def gate(home: Home, operator: Operator, kind: str, subject: Mapping[str, Any]) -> str:
    """A gate note over the tree that this home shows, consistent with the last one this person signed on."""
    with reading(home) as reader:
        return sign_gate(reader, operator.signer, kind, subject, memory=home.clients)


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
    found = presence.require(home)
    return asyncio.run(_send(found, command, args, operator, timeout_s))


async def _send(
    found: presence.Presence,
    command: str,
    args: Mapping[str, Any],
    operator: Operator | None,
    timeout_s: float,
) -> dict[str, Any]:
    run_dir = Path(found.run_dir)
    with slots.take_slot(run_dir, "cli") as slot:
        async with BusClient(str(run_dir / "bus.sock"), slot.identity, slot.token) as client:
            key, kid = slot.key, slot.identity
            if operator is not None:
                key, kid = BusKey(operator.signer.key.seed), operator.signer.vkey.text
            ask = CommandClient(
                client, key, kid, instance=found.instance, daemon_key=bytes.fromhex(found.daemon_key)
            )
            await ask.start()
            return await ask.request(command, args, timeout_s)
