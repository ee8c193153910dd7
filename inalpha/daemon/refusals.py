"""Refused commands on record: the first of its kind at once, equal ones as one count a minute."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from inalpha.ledger.txn import Txn
from inalpha.model.principals import DAEMON

if TYPE_CHECKING:
    from inalpha.daemon.office import Office

FOLD_S = 60.0
MAX_KINDS = 1000


@dataclass(slots=True)
class _Fold:
    """since: when its last line was written, on the monotonic clock; count: how many came after that."""

    since: float
    count: int = 0


class Refusals:
    """Whoever is refused again and again costs one line a minute, and none of his attempts is lost."""

    def __init__(self, office: Office) -> None:
        self._office = office
        self._open: dict[tuple[str, str, str], _Fold] = {}

    async def record(self, code: str, command: str, principal: str) -> None:
        """principal: `slot:…` for a client without a key, for whom the daemon speaks."""
        if principal.startswith("slot:"):
            principal = DAEMON
        key, now = (code, command, principal), time.monotonic()
        fold = self._open.get(key)
        if fold is not None and now - fold.since < FOLD_S:
            fold.count += 1
            return
        if len(self._open) >= MAX_KINDS:
            await self.tell(everything=True)
        self._open[key] = _Fold(now)
        await self._write({key: 1 + (fold.count if fold is not None else 0)})

    async def tell(self, *, everything: bool = False) -> None:
        """Write the counts whose minute is over, or all of them; kinds without one are forgotten."""
        now = time.monotonic()
        over = {key: fold for key, fold in self._open.items() if everything or now - fold.since >= FOLD_S}
        for key in over:
            del self._open[key]
        await self._write({key: fold.count for key, fold in over.items() if fold.count})

    async def _write(self, counts: dict[tuple[str, str, str], int]) -> None:
        if not counts:
            return

        def job(txn: Txn) -> None:
            for (code, command, principal), count in counts.items():
                data = {"code": code, "command": command, "count": count, "principal": principal}
                txn.line("refusal", DAEMON, data)

        await self._office.write(job)
