"""Which earlier candidates reach the gate as tries of the same submitter."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

from inalpha.daemon.evaluation import _tried
from inalpha.model.errors import IntegrityError

BLOBS = {
    "a": {"data": {"symbol": "GOOG", "timeframe": "1d"}, "shape": {"sharpe": 0.05}},
    "b": {"data": {"symbol": "GOOG", "timeframe": "1d"}, "shape": None},
    "c": {"data": {}, "shape": {"sharpe": 0.01}},
    "d": {"checks": [], "error": "the gate died"},
    "e": {"data": {"symbol": "IBM", "timeframe": "1d"}, "shape": {"sharpe": -0.02}},
}


class Office:
    """A ledger with one submitter's candidates a to e, a sixth without evidence, one lost, and a stranger's."""

    def __init__(self) -> None:
        self.conn = sqlite3.connect(":memory:")
        self.conn.execute("CREATE TABLE candidate(candidate, submitted_by, submitted_seq, evidence_sha256)")
        rows = [(name, "agent:x", seq, name) for seq, name in enumerate(BLOBS)]
        rows += [("new", "agent:x", 9, None), ("lost", "agent:x", 8, "lost"), ("other", "op:y", 7, "a")]
        self.conn.executemany("INSERT INTO candidate VALUES (?, ?, ?, ?)", rows)

    async def write(self, job: Callable[[Any], Any]) -> Any:
        return job(SimpleNamespace(conn=self.conn))

    def read_blob(self, name: str) -> bytes:
        if name not in BLOBS:
            raise IntegrityError("BLOB_MISSING", "the blob is missing.")
        return json.dumps(BLOBS[name]).encode()


def test_those_of_the_submitter_that_reached_a_backtest_count() -> None:
    found = asyncio.run(_tried(Office(), "new"))  # type: ignore[arg-type]
    assert found == [
        {"candidate": "a", "symbol": "GOOG", "timeframe": "1d", "sharpe": 0.05},
        {"candidate": "e", "symbol": "IBM", "timeframe": "1d", "sharpe": -0.02},
    ]


def test_another_submitter_has_its_own_lineage() -> None:
    assert asyncio.run(_tried(Office(), "other")) == []  # type: ignore[arg-type]
