"""One verified command: arguments read strictly, effect and reply in one transaction."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from inalpha.daemon.outbox import Notice
from inalpha.ledger.txn import Txn
from inalpha.model.errors import EXIT_USAGE, InalphaError

if TYPE_CHECKING:
    from inalpha.daemon.office import Office

Body = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Call:
    """id: the client's; a repeat gets the stored reply. identity: the bus identity that sent it.

    principal: whose key signed the envelope, `slot:...` for a client without one. Gates prove themselves.
    """

    id: str
    name: str
    identity: str
    principal: str
    args: Mapping[str, Any]

    def text(self, key: str, limit: int = 4000) -> str:
        """A required text argument."""
        value = self.args.get(key)
        if not isinstance(value, str) or len(value) > limit:
            raise _bad(self.name, key, f"a text of at most {limit} characters")
        return value

    def optional(self, key: str, limit: int = 100_000) -> str | None:
        return None if self.args.get(key) is None else self.text(key, limit)

    def salt(self, key: str = "salt") -> bytes:
        """The salt of a commitment, in hex."""
        try:
            return bytes.fromhex(self.text(key, 64))
        except ValueError as error:
            raise _bad(self.name, key, "hexadecimal digits") from error

    def mapping(self, key: str) -> dict[str, Any]:
        value = self.args.get(key)
        if not isinstance(value, dict):
            raise _bad(self.name, key, "an object")
        return value

    async def commit(self, office: Office, job: Callable[[Txn], Body], notice: Notice | None = None) -> Body:
        """Run job and store its answer under the command's id, or answer what an equal id got before."""

        def sealed(txn: Txn) -> Body:
            row = txn.conn.execute("SELECT body FROM reply WHERE id = ?", (self.id,)).fetchone()
            if row is not None:
                stored: Body = json.loads(row[0])
                return stored
            body = job(txn)
            self.seal(txn, body)
            return body

        return await office.write(sealed, notice)

    def seal(self, txn: Txn, body: Body) -> None:
        """The reply, durable with the effect."""
        txn.conn.execute(
            "INSERT INTO reply (id, code, body) VALUES (?, ?, ?)", (self.id, "OK", json.dumps(body))
        )


def _bad(name: str, key: str, wanted: str) -> InalphaError:
    return InalphaError(
        "BAD_ARGUMENT",
        f"{name}: {key} must be {wanted}.",
        "Use the same version of both.",
        exit_code=EXIT_USAGE,
    )
