"""Between which cosignatures a fill stands."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from itertools import accumulate
from typing import Any


def brackets(
    fill_lines: list[tuple[int, str, int]], cosign_lines: list[tuple[int, int, int]]
) -> list[dict[str, Any]]:
    """Per fill the seconds that witnesses swear to: it was there before, it was not there earlier.

    fill_lines: (seq, fill, ts). cosign_lines: (seq, size, seconds).

    outside: the fill tells a time beyond them. That is no failure: the witness's own clock may be the wrong one.
    """
    found: list[dict[str, Any]] = []
    at = [seq for seq, _, _ in cosign_lines]
    newest = list(accumulate((seconds for _, _, seconds in cosign_lines), max))
    by_size = sorted((size, seconds) for _, size, seconds in cosign_lines)
    sizes = [size for size, _ in by_size]
    oldest = list(accumulate((seconds for _, seconds in reversed(by_size)), min))[::-1]
    for seq, name, ts in fill_lines if at else []:
        known, covering = bisect_left(at, seq), bisect_right(sizes, seq)
        before = newest[known - 1] if known else None
        after = oldest[covering] if covering < len(sizes) else None
        early = before is not None and ts < before * 1_000_000
        late = after is not None and ts >= (after + 1) * 1_000_000
        found.append(
            {"fill": name, "not_after": after, "not_before": before, "ts": ts, "outside": early or late}
        )
    return found
