"""One process owns a home: its exclusive lock, held from before the ledger is opened until it is closed."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from inalpha.audit import keys
from inalpha.ledger import database
from inalpha.model.errors import Refused


def take_lock(home: Path) -> int:
    """The home's exclusive lock. Raises Refused (exit 4) while another process holds it."""
    if not (home / database.LEDGER).exists():
        raise Refused("NO_LEDGER", f"{home} holds no ledger.", "Run 'inalpha init'.", exit_code=78)
    keys.check_private(home)
    handle = os.open(home / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(handle)
        raise Refused(
            "LEDGER_LOCKED", f"a daemon already runs on {home}.", "'inalpha status' names it."
        ) from error
    return handle
