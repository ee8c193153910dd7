"""What one attack came to."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass


@dataclass(frozen=True, slots=True)
class Outcome:
    """family: strategy, bus or agent. control: what stopped it; "" in a breach. detail: what was seen."""

    family: str
    name: str
    what: str
    control: str
    detail: str
    is_breach: bool

    def as_dict(self) -> dict[str, object]:
        return asdict(self)


Progress = Callable[[Outcome], None]
