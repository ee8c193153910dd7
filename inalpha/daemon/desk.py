"""Where commands arrive: whose key it is, each id once, refusals on record."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from inalpha.audit.notes import parse_vkey
from inalpha.bus import slots, topics
from inalpha.bus.command import Command, Key, slot_key
from inalpha.daemon.call import Call
from inalpha.daemon.commands import handle
from inalpha.daemon.office import Office
from inalpha.ledger.readers import open_reader
from inalpha.model.errors import EXIT_REFUSED, InalphaError
from inalpha.model.home import Home

# What an agent's key may ask; everything else is refused to it, whatever it signs.
PROPOSER_COMMANDS = frozenset({"candidate.submit", "plan.create"})
# What the seed on paper may ask: a new key for an owner who lost his.
RECOVERY_COMMANDS = frozenset({"key.enrol", "key.revoke"})


class KeyRing:
    """Keys by the `kid` of a command: a slot's identity, or an enrolled key's verifier text."""

    def __init__(self, home: Home, run_dir: Path) -> None:
        self._home = home
        self._slots = slots.public_keys(run_dir)

    def find(self, kid: str) -> Key | None:
        if topics.identity_class(kid) in ("console", "cli") and kid in self._slots:
            return slot_key(kid, self._slots[kid])
        reader = open_reader(self._home.root)
        try:
            row = reader.execute(
                "SELECT principal, role FROM key WHERE vkey = ? AND revoked_after IS NULL"
                " AND role IN ('owner', 'operator', 'proposer', 'recovery')",
                (kid,),
            ).fetchone()
        finally:
            reader.close()
        if row is None:
            return None
        principal, role = row
        limited = {"proposer": PROPOSER_COMMANDS, "recovery": RECOVERY_COMMANDS}.get(role)
        allows = _anything if limited is None else limited.__contains__
        return Key(parse_vkey(kid).public, principal, allows)


def _anything(command: str) -> bool:
    return True


class Desk:
    """Runs each command once, however often it is sent."""

    def __init__(self, office: Office) -> None:
        self._office = office
        self._open: dict[str, asyncio.Future[dict[str, Any]]] = {}

    def holds(self, command_id: str) -> bool:
        """Whether it is being carried out now."""
        return command_id in self._open

    async def handle(self, command: Command) -> dict[str, Any]:
        """The reply's data. Raises InalphaError; an unexpected error becomes INTERNAL and is logged."""
        waiting = self._open.get(command.id)
        if waiting is not None:
            return await asyncio.shield(waiting)
        future: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        self._open[command.id] = future
        try:
            found = await self._run(command)
        except InalphaError as error:
            future.set_exception(error)
            future.exception()  # a resent command may never come to fetch it
            raise
        else:
            future.set_result(found)
            return found
        finally:
            del self._open[command.id]

    async def _run(self, command: Command) -> dict[str, Any]:
        call = Call(command.id, command.cmd, command.sender, command.principal, command.args)
        log = self._office.log
        try:
            found = await handle(self._office, call)
        except InalphaError as error:
            if error.exit_code == EXIT_REFUSED:
                await self._office.refusals.record(error.code, command.cmd, command.principal)
                log("refused", "warning", command=command.cmd, principal=command.principal, code=error.code)
            raise
        except Exception as error:
            log("command_error", "error", command=command.cmd, error=f"{type(error).__name__}: {error}")
            raise InalphaError(
                "INTERNAL", f"{command.cmd} failed: {type(error).__name__}: {error}.", "See the daemon's log."
            ) from error
        log(f"command {command.cmd} {command.id}", principal=command.principal)
        return found
