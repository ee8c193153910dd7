"""The Merkle tree of RFC 6962 over the lines: roots, tiles, inclusion."""

from __future__ import annotations

import hashlib

from inalpha.verifier.checks import Malformed

EMPTY = hashlib.sha256(b"").digest()
WIDTH = 256


def leaf_of(entry: bytes) -> bytes:
    return hashlib.sha256(b"\x00" + entry).digest()


def node_of(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\x01" + left + right).digest()


def largest_power_below(width: int) -> int:
    return 1 << (width - 1).bit_length() - 1


def block_root(nodes: list[bytes]) -> bytes:
    """The root over as many nodes as a power of two."""
    while len(nodes) > 1:
        nodes = [node_of(nodes[at], nodes[at + 1]) for at in range(0, len(nodes), 2)]
    return nodes[0]


class Tree:
    """All leaf hashes (32 bytes each) and the roots of every full block of 256 and of its powers."""

    def __init__(self) -> None:
        self.levels: list[bytearray] = [bytearray()]

    @property
    def size(self) -> int:
        return len(self.levels[0]) // 32

    def add(self, leaf: bytes) -> None:
        self._push(0, leaf)

    def root(self, size: int) -> bytes:
        return self._range(0, size) if size else EMPTY

    def tile(self, level: int, number: int) -> bytes:
        return bytes(self.levels[level][number * 32 * WIDTH : (number + 1) * 32 * WIDTH])

    def _push(self, level: int, node: bytes) -> None:
        """Add a node to its row, and above it the root of each block that this fills."""
        if level == len(self.levels):
            self.levels.append(bytearray())
        row = self.levels[level]
        row += node
        count = len(row) // 32
        if count % WIDTH == 0:
            self._push(level + 1, block_root(self._nodes(level, count - WIDTH, WIDTH)))

    def _nodes(self, level: int, start: int, count: int) -> list[bytes]:
        row = self.levels[level]
        return [bytes(row[at * 32 : at * 32 + 32]) for at in range(start, start + count)]

    def _range(self, start: int, end: int) -> bytes:
        width = end - start
        if width & (width - 1) == 0:
            level, span = 0, 1
            while width >= span * WIDTH:
                level, span = level + 1, span * WIDTH
            return block_root(self._nodes(level, start // span, width // span))
        middle = start + largest_power_below(width)
        return node_of(self._range(start, middle), self._range(middle, end))


def check_inclusion(index: int, size: int, leaf: bytes, path: list[bytes], root: bytes) -> None:
    """Raises Malformed unless leaf is number index of the size leaves under root."""
    if not 0 <= index < size:
        raise Malformed("the index lies outside of the tree")

    def climb(at: int, width: int, left: int) -> bytes:
        """The root of a subtree of that width, from the first left hashes of the path."""
        if width == 1:
            if left:
                raise Malformed("the proof is too long")
            return leaf
        if not left:
            raise Malformed("the proof is too short")
        middle = largest_power_below(width)
        if at < middle:
            return node_of(climb(at, middle, left - 1), path[left - 1])
        return node_of(path[left - 1], climb(at - middle, width - middle, left - 1))

    if climb(index, size, len(path)) != root:
        raise Malformed("the proof leads to another root")
