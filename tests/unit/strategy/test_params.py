"""Which values may replace a declared parameter."""

from __future__ import annotations

import pytest

from inalpha.strategy.base import Strategy
from inalpha.strategy.params import BadParam, apply_params


class Mine(Strategy):
    fast: int = 10
    share: float = 0.5
    side: str = "long"


def applied(**given: object) -> dict[str, object]:
    return dict(apply_params(Mine, Mine.__new__(Mine), given))


@pytest.mark.parametrize("given", ["0.7", 0.7])
def test_a_fraction_may_be_decimal_text(given: object) -> None:
    assert applied(share=given) == {"fast": 10, "share": 0.7, "side": "long"}


def test_a_whole_number_serves_as_a_fraction() -> None:
    assert applied(share=1)["share"] == 1.0


@pytest.mark.parametrize(
    "given", [{"share": "much"}, {"share": "nan"}, {"share": True}, {"fast": "10"}, {"fast": 1.5}, {"no": 1}]
)
def test_other_types_are_refused(given: dict[str, object]) -> None:
    with pytest.raises(BadParam):
        applied(**given)
