"""A new home: keys, files and the first line, which its owner signs."""

from __future__ import annotations

import os
from pathlib import Path

from inalpha.audit import gate, keys, merkle
from inalpha.audit.checkpoint import Checkpoint
from inalpha.audit.event import ZERO_HASH, Event, EventError, check_event, sign_event
from inalpha.audit.fold.apply import apply
from inalpha.audit.head import Head, HeadFile
from inalpha.audit.notes import Signer, SigningKey
from inalpha.ledger import database
from inalpha.ledger.clock import Clock
from inalpha.ledger.disk import replace_file
from inalpha.ledger.writer import Genesis
from inalpha.model.errors import ConfigError, Refused
from inalpha.model.ownership import owner_account_id

GATE_LIFE_US = 300_000_000


def create_home(
    home: Path,
    owner: str,
    owner_key: SigningKey,
    cash: str,
    currency: str,
    config_sha256: str,
    app: str,
    clock: Clock,
) -> Genesis:
    """Write ledger, blobs, log key, head and latch files. Raises Refused when a ledger is there."""
    home = Path(home)
    keys.make_private(home)
    if (home / database.LEDGER).exists():
        raise Refused("LEDGER_EXISTS", f"{home} already holds a ledger.", "Choose another --home.")
    handle = owner.removeprefix("op:")
    origin = f"inalpha.local/ledger/{os.urandom(16).hex()}"
    log, recovery = Signer(origin, keys.new_key()), Signer(keys.recovery_name(origin), keys.new_key())
    signer = Signer(keys.operator_name(origin, handle), owner_key)
    reading = clock()
    data = {
        "account": owner_account_id(handle),
        "app": app,
        "cash": cash,
        "config_sha256": config_sha256,
        "currency": currency,
        "log_vkey": log.vkey.text,
        "origin": origin,
        "owner": f"op:{handle}",
        "owner_vkey": signer.vkey.text,
        "recovery_vkey": recovery.vkey.text,
    }
    text = gate.gate_text(
        log=origin,
        action="ledger.genesis",
        subject=data,
        base_size=0,
        base_root=merkle.EMPTY_ROOT,
        ts=reading.wall_us,
        exp=reading.wall_us + GATE_LIFE_US,
    )
    note = gate.sign(signer, text)
    event = Event(
        origin, 0, ZERO_HASH, 0, reading.wall_us, reading.mono_us, reading.boot, "ledger.genesis",
        f"op:{handle}", data, note,
    )  # fmt: skip
    try:
        check_event(event)
    except EventError as error:
        raise ConfigError("GENESIS", f"{error}.", "Check operator name, cash and currency.") from error
    entry = sign_event(event, log)
    leaf = merkle.leaf_hash(entry)
    _write(home, event, gate.parse(note, gate.GATE_HEADER).nonce, entry, leaf, log)
    return Genesis(leaf.hex(), recovery.key.seed.hex())


def _write(home: Path, event: Event, nonce: str, entry: bytes, leaf: bytes, log: Signer) -> None:
    """The ledger's file appears last and under its name at once: an interrupted init leaves none."""
    for name in ("log.key", "log.key.next"):
        (home / name).unlink(missing_ok=True)
    keys.write_open(home / "log.key", log.key)
    database.create_blobs(home / database.BLOBS).close()
    (home / "checkpoints").mkdir(mode=0o700, exist_ok=True)
    head = HeadFile(home / "head")
    head.write(Head(1, leaf))
    head.sync()
    head.close()
    replace_file(home / "head.checkpoint", Checkpoint(event.log, 1, leaf).sign(log))
    os.close(os.open(home / "halt.latch", os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600))
    draft = home / "ledger.db.part"
    for name in ("ledger.db.part", "ledger.db.part-wal", "ledger.db.part-shm"):
        (home / name).unlink(missing_ok=True)
    conn = database.create_ledger(draft)
    conn.execute("BEGIN IMMEDIATE")
    conn.execute("INSERT INTO ev VALUES (0, ?, ?)", (entry, leaf))
    conn.execute("INSERT INTO meta VALUES ('epoch', '0')")
    apply(conn, event, [nonce])
    conn.execute("COMMIT")
    conn.close()
    os.replace(draft, home / database.LEDGER)
    keys.sync_directory(home)
