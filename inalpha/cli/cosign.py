"""The second operator of a promotion or a start: here with his key, or elsewhere by a file that goes to and fro."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import Any

import click

from inalpha.audit.schema import TWO_PERSON, gate_subjects
from inalpha.cli.client import Operator, gate, send, unlock
from inalpha.model.errors import EXIT_PENDING, EXIT_USAGE, InalphaError
from inalpha.model.home import Home

_MEMBERS = {"args", "gate2", "kind", "subject"}
# Made anew at each call, so the first call's values are kept.
_FRESH = frozenset({"reason_commit", "salt", "expires"})


@dataclass(frozen=True, slots=True)
class Second:
    """Who signs beside the operator: a key in this home, or a file that somebody elsewhere signs."""

    operator: str | None = None
    passphrase_file: str | None = None
    file: Path | None = None


NOBODY = Second()


def cosign_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """--second-operator, --second-passphrase-file and --cosign; the verb gets them as `second`."""

    @wraps(function)
    def bundled(
        *args: Any,
        second_operator: str | None,
        second_passphrase_file: str | None,
        cosign: Path | None,
        **more: Any,
    ) -> Any:
        return function(*args, second=Second(second_operator, second_passphrase_file, cosign), **more)

    for option in (
        click.option("--cosign", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE",
                     help="Ask a second operator elsewhere: written first, used once it is signed."),
        click.option("--second-passphrase-file", type=click.Path(exists=True, dir_okay=False)),
        click.option("--second-operator", metavar="NAME", help="A second operator, whose key is here too."),
    ):  # fmt: skip
        bundled = option(bundled)
    return bundled


def send_signed(
    home: Home,
    who: Operator,
    kind: str,
    subject: Mapping[str, Any],
    args: Mapping[str, Any],
    second: Second = NOBODY,
) -> dict[str, Any]:
    """Sign, have the second one sign where one is named, send. Exit 5 while the file waits for him."""
    gate2 = None
    if second.file is not None:
        subject, args, gate2 = _from_file(second.file, kind, subject, args)
    elif second.operator is not None:
        gate2 = gate(home, unlock(home, second.operator, second.passphrase_file), kind, subject)
    body = {**args, "gate": gate(home, who, kind, subject)}
    return send(home, kind, body if gate2 is None else {**body, "gate2": gate2}, who)


def sign_request(home: Home, who: Operator, file: Path) -> dict[str, Any]:
    """The second operator's signature into the file; answers what he signed."""
    asked = _read(file)
    asked["gate2"] = gate(home, who, asked["kind"], asked["subject"])
    file.write_text(json.dumps(asked, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    subject: dict[str, Any] = asked["subject"]
    return subject


def _from_file(
    file: Path, kind: str, subject: Mapping[str, Any], args: Mapping[str, Any]
) -> tuple[dict[str, Any], dict[str, Any], str]:
    if not file.exists():
        asked = {"args": dict(args), "gate2": None, "kind": kind, "subject": dict(subject)}
        file.write_text(json.dumps(asked, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    found = _read(file)
    if found["kind"] != kind or _lasting(found["args"]) != _lasting(dict(args)):
        raise InalphaError(
            "COSIGN_OTHER", f"{file} asks for something else than this command.", "Use another file.",
            exit_code=EXIT_USAGE,
        )  # fmt: skip
    if found["gate2"] is None:
        raise InalphaError(
            "COSIGN_PENDING", f"{file} waits for a second operator.",
            f"He signs by: inalpha policy cosign {file}; then repeat this within 5 minutes.", exit_code=EXIT_PENDING,
        )  # fmt: skip
    return found["subject"], found["args"], found["gate2"]


def _read(file: Path) -> dict[str, Any]:
    try:
        found = json.loads(file.read_bytes())
    except (OSError, ValueError):
        found = None
    fits = isinstance(found, dict) and found.keys() == _MEMBERS and found["kind"] in TWO_PERSON
    if not fits or set(found["subject"]) != set(gate_subjects()[found["kind"]]):
        raise InalphaError(
            "COSIGN_FILE", f"{file} is no request.", "Ask for a new one.", exit_code=EXIT_USAGE
        )
    return dict(found)


def _lasting(value: Any) -> Any:
    """What two calls of the same command have in common."""
    if isinstance(value, dict):
        return {name: _lasting(member) for name, member in value.items() if name not in _FRESH}
    return value
