"""Files that hold a secret in clear: passphrases, recovery seeds, tokens. Read only where nobody else can read them."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from inalpha.model.errors import ConfigError

MOST_BYTES = 4096


def read_secret(path: Path) -> str:
    """The text of a file that is this user's or root's and closed to everybody else, or of a pipe.

    Judged by the opened file, not by its name: the name may lead elsewhere a moment later. Raises ConfigError.
    """
    try:
        with open(path, "rb") as file:
            check_closed(path, os.fstat(file.fileno()))
            return file.read(MOST_BYTES).decode()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError("SECRET_FILE", f"{path} cannot be read: {error}.", "Name a text file.") from error


def check_closed(path: Path, found: os.stat_result) -> None:
    """Raise ConfigError for a file that others may read or write, or that another user made."""
    if stat.S_ISFIFO(found.st_mode) or stat.S_ISCHR(found.st_mode):
        return
    if not stat.S_ISREG(found.st_mode):
        raise ConfigError("SECRET_FILE", f"{path} is no file.", "Name a file that holds the secret.")
    if found.st_mode & 0o077:
        mode = stat.S_IMODE(found.st_mode)
        raise ConfigError(
            "SECRET_MODE", f"{path} holds a secret and has mode {mode:03o}: others may read it.",
            f"chmod 600 {path}",
        )  # fmt: skip
    if found.st_uid not in (os.geteuid(), 0):
        raise ConfigError(
            "SECRET_MODE", f"{path} holds a secret and belongs to another user ({found.st_uid}).",
            "Copy it to a file of your own, then chmod 600.",
        )  # fmt: skip
