"""The tree over a ledger that lies at hand: a million leaf hashes need not be kept."""

from __future__ import annotations

from collections.abc import Callable

from inalpha.verifier.tree import WIDTH, Tree, block_root, leaf_of


class LedgerTree(Tree):
    """Keeps the leaves of the last tile alone; earlier ones are hashed again from their lines.

    entries(start, end): the lines from start up to end, as they were read the first time.
    """

    def __init__(self, entries: Callable[[int, int], list[bytes]]) -> None:
        super().__init__()
        self.entries = entries
        self.count = 0
        self.tail: list[bytes] = []

    @property
    def size(self) -> int:
        return self.count

    def add(self, leaf: bytes) -> None:
        self.count += 1
        self.tail.append(leaf)
        if len(self.tail) == WIDTH:
            self._push(1, block_root(self.tail))
            self.tail = []

    def _nodes(self, level: int, start: int, count: int) -> list[bytes]:
        if level:
            return super()._nodes(level, start, count)
        kept = self.count - len(self.tail)
        if start >= kept:
            return self.tail[start - kept : start - kept + count]
        return [leaf_of(entry) for entry in self.entries(start, start + count)]
