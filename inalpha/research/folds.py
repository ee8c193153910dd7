"""Which bars choose the parameters and which judge them: walk-forward and purged k-fold, by position.

Sources: Pardo 1992 for walk-forward; López de Prado 2018, chapter 7, for purging and the embargo.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from inalpha.model.errors import EXIT_USAGE, InalphaError

LEAST_BARS = 20
Stretch = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Fold:
    """Half-open stretches of bar positions. train: in order, one of them or one on each side of the test."""

    train: tuple[Stretch, ...]
    test: Stretch

    def warm_up(self, stretch: Stretch, bars: int) -> Stretch:
        """The up to `bars` positions before a stretch; those before a training one hold no test bar."""
        first = stretch[0]
        least = self.test[1] if stretch != self.test and first >= self.test[1] else 0
        return max(least, first - bars), first


def walk_forward(
    count: int, folds: int, train: int | None = None, test: int | None = None, purge: int = 0
) -> list[Fold]:
    """Train on the past, test on what follows it; test stretches do not overlap and end at the last bar.

    train: bars of a rolling window; None anchors it at the first bar. test: bars of each; None divides all bars
    in folds + 1 equal parts. purge: bars left out before each test. Raises InalphaError("FOLDS").
    """
    _demand(folds >= 1 and purge >= 0, f"{folds} folds, purge {purge}")
    test = count // (folds + 1) if test is None else test
    found = []
    for index in range(folds):
        start = count - (folds - index) * test
        end = start - purge
        begin = 0 if train is None else end - train
        _demand(begin >= 0, f"fold {index + 1} would begin {-begin} bars before the first")
        found.append(Fold(((begin, end),), (start, start + test)))
    return _checked(found)


def purged_kfold(count: int, folds: int, purge: int = 0, embargo: int = 0) -> list[Fold]:
    """Each k-th part tests what all others trained, but for purge bars before it and purge + embargo after.

    Before: a position or window that reaches into the test. After: windows that still hold test bars (purge),
    and returns that remember them (embargo). Raises InalphaError("FOLDS").
    """
    _demand(folds >= 2 and purge >= 0 and embargo >= 0, f"{folds} folds, purge {purge}, embargo {embargo}")
    found = []
    for index in range(folds):
        start, end = index * count // folds, (index + 1) * count // folds
        sides = ((0, start - purge), (end + purge + embargo, count))
        train = tuple((first, last) for first, last in sides if last - first >= LEAST_BARS)
        found.append(Fold(train, (start, end)))
    return _checked(found)


def _checked(folds: list[Fold]) -> list[Fold]:
    for number, fold in enumerate(folds, start=1):
        _demand(bool(fold.train), f"fold {number} has nothing to train on")
        for first, last in _stretches(fold):
            _demand(last - first >= LEAST_BARS, f"a stretch of fold {number} has {last - first} bars")
    return folds


def _stretches(fold: Fold) -> Iterator[Stretch]:
    yield from fold.train
    yield fold.test


def _demand(holds: bool, what: str) -> None:
    if not holds:
        fix = f"Every stretch needs {LEAST_BARS} bars: fewer folds, a shorter window or purge, or more bars."
        raise InalphaError("FOLDS", f"{what}.", fix, exit_code=EXIT_USAGE)
