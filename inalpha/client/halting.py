"""Tightening without a key: ask the daemon, and bind it by the latch when it does not answer.

Needs the home's folder alone: no ledger, no settings, no daemon and no name of the user.
"""

from __future__ import annotations

import errno
import re
import sqlite3
import time
from collections.abc import Callable, Mapping
from typing import Any

from inalpha.client.runnerpids import kill_runners
from inalpha.ledger import readers
from inalpha.model import latch
from inalpha.model.errors import EXIT_CONFIG, EXIT_REFUSED, EXIT_TRY_AGAIN, InalphaError, Refused
from inalpha.model.home import Home
from inalpha.model.ownership import owner_account_id
from inalpha.model.states import HaltState
from inalpha.model.whoami import user_name

ANSWER_S = 1.0
# What no kill can bind: the daemon knows that there is no such thing.
NOTHING_THERE = frozenset({"NO_RUN", "NO_ACCOUNT"})
_READ_ONLY = (errno.EROFS, errno.EACCES, errno.EPERM)
_RUN = re.compile(r"run-[0-9]{1,18}")

Ask = Callable[[Mapping[str, Any]], object]


def scope_of(home: Home, run: str | None, account: str | None) -> tuple[dict[str, Any], list[str]]:
    """The members that name a scope, and warnings: where the ledger cannot be read, the name is taken as given.

    Raises Refused for a name that a ledger which can be read does not hold.
    """
    scope = {"scope": "run" if run else "account" if account else "all", "run": run, "account": account}
    if run is None and account is None:
        return scope, []
    try:
        reader = readers.open_reader(home.root)
        try:
            reader.execute("PRAGMA busy_timeout = 200")  # a halt does not wait for whoever holds the ledger
            if run is not None:
                readers.run(reader, run)
            else:
                scope["account"] = readers.account(reader, str(account))["account"]
        finally:
            reader.close()
        return scope, []
    except Refused:
        raise
    except (sqlite3.Error, OSError, InalphaError) as error:
        told = f"the ledger cannot be read ({error})"
    if run is not None:
        if not _RUN.fullmatch(run):
            raise Refused("NO_RUN", f"{told}, and {run} is no run's name.", "Halt --all, or --run run-N.")
        return scope, [f"{told}: nothing checks that there is a {run}"]
    scope["account"] = owner_account_id(str(account))
    return scope, [f"{told}: {account} is taken as its owner's name, and nothing checks that there is one"]


def set_halt(
    home: Home, scope: Mapping[str, Any], state: HaltState, reason: str, ask: Ask, where: str
) -> dict[str, Any]:
    """Row first for a kill; a plain halt asks the daemon and latches when it does not answer in 1 s.

    ask: sends the `halt` command with these arguments and raises what it likes. where: cli or console.
    """
    warnings: list[str] = []
    by, killed = "daemon", 0
    failure: OSError | None = None
    is_kill = state is HaltState.KILLED
    # An argument may hold bytes that are no text; a reason never keeps a halt from being written.
    reason = reason.encode("utf-8", "replace").decode("utf-8")[:500]
    row = latch.LatchRow(
        scope["scope"], state, f"{where}:{user_name()}", reason, time.time_ns() // 1000, scope["account"],
        scope["run"],
    )  # fmt: skip
    if is_kill:
        failure = _latch(home, row, warnings)
        by = "latch" if failure is None else by
        killed = kill_runners(home, scope, warnings)
    told = state.value
    try:
        answer = ask({**scope, "state": told, "reason": reason, "user": user_name()})
        if isinstance(answer, dict):
            told = str(answer.get("state", told))  # a stricter halt that stood already stays
    except Exception as error:  # whatever asking came to, what does not need the daemon goes on
        code = error.code if isinstance(error, InalphaError) else ""
        if code in NOTHING_THERE or (not is_kill and getattr(error, "exit_code", 0) == EXIT_REFUSED):
            raise
        if is_kill:
            killed += kill_runners(home, scope, warnings)  # those that were loaded meanwhile
        else:
            failure = _latch(home, row, warnings)
        if failure is not None and latch.UNREADABLE not in latch.read_rows(home.latch):
            raise _unbound(home, failure, killed) from error
        by = "latch"
    return {
        "scope": row.scope_key, "state": told, "by": by, "killed": killed,
        "warnings": list(dict.fromkeys(warnings)),
    }  # fmt: skip


def _latch(home: Home, row: latch.LatchRow, warnings: list[str]) -> OSError | None:
    """None once a row binds; else why it cannot be written: runners and daemon are still to be told."""
    try:
        if not latch.append_row(home.latch, row):
            warnings.append("a transaction was in flight when the latch was set; it may still commit")
    except OSError as error:
        if latch.UNREADABLE in latch.read_rows(home.latch):
            warnings.append(
                f"the row cannot be written ({error}), but an unreadable latch counts as KILLED for all:"
                " all is killed until a person resumes"
            )
        else:
            warnings.append(f"the latch cannot be written: {error}")
        return error
    return None


def _unbound(home: Home, failure: OSError | None, killed: int) -> InalphaError:
    """Neither took it. Where the latch may not be written at all, the folder is to be mended, not waited for."""
    done = f"; {killed} runners were killed and may come back" if killed else ""
    is_fixed = failure is not None and failure.errno in _READ_ONLY
    return InalphaError(
        "LATCH",
        f"neither the daemon nor the latch took it: {home.latch} cannot be written: {failure}{done}.",
        "Mend the home's disk or modes.",
        exit_code=EXIT_CONFIG if is_fixed else EXIT_TRY_AGAIN,
    )
