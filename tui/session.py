"""Who sits here: the operator's key while it is open, auto-lock, and what this person has read."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from inalpha.audit.keys import make_private
from inalpha.audit.sshagent import AgentSigner
from inalpha.client.operator import (
    Operator,
    choose_operator,
    has_open_key,
    is_held_by_agent,
    load_operator,
    operator_handles,
)
from inalpha.model.errors import InalphaError
from inalpha.model.home import Home

AUTO_LOCK_S = 15 * 60.0


class Session:
    """key: the unlocked operator, None while locked or viewing. is_open_key: needs no passphrase, says so."""

    def __init__(
        self, home: Home, *, view: bool, mono: Callable[[], float], operator: str | None = None
    ) -> None:
        """operator: whose key, where several are here. Raises ConfigError("NO_KEY") for one that is not."""
        self.home, self.view, self._mono = home, view, mono
        self.handles = operator_handles(home)
        first = self.handles[0] if self.handles else None
        self.handle = first if operator is None else choose_operator(home, operator)
        self.key: Operator | None = None
        self.is_open_key = False
        self._touched = mono()
        if not view and self.handle is not None:
            self._try_open_key()
        self.mark = read_mark(home, self.handle)

    def _try_open_key(self) -> None:
        assert self.handle is not None
        try:
            if has_open_key(self.home, self.handle):
                self.key, self.is_open_key = load_operator(self.home, self.handle), True
        except InalphaError:
            self.key = None

    @property
    def is_in_agent(self) -> bool:
        """The key lives in ssh-agent: no passphrase is asked for here."""
        try:
            return self.handle is not None and is_held_by_agent(self.home, self.handle)
        except InalphaError:
            return False

    def load(self, passphrase: str | None) -> Operator:
        """Slow on purpose (Argon2id): call it from a thread. Raises Refused("PASSPHRASE" or "SSH_AGENT")."""
        assert self.handle is not None
        key = load_operator(self.home, self.handle, passphrase)
        if isinstance(key.signer, AgentSigner):
            key.signer.check()
        return key

    def unlock(self, key: Operator) -> None:
        self.key = key
        self.touch()

    def lock(self) -> None:
        if not self.is_open_key:
            self.key = None

    def touch(self) -> None:
        """A key was pressed."""
        self._touched = self._mono()

    @property
    def lock_in_s(self) -> float | None:
        """Seconds to auto-lock; None where nothing will lock."""
        if self.key is None or self.is_open_key:
            return None
        return AUTO_LOCK_S - (self._mono() - self._touched)

    def tick(self) -> bool:
        """Lock when the time is over; True when that just happened."""
        rest = self.lock_in_s
        if rest is not None and rest <= 0:
            self.lock()
            return True
        return False

    @property
    def why_not(self) -> str:
        """Why this console cannot sign; empty when it can."""
        if self.view:
            return "view only"
        if self.handle is None:
            return "no operator key in this home"
        return "" if self.key is not None else "locked: U unlocks"

    def leave(self, seq: int, ts: int) -> None:
        """Remember where this person stopped reading; reading is no trading fact."""
        if self.handle is not None and seq > 0:
            write_mark(self.home, self.handle, {"seq": seq - 1, "ts": ts})


def _mark_path(home: Home) -> Path:
    return home.clients / "read.json"


def read_mark(home: Home, handle: str | None) -> dict[str, Any]:
    """{"seq", "ts"} of an operator's last visit; empty at the first one."""
    try:
        found = json.loads(_mark_path(home).read_text(encoding="utf-8"))
        mark = found.get("operators", {}).get(handle, {})
        return mark if isinstance(mark, dict) and isinstance(mark.get("seq"), int) else {}
    except (OSError, ValueError, AttributeError):
        return {}


def write_mark(home: Home, handle: str, mark: dict[str, int]) -> None:
    """Its own member beside the other operators'; `seq` at the top is what `report --since last` reads."""
    try:
        found = json.loads(_mark_path(home).read_text(encoding="utf-8"))
        others = dict(found.get("operators", {}))
    except (OSError, ValueError, AttributeError):
        others = {}
    make_private(home.clients)
    temporary = _mark_path(home).with_suffix(f".{os.getpid()}.part")
    temporary.write_text(json.dumps({**mark, "operators": {**others, handle: mark}}), encoding="utf-8")
    os.replace(temporary, _mark_path(home))
