"""Errors that a person or a script reads: a stable code, what happened with numbers, how to mend it."""

from __future__ import annotations

from collections.abc import Mapping

EXIT_FAILURE = 1
EXIT_USAGE = 2
EXIT_NO_DAEMON = 3
EXIT_REFUSED = 4
EXIT_PENDING = 5
EXIT_INTEGRITY = 6
EXIT_TRY_AGAIN = 75
EXIT_CONFIG = 78

# Refusals by code where the raiser names no class of its own: nothing was written, the same words get the same answer.
REFUSALS = frozenset({"COMMITMENT", "LINE_FORM"})


class InalphaError(Exception):
    """Base of every expected failure. detail: further members for --json output."""

    exit_code = EXIT_FAILURE

    def __init__(
        self,
        code: str,
        message: str,
        fix: str = "",
        *,
        exit_code: int | None = None,
        detail: Mapping[str, object] | None = None,
    ) -> None:
        super().__init__(f"{code}: {message}" + (f" {fix}" if fix else ""))
        self.code = code
        self.message = message
        self.fix = fix
        self.detail = dict(detail or {})
        if code in REFUSALS:
            self.exit_code = EXIT_REFUSED
        if exit_code is not None:
            self.exit_code = exit_code

    def as_dict(self) -> dict[str, object]:
        """The member `error` of what a verb prints with --json."""
        return {"code": self.code, "message": self.message, "fix": self.fix, **self.detail}


class Refused(InalphaError):
    """The rules say no; asking again with the same words gives the same answer."""

    exit_code = EXIT_REFUSED


class ConfigError(InalphaError):
    """Configuration, modes or schema: nothing was started or changed."""

    exit_code = EXIT_CONFIG


class IntegrityError(InalphaError):
    """The record does not hold together. detail["seq"] names the first bad line where known."""

    exit_code = EXIT_INTEGRITY


class TryAgain(InalphaError):
    """A temporary condition; the same command may pass later."""

    exit_code = EXIT_TRY_AGAIN


class NoDaemon(InalphaError):
    """The verb needs a running daemon."""

    exit_code = EXIT_NO_DAEMON
