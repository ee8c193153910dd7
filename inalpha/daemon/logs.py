"""The daemon's log: one JSON object a line, equal events of a minute folded into one with a count."""

from __future__ import annotations

import sys
import time
from datetime import UTC, datetime
from typing import TextIO

from inalpha.model.plain import json_text

_FOLD_S = 60.0


class Log:
    """Writes on change. `event` and `run` decide what counts as equal."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stdout
        self._seen: dict[tuple[str, str], tuple[float, int]] = {}

    def __call__(self, event: str, level: str = "info", run: str = "", **members: object) -> None:
        now = time.monotonic()
        first, repeated = self._seen.get((event, run), (0.0, 0))
        if first and now - first < _FOLD_S and level != "error":
            self._seen[(event, run)] = (first, repeated + 1)
            return
        self._seen[(event, run)] = (now, 0)
        body: dict[str, object] = {
            "ts": datetime.now(UTC).isoformat(timespec="milliseconds"),
            "level": level,
            "event": event,
        }
        if run:
            body["run"] = run
        if repeated:
            body["repeated"] = repeated
        body.update(members)
        print(json_text(body), file=self._stream, flush=True)
