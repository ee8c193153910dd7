"""An operator's key that lives in ssh-agent: it signs gates as SSHSIG and never leaves the agent.

Source: draft-ietf-sshm-ssh-agent (messages 11 to 14), openssh PROTOCOL.sshsig. Only Ed25519.
"""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass
from hashlib import sha512
from typing import NoReturn

from inalpha.audit import sshsig
from inalpha.audit.notes import ED25519, NoteError, VerifierKey, b64encode
from inalpha.model.errors import Refused

TIMEOUT_S = 60.0  # an agent may ask its owner first
MAX_ANSWER = 1 << 18
LINE = 70
_LIST, _IDENTITIES, _SIGN, _SIGNED = 11, 12, 13, 14
_TYPE = b"ssh-ed25519"


@dataclass(frozen=True, slots=True)
class AgentIdentity:
    """An Ed25519 key that the agent holds."""

    public: bytes
    comment: str


def identities() -> list[AgentIdentity]:
    """The agent's Ed25519 keys. Raises Refused("SSH_AGENT") where no agent answers."""
    kind, body = _ask(bytes((_LIST,)))
    if kind != _IDENTITIES:
        raise _refused("the agent does not list its keys")
    reader = sshsig.Reader(body)
    found = []
    for _ in range(int.from_bytes(reader.take(4), "big")):
        blob, comment = reader.string(), reader.string()
        key = sshsig.Reader(blob)
        if key.string() == _TYPE:
            found.append(AgentIdentity(key.string(), comment.decode("utf-8", "replace")))
    return found


def sign_raw(public: bytes, data: bytes) -> bytes:
    """The agent's Ed25519 signature (64 bytes) over data. Raises Refused."""
    blob = sshsig.string(_TYPE) + sshsig.string(public)
    kind, body = _ask(bytes((_SIGN,)) + sshsig.string(blob) + sshsig.string(data) + bytes(4))
    if kind != _SIGNED:
        raise _refused("the agent does not hold this key, or its owner said no")
    try:
        signature = sshsig.Reader(sshsig.Reader(body).string())
        name, value = signature.string(), signature.string()
    except NoteError as error:
        raise _refused(f"the agent's answer is malformed ({error})") from error
    if name != _TYPE or len(value) != 64:
        raise _refused("the agent answers with another kind of signature")
    return value


def sign_armoured(public: bytes, message: bytes, namespace: str) -> str:
    """An armoured SSHSIG over message."""
    parts = (namespace.encode(), b"", b"sha512")
    signed = sshsig.MAGIC + b"".join(map(sshsig.string, (*parts, sha512(message).digest())))
    value = sign_raw(public, signed)
    key = sshsig.string(_TYPE) + sshsig.string(public)
    signature = sshsig.string(_TYPE) + sshsig.string(value)
    blob = sshsig.MAGIC + (1).to_bytes(4, "big") + b"".join(map(sshsig.string, (key, *parts, signature)))
    text = b64encode(blob)
    lines = [text[at : at + LINE] + "\n" for at in range(0, len(text), LINE)]
    return sshsig.BEGIN + "".join(lines) + sshsig.END


class AgentKey:
    """What stands in a signer's place for a key that cannot be read."""

    __slots__ = ("public",)

    def __init__(self, public: bytes) -> None:
        self.public = public

    @property
    def seed(self) -> NoReturn:
        raise _refused("a key in ssh-agent has no seed here")

    def sign(self, message: bytes) -> bytes:
        return sign_raw(self.public, message)


class AgentSigner:
    """A named key of the agent; `armour` signs the text of a gate."""

    __slots__ = ("key", "vkey")

    def __init__(self, name: str, public: bytes) -> None:
        self.key = AgentKey(public)
        self.vkey = VerifierKey(name, ED25519, public)

    @property
    def name(self) -> str:
        return self.vkey.name

    def check(self) -> None:
        """Raise Refused("SSH_AGENT") unless an agent answers that it holds the key."""
        if all(found.public != self.key.public for found in identities()):
            raise _refused("the agent does not hold this key")

    def armour(self, text: bytes, namespace: str) -> str:
        return sign_armoured(self.key.public, text, namespace)


def _ask(message: bytes) -> tuple[int, bytes]:
    path = os.environ.get("SSH_AUTH_SOCK")
    if not path:
        raise _refused("SSH_AUTH_SOCK is not set")
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as agent:
            agent.settimeout(TIMEOUT_S)
            agent.connect(path)
            agent.sendall(sshsig.string(message))
            length = int.from_bytes(_exactly(agent, 4), "big")
            if not 1 <= length <= MAX_ANSWER:
                raise _refused("the agent's answer has no sane length")
            answer = _exactly(agent, length)
    except OSError as error:
        raise _refused(f"the agent does not answer ({error})") from error
    return answer[0], answer[1:]


def _exactly(agent: socket.socket, count: int) -> bytes:
    data = b""
    while len(data) < count:
        piece = agent.recv(count - len(data))
        if not piece:
            raise OSError("it hung up")
        data += piece
    return data


def _refused(why: str) -> Refused:
    return Refused("SSH_AGENT", f"{why}.", "Start ssh-agent, 'ssh-add' the key, and try again.")
