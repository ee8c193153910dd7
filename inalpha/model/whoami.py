"""Who types: a name for the record. It proves nothing, so no machine may be without one."""

from __future__ import annotations

import getpass
import os


def user_name() -> str:
    """The login name; `uid-N` for a user whom neither the environment nor the password file names."""
    try:
        name = getpass.getuser()
    except (KeyError, OSError, ImportError):  # KeyError until Python 3.12, OSError from 3.13 on
        name = ""
    # An environment may hold bytes that are no text; what leaves here can always be written as UTF-8.
    return name.encode("utf-8", "replace").decode("utf-8") or f"uid-{os.getuid()}"
