"""The console: with no daemon running it offers to start one, then hands over to the Textual client."""

from __future__ import annotations

import importlib
import sys

import click

from inalpha.daemon.presence import find, start_background
from inalpha.model.errors import ConfigError, InalphaError
from inalpha.model.home import Home


def open_console(
    home: Home, *, view: bool = False, as_ascii: bool = False, operator: str | None = None
) -> int:
    """Open the console on a home. Raises InalphaError where the terminal cannot show it."""
    if not home.exists:
        raise ConfigError("NO_HOME", f"{home.root} holds no installation.", "inalpha init, or inalpha demo.")
    check_terminal()
    if find(home) is None and click.confirm(
        "No daemon runs on this home. Start one in the background?", True
    ):
        start_background(home)
    app = importlib.import_module("tui.app")
    code = app.run_console(home, view=view, as_ascii=as_ascii, operator=operator)
    assert isinstance(code, int)
    return code


def check_terminal() -> None:
    """A console needs a terminal that can address its cells; scripts have the verbs."""
    import os

    if not sys.stdout.isatty() or not sys.stdin.isatty():
        raise InalphaError(
            "NO_TERMINAL", "the console needs a terminal.", "Scripts use: inalpha status, plan list …"
        )
    if os.environ.get("TERM", "dumb") == "dumb":
        raise InalphaError(
            "DUMB_TERMINAL", "TERM=dumb shows no screen.", "Use: inalpha status, plan list, report"
        )
