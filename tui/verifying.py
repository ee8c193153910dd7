"""`inalpha audit verify` in a process of its own: from genesis, without the daemon, off this loop."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(slots=True)
class Verification:
    """began and took in seconds of the console's clock."""

    is_running: bool = False
    began: float = 0.0
    took: float = 0.0
    result: Mapping[str, Any] | None = None
    error: str = ""


async def run_verify(home: Path) -> tuple[Mapping[str, Any] | None, str]:
    """The command's JSON answer, or what went wrong. A broken ledger is an answer too."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "inalpha", "--home", str(home), "audit", "verify", "--json",
        stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    try:
        out, err = await process.communicate()
    except asyncio.CancelledError:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        raise
    try:
        found = json.loads(out)
    except ValueError:
        return None, err.decode("utf-8", "replace").strip()[-300:] or f"exit code {process.returncode}"
    if "error" in found:
        return None, str(found["error"].get("message", found["error"]))
    return found, ""
