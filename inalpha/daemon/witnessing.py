"""Hands each new signed head to the configured witnesses and writes their cosignatures into the log."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from inalpha.audit import witness, witness_client
from inalpha.audit.checkpoint import parse_note
from inalpha.audit.cosignature import check_cosignature
from inalpha.ledger.readers import open_reader
from inalpha.ledger.txn import Txn
from inalpha.model.errors import InalphaError, IntegrityError
from inalpha.model.principals import DAEMON

if TYPE_CHECKING:
    from inalpha.daemon.office import Office


async def watch_witnesses(office: Office) -> None:
    """Every `audit.witness_every_s` seconds, while there is news besides the cosignatures themselves.

    A head that one of them did not cosign is handed to all again.
    """
    settings = office.config.audit
    cosigned = 0
    while settings.witnesses:
        head = (office.home.root / "head.checkpoint").read_bytes()
        size = parse_note(head).size
        if size > cosigned:
            done = await asyncio.gather(*(submit_head(office, url, head) for url in settings.witnesses))
            if all(done):
                cosigned = size + len(done)
        await asyncio.sleep(settings.witness_every_s)


async def submit_head(office: Office, url: str, head: bytes) -> bool:
    """One head to one witness. Its silence is logged; its refusal, which means a changed history, is an alert."""
    loop = asyncio.get_running_loop()
    size = parse_note(head).size

    def consistency(old: int) -> list[bytes]:
        def job(txn: Txn) -> list[bytes]:
            return txn.context.tree.consistency(old, size)

        return asyncio.run_coroutine_threadsafe(office.write(job), loop).result()

    def key_request(old: int) -> bytes:
        reader = open_reader(office.home.root)
        try:
            return witness.make_request(office.home.root, reader, old, head)
        finally:
            reader.close()

    try:
        note = await asyncio.to_thread(witness_client.submit, url, head, consistency, key_request)
        await office.write(lambda txn: record(txn, note.decode()))
    except (InalphaError, ValueError) as error:  # nothing that a stranger answers ends this daemon
        office.log("witness", "warning", url=url, error=str(error))
        if isinstance(error, IntegrityError):
            text = f"{url}: {error.message}"
            await office.write(lambda txn: office.alert(txn, "witness", url, text))
        return False
    return True


def record(txn: Txn, note: str) -> dict[str, object]:
    """The cosignature's line, once it holds against the enrolled key and this tree; an equal one is kept."""
    name, size = check_cosignature(txn.conn, txn.context, note)
    known = txn.conn.execute("SELECT seq FROM cosign WHERE witness = ? AND size = ?", (name, size)).fetchone()
    if known is not None:
        return {"seq": known[0], "witness": name, "size": size}
    data = {"note": note, "size": size, "witness": name}
    return {"seq": txn.line("witness.cosign", DAEMON, data), "witness": name, "size": size}
