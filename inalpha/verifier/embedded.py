"""What the one file carries inside of itself. build.py puts another text in the place of this module."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any


def specification_text() -> str:
    """event_schemas.json, the closed list of lines."""
    return Path(__file__).parents[1].joinpath("audit", "event_schemas.json").read_text("utf-8")


def own_source() -> bytes:
    """verify.py as it is released."""
    from inalpha.verifier.build import build

    return build()


SPECIFICATION: dict[str, Any] = json.loads(specification_text())
