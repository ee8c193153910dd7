"""Fixtures of the whole suite."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from support.installation import Installation


@pytest.fixture
def installation(tmp_path: Path) -> Iterator[Installation]:
    """A fresh home with a running daemon."""
    found = Installation(tmp_path / "home")
    found.init()
    found.start()
    yield found
    found.stop()


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """Bytes make no readable name; workers of a parallel run must agree on it."""
    return argname if isinstance(val, bytes) else None
