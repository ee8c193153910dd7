"""Credentials of the bus as 0600 files: tokens for every identity, signing seeds for consoles and CLIs.

Consoles and CLIs take a free slot by flock, so no two clients ever share a name.
"""

from __future__ import annotations

import base64
import fcntl
import hashlib
import os
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from nacl.signing import SigningKey

from inalpha.bus.topics import DAEMON, LOCAL_HOST, check_identity
from inalpha.model.errors import TryAgain

CONSOLE_SLOTS = 32
CLI_SLOTS = 32
SELF_TEST = ("host-selftest-a", "host-selftest-b")
_ITERATIONS = 101  # the token already holds 256 random bits; stretching it would only cost time


@dataclass(frozen=True, slots=True)
class Slot:
    """A taken identity: its bus token and its own signing key (halt, stop and cancel accept it)."""

    identity: str
    token: str
    key: SigningKey


def slot_identities() -> list[str]:
    """Every console and CLI identity there is."""
    consoles = [f"console-{n:02d}" for n in range(1, CONSOLE_SLOTS + 1)]
    return consoles + [f"cli-{n:02d}" for n in range(1, CLI_SLOTS + 1)]


def make_credentials(
    run_dir: Path,
    hosts: tuple[str, ...] = (LOCAL_HOST,),
    *,
    tokens: Mapping[str, str] | None = None,
    daemon_seed: str | None = None,
) -> dict[str, str]:
    """Write tokens and seeds for everybody; returns identity -> token. Both are fresh unless given.

    tokens: those that an external broker knows. run_dir is made 0700. Signing seeds: consoles, CLIs, the
    local hosts and the daemon.
    """
    run_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    os.chmod(run_dir, 0o700)
    folder = run_dir / "slots"
    folder.mkdir(mode=0o700, exist_ok=True)
    made = {}
    for identity in (DAEMON, *hosts, *SELF_TEST, *slot_identities()):
        token = secrets.token_hex(32) if tokens is None else tokens[identity]
        made[check_identity(identity)] = token
        write_private(folder / f"{identity}.token", token)
        if identity not in SELF_TEST:
            known = daemon_seed if identity == DAEMON else None
            write_private(folder / f"{identity}.seed", known or secrets.token_hex(32))
    return made


def write_private(path: Path, text: str) -> None:
    """Create or replace a 0600 file. The inode is kept: a flock on it stays valid."""
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with os.fdopen(fd, "w", encoding="ascii") as file:
        os.fchmod(fd, 0o600)
        file.write(text)


def read_token(run_dir: Path, identity: str) -> str:
    """The identity's present bus token. Raises OSError."""
    return (run_dir / "slots" / f"{identity}.token").read_text(encoding="ascii")


def read_key(run_dir: Path, identity: str) -> SigningKey:
    """The identity's signing key. Raises OSError or ValueError."""
    return SigningKey(bytes.fromhex((run_dir / "slots" / f"{identity}.seed").read_text(encoding="ascii")))


def public_keys(run_dir: Path) -> dict[str, bytes]:
    """identity -> Ed25519 public key of every seed file (the daemon's own copy)."""
    return {
        path.stem: bytes(read_key(run_dir, path.stem).verify_key)
        for path in sorted((run_dir / "slots").glob("*.seed"))
    }


@contextmanager
def take_slot(run_dir: Path, kind: str) -> Iterator[Slot]:
    """Hold a free console or cli slot. Raises TryAgain("NO_SLOT") when all are taken."""
    for identity in slot_identities():
        if not identity.startswith(f"{kind}-"):
            continue
        path = run_dir / "slots" / f"{identity}.token"
        try:
            fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            continue
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(fd)
            continue
        try:
            yield Slot(identity, read_token(run_dir, identity), read_key(run_dir, identity))
        finally:
            os.close(fd)
        return
    raise TryAgain("NO_SLOT", f"no free {kind} slot in {run_dir}", "Close one, or start the daemon.")


def mosquitto_password_line(identity: str, token: str) -> str:
    """A line of mosquitto's password file (PBKDF2-SHA512); mosquitto_passwd would show tokens in ps."""
    salt = secrets.token_bytes(12)
    digest = hashlib.pbkdf2_hmac("sha512", token.encode(), salt, _ITERATIONS, 64)
    encoded = base64.b64encode(salt).decode(), base64.b64encode(digest).decode()
    return f"{identity}:$7${_ITERATIONS}${encoded[0]}${encoded[1]}"
