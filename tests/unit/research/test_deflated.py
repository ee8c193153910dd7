"""Probabilistic and deflated Sharpe ratios against published figures and worked examples."""

from __future__ import annotations

import math

import pytest

from inalpha.research.deflated import (
    Shape,
    deflated_sharpe,
    expected_maximum,
    probabilistic_sharpe,
    shape,
)


def test_two_years_of_monthly_returns_as_published_in_2012() -> None:
    """Bailey and López de Prado 2012: monthly ratio 0.458, n 24; 0.982 if normal, 0.913 with its own shape."""
    assert probabilistic_sharpe(Shape(0.458, 0.0, 3.0, 24)) == pytest.approx(0.982, abs=5e-4)
    assert probabilistic_sharpe(Shape(0.458, -2.448, 10.164, 24)) == pytest.approx(0.913, abs=5e-4)


def test_a_hundred_trials_as_published_in_2014() -> None:
    """Bailey and López de Prado 2014: annualised 2.5, n 1250, variance of the trials 1/2, 250 returns a year."""
    daily = Shape(2.5 / math.sqrt(250), -3.0, 10.0, 1250)
    expected = expected_maximum(0.5 / 250, 100)
    assert expected == pytest.approx(0.1132, abs=5e-5)
    assert probabilistic_sharpe(daily, expected) == pytest.approx(0.9004, abs=5e-5)


def test_fewer_trials_would_have_passed_as_published_in_2014() -> None:
    daily = Shape(2.5 / math.sqrt(250), -3.0, 10.0, 1250)
    assert probabilistic_sharpe(daily, expected_maximum(0.5 / 250, 46)) == pytest.approx(0.9505, abs=5e-4)


def test_moments_of_a_worked_example() -> None:
    """0, 0, 0, 4: mean 1, deviation 2, deviations -1, -1, -1, 3: m2 = 3, m3 = 6, m4 = 21."""
    found = shape([0.0, 0.0, 0.0, 4.0])
    assert found is not None
    assert found.sharpe == pytest.approx(0.5)
    assert found.skewness == pytest.approx(6 / 3**1.5)
    assert found.kurtosis == pytest.approx(21 / 9)


def test_no_deviation_has_no_ratio() -> None:
    assert shape([]) is None
    assert shape([0.01]) is None
    assert shape([0.1, 0.1, 0.1]) is None


def test_a_variance_below_zero_is_undefined_not_zero() -> None:
    assert probabilistic_sharpe(Shape(0.5, 4.0, 1.0, 100)) is None


def test_one_trial_is_not_deflated() -> None:
    found = shape([0.01, 0.02, -0.01, 0.03])
    assert found is not None
    assert deflated_sharpe(found, [found.sharpe]) is None
    assert expected_maximum(0.1, 1) is None


def test_equal_trials_deflate_to_the_probabilistic_ratio() -> None:
    found = shape([0.01, 0.02, -0.01, 0.03, 0.0])
    assert found is not None
    deflated = deflated_sharpe(found, [found.sharpe, found.sharpe])
    assert deflated is not None
    assert deflated.expected_sharpe == 0.0
    assert deflated.probability == probabilistic_sharpe(found)


def test_more_trials_deflate_further() -> None:
    found = Shape(0.1, 0.0, 3.0, 500)
    few = deflated_sharpe(found, [0.1, -0.1])
    many = deflated_sharpe(found, [0.1, -0.1] * 20)
    assert few is not None and many is not None
    assert few.probability is not None and many.probability is not None
    assert many.probability < few.probability
