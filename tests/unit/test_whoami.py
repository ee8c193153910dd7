"""Nobody needs a name to stop things."""

from __future__ import annotations

import os

import pytest

from inalpha.model.errors import ConfigError
from inalpha.model.home import default_home
from inalpha.model.whoami import user_name

NAMES = ("LOGNAME", "USER", "LNAME", "USERNAME")


def test_a_user_whom_nothing_names_is_a_number(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in NAMES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(os, "getuid", lambda: 54321)
    assert user_name() == "uid-54321"


def test_a_name_can_always_be_written(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOGNAME", "caf\udce9")
    assert user_name() == "caf?"


def test_a_user_without_a_home_directory_is_told_to_name_one(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HOME", "INALPHA_HOME", "STATE_DIRECTORY", "XDG_STATE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(os, "getuid", lambda: 54321)
    with pytest.raises(ConfigError, match="--home DIR"):
        default_home()
