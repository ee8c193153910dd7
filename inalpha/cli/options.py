"""Options that many verbs share. `--home` is accepted before and after the verb."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

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
