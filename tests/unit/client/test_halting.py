"""A halt reaches whoever can still take it, and says so when nobody can."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from inalpha.client.halting import set_halt
from inalpha.model.errors import InalphaError, TryAgain
from inalpha.model.home import Home
from inalpha.model.states import HaltState

ALL = {"scope": "all", "account": None, "run": None}


def answers(args: Mapping[str, Any]) -> object:
    return {}


def silent(args: Mapping[str, Any]) -> object:
    raise TryAgain("NO_REPLY", "no reply to halt.", "")


@pytest.mark.parametrize("state", [HaltState.HALTED, HaltState.KILLED])
def test_a_latch_that_cannot_be_written_leaves_the_daemon(tmp_path: Path, state: HaltState) -> None:
    home = Home(tmp_path)
    home.latch.mkdir()
    assert set_halt(home, ALL, state, "enough", answers, "cli")["by"] == "daemon"
    with pytest.raises(InalphaError, match="the latch cannot be written") as caught:
        set_halt(home, ALL, state, "enough", silent, "cli")
    assert caught.value.code == "LATCH"
