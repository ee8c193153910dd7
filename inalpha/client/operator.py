"""An operator at a client: the unlocked key, signed gate notes, and texts behind commitments."""

from __future__ import annotations

import hashlib
import hmac
import os
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from nacl.signing import SignedMessage, SigningKey

from inalpha.audit.client import sign_gate
from inalpha.audit.keys import is_in_agent, is_open, load_operator_signer, operator_name, operator_path
from inalpha.audit.notes import Signer
from inalpha.audit.sshagent import AgentSigner
from inalpha.client.newkeys import settle
from inalpha.ledger import readers
from inalpha.model.errors import ConfigError
from inalpha.model.home import Home


@dataclass(frozen=True, slots=True)
class Operator:
    """An unlocked key and whom it speaks for."""

    signer: Signer | AgentSigner
    principal: str

    @property
    def handle(self) -> str:
        return self.principal.partition(":")[2]


def operator_handles(home: Home) -> list[str]:
    """Whose operator keys lie in this home."""
    return sorted(path.stem for path in (home.keys / "op").glob("*.key"))


def choose_operator(home: Home, named: str | None) -> str:
    """The operator whose key lies in this home; --operator decides where there are several."""
    settle(home)
    found = operator_handles(home)
    if named is not None:
        if named not in found:
            raise ConfigError("NO_KEY", f"{home.root} holds no key of {named}.", f"Keys: {', '.join(found)}.")
        return named
    if not found:
        raise ConfigError(
            "NO_KEY", f"{home.root} holds no operator's key.", f"Put it into {home.keys / 'op'}."
        )
    if len(found) > 1:
        raise ConfigError(
            "WHICH_OPERATOR",
            f"{home.root} holds {len(found)} operator keys.",
            f"--operator {'|'.join(found)}",
        )
    return found[0]


def has_open_key(home: Home, handle: str) -> bool:
    """Whether this key needs no passphrase; every screen has to say so."""
    return is_open(operator_path(home.root, handle))


def needs_passphrase(home: Home, handle: str) -> bool:
    """Whether a passphrase unlocks it: neither open nor in ssh-agent."""
    path = operator_path(home.root, handle)
    return not is_open(path) and not is_in_agent(path)


def is_held_by_agent(home: Home, handle: str) -> bool:
    """Whether the key lives in ssh-agent."""
    return is_in_agent(operator_path(home.root, handle))


def load_operator(home: Home, handle: str, passphrase: str | None = None) -> Operator:
    """The unlocked key. Raises Refused("PASSPHRASE"), or ConfigError for a file that is no key."""
    with reading(home) as reader:
        origin = readers.origin(reader)
    path = operator_path(home.root, handle)
    return Operator(load_operator_signer(path, operator_name(origin, handle), passphrase), f"op:{handle}")


class reading:
    """A read-only connection for the length of a with-block."""

    def __init__(self, home: Home) -> None:
        self._home = home

    def __enter__(self) -> sqlite3.Connection:
        self._reader = readers.open_reader(self._home.root)
        return self._reader

    def __exit__(self, *error: object) -> None:
        self._reader.close()


class _AgentBusKey:
    """Signs envelopes through ssh-agent, in the place of PyNaCl's key."""

    def __init__(self, signer: AgentSigner) -> None:
        self._signer = signer

    def sign(self, message: bytes) -> SignedMessage:
        signature = self._signer.key.sign(message)
        return SignedMessage._from_parts(signature, message, signature + message)


def bus_key(signer: Signer | AgentSigner) -> Any:
    """What signs this operator's commands on the bus."""
    return _AgentBusKey(signer) if isinstance(signer, AgentSigner) else SigningKey(signer.key.seed)


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
