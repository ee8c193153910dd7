"""Options and forms of values that many verbs share. `--home` is accepted before and after the verb."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

from inalpha.model.duration import duration_s
from inalpha.model.errors import EXIT_USAGE, InalphaError

F = TypeVar("F", bound=Callable[..., Any])


def home_option(function: F) -> F:
    return click.option("--home", "home_override", metavar="DIR", help="The installation.")(function)


def json_option(function: F) -> F:
    return click.option("--json", "as_json", is_flag=True, help="One JSON object on stdout.")(function)


def signing_options(function: F) -> F:
    """--operator and --passphrase-file of every verb that signs."""
    function = click.option(
        "--passphrase-file",
        type=click.Path(exists=True, dir_okay=False),
        help="Read the operator's passphrase from this file instead of the terminal.",
    )(function)
    return click.option("--operator", metavar="NAME", help="Which operator's key signs.")(function)


def usage(code: str, message: str, fix: str) -> InalphaError:
    return InalphaError(code, message, fix, exit_code=EXIT_USAGE)


def parse_duration(text: str) -> int:
    """Seconds of `90s`, `15m`, `12h`, `30d`."""
    seconds = duration_s(text)
    if seconds is None:
        raise usage("DURATION", f"{text!r} is no duration.", "Write 90s, 15m, 12h or 30d.")
    return seconds
