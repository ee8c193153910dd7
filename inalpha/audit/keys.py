"""Key files: where seeds rest, and the modes without which nothing starts.

A seed lies in a regular file 0600 inside a 0700 directory, both owned by this user; anything else exits 78.
An operator's file is sealed by a passphrase (Argon2id, SecretBox); log, agent and demo keys are open files.
"""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path
from typing import Any

from nacl import pwhash
from nacl.exceptions import CryptoError
from nacl.secret import SecretBox

from inalpha.audit.notes import NoteError, Signer, SigningKey, b64decode, b64encode
from inalpha.audit.sshagent import AgentSigner
from inalpha.model.errors import ConfigError, Refused

SSH_AGENT = "ssh-agent"
ARGON_OPS = 3
ARGON_MEMORY = 268_435_456


def new_key() -> SigningKey:
    return SigningKey(os.urandom(32))


def operator_name(origin: str, handle: str) -> str:
    return f"{origin}/op/{handle}"


def agent_name(origin: str, handle: str) -> str:
    return f"{origin}/agent/{handle}"


def host_name(origin: str, handle: str) -> str:
    return f"{origin}/host/{handle}"


def recovery_name(origin: str) -> str:
    return f"{origin}/recovery"


def operator_path(home: Path, handle: str) -> Path:
    return home / "keys" / "op" / f"{handle}.key"


def agent_path(home: Path, handle: str) -> Path:
    return home / "keys" / "agent" / f"{handle}.key"


def write_sealed(
    path: Path, key: SigningKey, passphrase: str, *, ops: int = ARGON_OPS, memory: int = ARGON_MEMORY
) -> None:
    """Store an operator's seed under its passphrase. The path must be new."""
    salt = os.urandom(pwhash.argon2id.SALTBYTES)
    nonce = os.urandom(SecretBox.NONCE_SIZE)
    box = SecretBox(_derive(passphrase, salt, ops, memory)).encrypt(key.seed, nonce).ciphertext
    write_secret(
        path,
        {
            "v": 1,
            "kdf": "argon2id",
            "ops": ops,
            "mem": memory,
            "salt": b64encode(salt),
            "nonce": b64encode(nonce),
            "box": b64encode(box),
        },
    )


def write_open(path: Path, key: SigningKey) -> None:
    """Store a seed without a passphrase: log and agent keys, and operators' keys of demos."""
    write_secret(path, {"v": 1, "kdf": "none", "seed": b64encode(key.seed)})


def is_open(path: Path) -> bool:
    """Whether the key file holds its seed without a passphrase; every screen has to say so."""
    return _read(path).get("kdf") == "none"


def load_key(path: Path, passphrase: str | None = None) -> SigningKey:
    """The key of a file. Raises ConfigError (modes, form) or Refused (wrong or missing passphrase)."""
    content = _read(path)
    try:
        if content["v"] != 1:
            raise KeyError("v")
        if content["kdf"] == "none":
            return SigningKey(b64decode(content["seed"]))
        if content["kdf"] != "argon2id":
            raise KeyError("kdf")
        salt, nonce, box = (b64decode(content[name]) for name in ("salt", "nonce", "box"))
        ops, memory = int(content["ops"]), int(content["mem"])
    except (KeyError, ValueError, TypeError, NoteError) as error:
        raise ConfigError("KEY_FILE", f"{path} is no key file.", "Restore it from your own copy.") from error
    if passphrase is None:
        raise Refused(
            "PASSPHRASE", f"{path.name} needs its passphrase.", "Give --passphrase-file or type it."
        )
    try:
        return SigningKey(SecretBox(_derive(passphrase, salt, ops, memory)).decrypt(box, nonce))
    except CryptoError as error:
        raise Refused("PASSPHRASE", f"wrong passphrase for {path.name}.", "Try again.") from error


def write_agent(path: Path, public: bytes) -> None:
    """Note that an operator's key lives in ssh-agent: the file holds its public half."""
    write_secret(path, {"v": 1, "kdf": SSH_AGENT, "public": b64encode(public)})


def is_in_agent(path: Path) -> bool:
    """Whether the key lives in ssh-agent, so that no passphrase is asked for here."""
    return _read(path).get("kdf") == SSH_AGENT


def load_operator_signer(path: Path, name: str, passphrase: str | None = None) -> Signer | AgentSigner:
    """An operator's signer: from the file's seed, or through ssh-agent."""
    content = _read(path)
    if content.get("kdf") != SSH_AGENT:
        return load_signer(path, name, passphrase)
    try:
        return AgentSigner(name, b64decode(content["public"]))
    except (KeyError, TypeError, NoteError) as error:
        raise ConfigError("KEY_FILE", f"{path} is no key file.", "Restore it from your own copy.") from error


def load_signer(path: Path, name: str, passphrase: str | None = None) -> Signer:
    """The named signer of a key file."""
    return Signer(name, load_key(path, passphrase))


def make_private(directory: Path) -> None:
    """Create a 0700 directory, or check the one that is there."""
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    check_private(directory)


def check_private(directory: Path) -> None:
    """Raise ConfigError unless it is a real directory of this user that nobody else can enter."""
    found = directory.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_mode & 0o077 or found.st_uid != os.getuid():
        raise ConfigError("KEY_MODE", f"{directory} is open to others.", f"chmod 700 {directory}")


def check_secret(path: Path) -> None:
    """Raise ConfigError unless it is a regular 0600 file of this user in a private directory."""
    check_private(path.parent)
    try:
        found = path.lstat()
    except FileNotFoundError as error:
        raise ConfigError(
            "KEY_MISSING", f"{path} does not exist.", "Restore it, or choose another home."
        ) from error
    if not stat.S_ISREG(found.st_mode) or found.st_mode & 0o077 or found.st_uid != os.getuid():
        raise ConfigError("KEY_MODE", f"{path} is open to others or no file.", f"chmod 600 {path}")


def write_secret(path: Path, content: dict[str, Any]) -> None:
    """Write a new secret file durably: never over an existing one, never readable by others."""
    make_private(path.parent)
    write_durable(path, json.dumps(content, sort_keys=True) + "\n")


def write_durable(path: Path, text: str) -> None:
    """A new 0600 file, on the disk with its name when this returns."""
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        os.write(handle, text.encode())
        os.fsync(handle)
    finally:
        os.close(handle)
    sync_directory(path.absolute().parent)


def sync_directory(directory: Path) -> None:
    """Make created, renamed and removed names in it durable."""
    handle = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _derive(passphrase: str, salt: bytes, ops: int, memory: int) -> bytes:
    return pwhash.argon2id.kdf(SecretBox.KEY_SIZE, passphrase.encode(), salt, opslimit=ops, memlimit=memory)


def _read(path: Path) -> dict[str, Any]:
    check_secret(path)
    try:
        content = json.loads(path.read_bytes())
    except ValueError as error:
        raise ConfigError("KEY_FILE", f"{path} is no key file.", "Restore it from your own copy.") from error
    if not isinstance(content, dict):
        raise ConfigError("KEY_FILE", f"{path} is no key file.", "Restore it from your own copy.")
    return content
