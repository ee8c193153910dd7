"""No fold lets a bar of its test, or of the zones around it, into its training."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inalpha.model.errors import InalphaError
from inalpha.research.folds import LEAST_BARS, Fold, purged_kfold, walk_forward


def bars(fold: Fold) -> set[int]:
    return {bar for stretch in fold.train for bar in range(*stretch)}


def try_folds(make: object, *arguments: object) -> list[Fold]:
    try:
        return make(*arguments)  # type: ignore[operator, no-any-return]
    except InalphaError as error:
        assert (error.code, error.exit_code) == ("FOLDS", 2)
        return []


@given(
    st.integers(0, 3000), st.integers(1, 12), st.integers(0, 300), st.integers(0, 300), st.integers(0, 400)
)
def test_k_fold_training_keeps_clear_of_the_test(
    count: int, folds: int, purge: int, embargo: int, warm: int
) -> None:
    for fold in try_folds(purged_kfold, count, folds, purge, embargo):
        first, last = fold.test
        assert not bars(fold) & set(range(first - purge, last + purge + embargo))
        for stretch in fold.train:
            begin, end = fold.warm_up(stretch, warm)
            assert 0 <= begin <= end == stretch[0]
            assert not set(range(begin, end)) & set(range(first, last))


@given(st.integers(40, 3000), st.integers(2, 12), st.integers(0, 50))
def test_k_fold_tests_every_bar_once(count: int, folds: int, purge: int) -> None:
    found = try_folds(purged_kfold, count, folds, purge, 0)
    assert not found or [bar for fold in found for bar in range(*fold.test)] == list(range(count))


@given(
    st.integers(0, 3000),
    st.integers(1, 12),
    st.none() | st.integers(1, 800),
    st.none() | st.integers(1, 300),
    st.integers(0, 300),
)
def test_walk_forward_trains_on_the_past_alone(
    count: int, folds: int, train: int | None, test: int | None, purge: int
) -> None:
    found = try_folds(walk_forward, count, folds, train, test, purge)
    for fold in found:
        assert max(bars(fold)) < fold.test[0] - purge
        assert min(bars(fold)) >= 0
        assert train is None or len(bars(fold)) == train
    for before, after in pairwise(found):
        assert before.test[1] == after.test[0]
    assert not found or found[-1].test[1] == count


@given(st.integers(100, 3000), st.integers(1, 6))
def test_every_stretch_has_bars_enough(count: int, folds: int) -> None:
    for fold in try_folds(walk_forward, count, folds):
        assert all(last - first >= LEAST_BARS for first, last in (*fold.train, fold.test))


def test_a_worked_example_of_both() -> None:
    assert walk_forward(600, 2, purge=10) == [Fold(((0, 190),), (200, 400)), Fold(((0, 390),), (400, 600))]
    assert purged_kfold(300, 3, purge=5, embargo=10) == [
        Fold(((115, 300),), (0, 100)),
        Fold(((0, 95), (215, 300)), (100, 200)),
        Fold(((0, 195),), (200, 300)),
    ]


def test_too_few_bars_are_refused_with_advice() -> None:
    with pytest.raises(InalphaError, match="fewer folds"):
        walk_forward(50, 5)
