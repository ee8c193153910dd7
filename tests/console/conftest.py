"""A stage for every console test: a real ledger, a bus without sockets, clocks that are moved by hand."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from support.console_stage import Stage, build


@pytest.fixture
def stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stage]:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.delenv("INALPHA_THEME", raising=False)
    found = build(tmp_path / "home")
    yield found
    found.story.close()
