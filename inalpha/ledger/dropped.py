"""What a run's strategy said and the run does not keep: counted by the day of the market's clock."""

from __future__ import annotations

import sqlite3

from inalpha.ledger import readers

_DAYS = (
    "SELECT date((json_extract(input, '$.bar[1]') - 1) / 1000000000, 'unixepoch') AS day,"
    " sum(json_extract(output, '$.reply.dropped')) AS bytes FROM journal"
    " WHERE run = ? AND kind = 'bar' AND instr(output, '\"dropped\":') > 0 GROUP BY 1 HAVING bytes > 0 ORDER BY 1"
)


def dropped_words(reader: sqlite3.Connection, run: str) -> list[readers.Row]:
    """Rows of day (ISO date) and bytes, oldest first; empty for a strategy that says little."""
    return readers.rows(reader, _DAYS, run)


def in_words(days: list[readers.Row]) -> str:
    """`12,345 bytes of the strategy's words, on 2024-01-03 and 4 later days`."""
    if not days:
        return "none"
    later = len(days) - 1
    more = f" and {later} later day{'s' if later > 1 else ''}" if later else ""
    return f"{sum(row['bytes'] for row in days):,} bytes of the strategy's words, on {days[0]['day']}{more}"
