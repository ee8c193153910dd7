"""Conditions that hold entries up and end by themselves, kept beside the books: a run's own, and those of all."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

from inalpha.model.risk import Block

if TYPE_CHECKING:
    from inalpha.daemon.accounts import Accounts


def lacks(found: tuple[Block, ...], code: str) -> bool:
    return all(block.code != code for block in found)


def without(found: tuple[Block, ...], codes: Collection[str]) -> tuple[Block, ...]:
    return tuple(block for block in found if block.code not in codes)


def put(accounts: Accounts, run: str, block: Block) -> bool:
    """Block a run, or refresh the figures of a block that lasts; whether it is new."""
    before = accounts.blocks.get(run, ())
    accounts.blocks[run] = (*without(before, (block.code,)), block)
    return lacks(before, block.code)


def lift(accounts: Accounts, run: str, *codes: str) -> bool:
    """End a run's blocks of these codes; whether there was one."""
    before = accounts.blocks.get(run, ())
    after = without(before, codes)
    if after:
        accounts.blocks[run] = after
    else:
        accounts.blocks.pop(run, None)
    return after != before


def holds(accounts: Accounts, run: str, *codes: str) -> bool:
    return any(block.code in codes for block in accounts.blocks.get(run, ()))
