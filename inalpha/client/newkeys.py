"""A new key's file around its enrolment: durable before the ledger names the key, in its place afterwards.

Until then it is called `NAME.<key id>.next`. Killed in between, the ledger decides: what it enrolled gets its place,
the rest goes.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from inalpha.audit.keys import sync_directory
from inalpha.audit.notes import Signer, parse_vkey
from inalpha.audit.sshagent import AgentSigner
from inalpha.ledger import readers
from inalpha.model.errors import EXIT_TRY_AGAIN, InalphaError
from inalpha.model.home import Home

T = TypeVar("T")
SUFFIX = ".next"
# A command lives 30 s: what is not enrolled well after that never will be.
FORGET_AFTER_S = 90.0


def enrol_with_file(
    path: Path, signer: Signer | AgentSigner, write: Callable[[Path], None], enrol: Callable[[], T]
) -> T:
    """Write the file beside path, enrol, give it path's name. A refusal leaves nothing; no answer leaves the file."""
    made = path.with_name(f"{path.name}.{signer.vkey.id.hex()}{SUFFIX}")
    write(made)
    try:
        found = enrol()
    except InalphaError as error:
        if error.exit_code != EXIT_TRY_AGAIN:  # else it may be enrolled: settle() asks the ledger
            made.unlink(missing_ok=True)
        raise
    _name(made, path)
    return found


def unsettled(home: Home) -> list[Path]:
    """Key files of enrolments that were cut short."""
    return sorted(home.keys.glob(f"*/*{SUFFIX}"))


def settle(home: Home, *others: Path) -> list[str]:
    """Finish or drop what was cut short; says what was done. others: files elsewhere that may have been meant."""
    found = [*unsettled(home), *(path for other in others for path in beside(other))]
    if not found or not home.exists:
        return []
    reader = readers.open_reader(home.root)
    try:
        rows: list[dict[str, Any]] = [dict(row) for row in readers.keys(reader)]
    finally:
        reader.close()
    live = {parse_vkey(row["vkey"]).id.hex() for row in rows if row["revoked_after"] is None}
    told = []
    for made in found:
        path, key_id = (
            made.with_name(made.name.removesuffix(SUFFIX)[:-9]),
            made.name.removesuffix(SUFFIX)[-8:],
        )
        if key_id in live:
            _name(made, path)
            told.append(f"{path} belongs to a key that was enrolled: it has its place now")
        elif time.time() - _modified(made) > FORGET_AFTER_S:
            made.unlink(missing_ok=True)
            told.append(f"removed {made}: its key was never enrolled")
    return told


def beside(path: Path) -> list[Path]:
    """What enrolments at path left."""
    folder = path.absolute().parent
    names = (
        name for name in os.listdir(folder) if name.startswith(f"{path.name}.") and name.endswith(SUFFIX)
    )
    return sorted(folder / name for name in names)


def _name(made: Path, path: Path) -> None:
    try:
        os.replace(made, path)
    except FileNotFoundError:
        if not path.exists():  # else another verb settled it meanwhile
            raise
    sync_directory(path.absolute().parent)


def _modified(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except FileNotFoundError:
        return time.time()
