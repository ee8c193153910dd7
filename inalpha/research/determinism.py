"""Does a strategy say the same twice? Fresh processes with other hash seeds, started later, over equal bars."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from inalpha.kernel.records import JournalEntry
from inalpha.research.backtest import BacktestResult
from inalpha.research.difference import first_parting
from runners.local import LocalSandbox

OTHER_HASH_SEED = 4_242
# Two orders of a small set are often equal: a file that has sets is tried with more.
MORE_HASH_SEEDS = (1, 2, 3, 4)
# Lint findings that explain why two runs of the same bars may differ.
_HASHING = frozenset({"SET_ORDER", "BANNED_CALL"})
_CHANCE = frozenset({"UNSEEDED_RANDOM", "WALL_CLOCK", "BANNED_CALL", "BANNED_IMPORT"})

# Runs the candidate in this sandbox and notes what it said.
Run = Callable[[LocalSandbox, list[JournalEntry]], BacktestResult]


def parted(
    run: Run,
    first: LocalSandbox,
    others: Iterable[tuple[int, LocalSandbox]],
    result: BacktestResult,
    said: list[JournalEntry],
    findings: Sequence[Mapping[str, Any]],
) -> str:
    """How another run differed from the first, in words; "" where none did.

    others: (hash seed, sandbox), taken one by one. result, said: the first run, made in `first`.
    """
    for seed, sandbox in others:
        again: list[JournalEntry] = []
        if run(sandbox, again).head != result.head:
            return _told(run, first, said, again, seed, findings)
    return ""


def _told(
    run: Run,
    first: LocalSandbox,
    one: list[JournalEntry],
    other: list[JournalEntry],
    seed: int,
    findings: Sequence[Mapping[str, Any]],
) -> str:
    """Which run differed on which bar and in what, what decides it, and where lint saw a reason.

    A third run with the first one's hash seed tells the causes apart: only chance and the clock change it.
    """
    found = first_parting(one, other)
    if found is None:
        return "the same replies led to other heads: a defect of ours, please report it"
    told = found.told("run 1 (hash seed 0)", f"run 2 (hash seed {seed}, started later)")
    third: list[JournalEntry] = []
    run(first, third)
    again = first_parting(one, third)
    if again is None:
        cause, codes = "A third run with hash seed 0 repeats run 1: the hash seed decides", _HASHING
    else:
        differs = f"differs as well ({again.told('run 1', 'run 3')})"
        cause = f"A third run with hash seed 0 {differs}: chance or the clock decides"
        codes = _CHANCE
    suspects = [f"{f['code']} on line {f['line']}" for f in findings if f["code"] in codes]
    usual = "the order of a set or hash()" if codes is _HASHING else "unseeded random or the wall clock"
    return f"{told}. {cause}. Likely: {', '.join(suspects[:3]) or usual}."


def hash_seeds(source: bytes) -> tuple[int, ...]:
    """The seeds to try beside 0: more of them where the file makes a set or calls hash()."""
    names = {"set", "frozenset", "hash", "id"}
    hashes = any(
        isinstance(node, ast.Set | ast.SetComp) or (isinstance(node, ast.Name) and node.id in names)
        for node in ast.walk(ast.parse(source))
    )
    return (OTHER_HASH_SEED, *(MORE_HASH_SEEDS if hashes else ()))
