"""RFC 6962 Merkle tree: roots, inclusion and consistency proofs, made and verified.

A leaf is SHA-256(0x00, entry), a node SHA-256(0x01, left, right); a tree of n leaves splits at the largest
power of two below n. Below block size only leaves are stored (in the ledger); this keeps the complete
subtrees of 256 leaves and more, about 250 kB per million lines.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from hashlib import sha256

BLOCK_LEVEL = 8
BLOCK = 1 << BLOCK_LEVEL
EMPTY_ROOT = sha256(b"").digest()


class ProofError(ValueError):
    """A proof or its arguments do not hold."""


def leaf_hash(entry: bytes | bytearray) -> bytes:
    return sha256(b"\x00" + entry).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    return sha256(b"\x01" + left + right).digest()


def append(stack: list[tuple[int, bytes]], leaf: bytes) -> None:
    """Add a leaf to a compact range: (level, hash) of the complete subtrees, largest first."""
    level, node = 0, leaf
    while stack and stack[-1][0] == level:
        node = sha256(b"\x01" + stack.pop()[1] + node).digest()
        level += 1
    stack.append((level, node))


def fold(stack: Sequence[tuple[int, bytes]]) -> bytes:
    """The root over a compact range."""
    if not stack:
        return EMPTY_ROOT
    node = stack[-1][1]
    for _, left in reversed(stack[:-1]):
        node = node_hash(left, node)
    return node


def root_of(leaves: Sequence[bytes]) -> bytes:
    """The root over leaf hashes."""
    stack: list[tuple[int, bytes]] = []
    for leaf in leaves:
        append(stack, leaf)
    return fold(stack)


class Tree:
    """A growing tree that answers roots and proofs for every earlier size.

    fetch(start, end): the leaf hashes start..end-1, asked for ranges below 256 leaves.
    """

    def __init__(self, fetch: Callable[[int, int], Sequence[bytes]]) -> None:
        self._fetch = fetch
        self.stack: list[tuple[int, bytes]] = []
        self.size = 0
        self._levels: list[bytearray] = []

    def append(self, leaf: bytes) -> None:
        level, node = 0, leaf
        stack = self.stack
        while stack and stack[-1][0] == level:
            node = sha256(b"\x01" + stack.pop()[1] + node).digest()
            level += 1
            if level >= BLOCK_LEVEL:
                self._store(level - BLOCK_LEVEL, node)
        stack.append((level, node))
        self.size += 1

    def root(self, size: int | None = None) -> bytes:
        """The root of the first size leaves (all of them by default). Raises ProofError beyond the tree."""
        if size is None or size == self.size:
            return fold(self.stack)
        self._bounds(0, size)
        return self._range(0, size) if size else EMPTY_ROOT

    def inclusion(self, index: int, size: int) -> list[bytes]:
        """The audit path of leaf index in the tree of the first size leaves, lowest first."""
        self._bounds(index + 1, size)
        path: list[bytes] = []
        start, end = 0, size
        while end - start > 1:
            middle = start + _split(end - start)
            if index < middle:
                path.append(self._range(middle, end))
                end = middle
            else:
                path.append(self._range(start, middle))
                start = middle
        return path[::-1]

    def consistency(self, old: int, new: int) -> list[bytes]:
        """The proof that the first old leaves are a prefix of the first new ones; empty for 0 and equal."""
        self._bounds(old, new)
        if old in (0, new):
            return []
        path: list[bytes] = []
        start, end, whole = 0, new, True
        while old != end:
            middle = start + _split(end - start)
            if old <= middle:
                path.append(self._range(middle, end))
                end = middle
            else:
                path.append(self._range(start, middle))
                start = middle
                whole = False
        return ([] if whole else [self._range(start, end)]) + path[::-1]

    def _store(self, row: int, node: bytes) -> None:
        if row == len(self._levels):
            self._levels.append(bytearray())
        self._levels[row] += node

    def _range(self, start: int, end: int) -> bytes:
        width = end - start
        if width & (width - 1) == 0 and width >= BLOCK and start % width == 0:
            at = (start // width) * 32
            return bytes(self._levels[width.bit_length() - 1 - BLOCK_LEVEL][at : at + 32])
        if width <= BLOCK:
            return root_of(self._fetch(start, end))
        middle = start + _split(width)
        return node_hash(self._range(start, middle), self._range(middle, end))

    def _bounds(self, low: int, high: int) -> None:
        if not 0 <= low <= high <= self.size:
            raise ProofError(f"asked for {low} of {high} in a tree of {self.size}")


def verify_inclusion(index: int, size: int, leaf: bytes, proof: Sequence[bytes], root: bytes) -> None:
    """Check that leaf is number index of the size leaves under root. Raises ProofError."""
    if not 0 <= index < size:
        raise ProofError(f"leaf {index} is not in a tree of {size}")
    _hashes(leaf, root, *proof)
    node, at, last = leaf, index, size - 1
    for sibling in proof:
        if last == 0:
            raise ProofError("the proof is too long")
        if at & 1 or at == last:
            node = node_hash(sibling, node)
            while not at & 1 and at:
                at >>= 1
                last >>= 1
        else:
            node = node_hash(node, sibling)
        at >>= 1
        last >>= 1
    if last:
        raise ProofError("the proof is too short")
    if node != root:
        raise ProofError(f"computed root {node.hex()}, wanted {root.hex()}")


def verify_consistency(size1: int, root1: bytes, size2: int, root2: bytes, proof: Sequence[bytes]) -> None:
    """Check that the tree (size1, root1) is a prefix of (size2, root2). Raises ProofError; size1 >= 1."""
    if not 1 <= size1 <= size2:
        raise ProofError(f"no consistency between sizes {size1} and {size2}")
    _hashes(root1, root2, *proof)
    if size1 == size2:
        if proof or root1 != root2:
            raise ProofError("equal sizes need equal roots and an empty proof")
        return
    path = list(proof)
    if size1 & (size1 - 1) == 0:
        path.insert(0, root1)
    if not path:
        raise ProofError("the proof is empty")
    at, last = size1 - 1, size2 - 1
    while at & 1:
        at >>= 1
        last >>= 1
    old = new = path[0]
    for sibling in path[1:]:
        if last == 0:
            raise ProofError("the proof is too long")
        if at & 1 or at == last:
            old, new = node_hash(sibling, old), node_hash(sibling, new)
            while not at & 1 and at:
                at >>= 1
                last >>= 1
        else:
            new = node_hash(new, sibling)
        at >>= 1
        last >>= 1
    if last:
        raise ProofError("the proof is too short")
    if old != root1 or new != root2:
        raise ProofError("the proof leads to other roots")


def _split(width: int) -> int:
    return 1 << ((width - 1).bit_length() - 1)


def _hashes(*values: bytes) -> None:
    if any(len(value) != 32 for value in values):
        raise ProofError("a hash has 32 bytes")
