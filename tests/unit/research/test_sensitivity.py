"""Which neighbours are tried, and which of their figures are worth a warning."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inalpha.data import bundled
from inalpha.market.bars import load_bars
from inalpha.model.instrument import Instrument
from inalpha.research import gate
from inalpha.research.sensitivity import MAX_RUNS, Sensitivity, neighbours, sensitivity
from inalpha.research.trial import Trial
from inalpha.risk.rules import default_rules
from runners.local import LocalSandbox

DATA = load_bars(bundled("GOOG"), Instrument("GOOG", calendar="weekdays"))
BARS = DATA.bars[:400]


@pytest.fixture(scope="module")
def sandbox() -> Iterator[LocalSandbox]:
    with LocalSandbox() as found:
        yield found


def measured(sandbox: LocalSandbox, body: str) -> Sensitivity:
    text = f"from inalpha import Strategy\n\n\nclass Mine(Strategy):\n{body}"
    source = text.encode()
    return sensitivity(Trial(sandbox, source, gate.make_spec(source, DATA), default_rules()), BARS)


def test_whole_numbers_move_by_a_tenth_and_at_least_by_one() -> None:
    assert neighbours({"fast": 5}) == [("fast", 3, -2), ("fast", 4, -1), ("fast", 6, 1), ("fast", 7, 2)]
    assert [value for _, value, _ in neighbours({"slow": 50})] == [40, 45, 55, 60]


def test_fractions_move_by_tenths() -> None:
    assert [value for _, value, _ in neighbours({"share": 0.5})] == [0.4, 0.45, 0.55, 0.6]
    assert [value for _, value, _ in neighbours({"bias": -2.0})] == [-2.4, -2.2, -1.8, -1.6]


def test_words_switches_and_zeros_stay() -> None:
    assert neighbours({"side": "long", "on": True, "off": False, "none": 0, "nil": 0.0}) == []


def test_many_parameters_move_one_step_each_and_the_runs_are_bounded() -> None:
    four = neighbours({f"p{n}": 10 for n in range(3)})
    assert {steps for _, _, steps in four} == {-1, 1}
    assert len(neighbours({f"p{n}": 10 for n in range(50)})) == MAX_RUNS


@given(
    st.dictionaries(
        st.text(max_size=3),
        st.integers(-1000, 1000) | st.floats(1e-6, 1e6) | st.floats(-1e6, -1e-6),
        max_size=4,
    )
)
def test_no_neighbour_equals_its_value_or_crosses_zero(params: dict[str, int | float]) -> None:
    for name, value, steps in neighbours(params):
        assert value != params[name]
        assert (value > params[name]) == (steps > 0)  # type: ignore[operator]
        assert value * params[name] > 0  # type: ignore[operator]


def test_a_flip_of_sign_is_warned_of(sandbox: LocalSandbox) -> None:
    body = """
    edge: int = 5

    def on_bar(self, bar):
        if bar.sequence == (0 if self.edge == 5 else 350):
            self.buy(20)
"""
    found = measured(sandbox, body)
    assert found.total_return is not None and found.total_return > 0
    assert [warning.split(" turns ")[0] for warning in found.warnings] == [
        "sensitive: edge 5 -> 4", "sensitive: edge 5 -> 6"
    ]  # fmt: skip


def test_a_cliff_is_warned_of(sandbox: LocalSandbox) -> None:
    body = """
    edge: int = 5

    def on_bar(self, bar):
        if bar.sequence == (0 if self.edge <= 5 else 270):
            self.buy(20)
"""
    found = measured(sandbox, body)
    near = {item.value: item for item in found.neighbours}
    assert near[6].total_return is not None and near[6].total_return > 0
    assert near[4].sharpe == found.sharpe
    assert len(found.warnings) == 1 and "edge 5 -> 6 takes the Sharpe ratio" in found.warnings[0]


def test_a_neighbour_that_fails_is_told_and_has_no_figures(sandbox: LocalSandbox) -> None:
    body = """
    slow: int = 6

    def on_start(self):
        if self.slow < 6:
            raise ValueError("slow is too fast")

    def on_bar(self, bar):
        pass
"""
    near = {item.value: item for item in measured(sandbox, body).neighbours}
    assert "slow is too fast" in near[5].error
    assert near[5].total_return is None
    assert near[7].error == ""
