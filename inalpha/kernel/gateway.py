"""Where an order goes once risk has passed it: to work at once, or to wait for a person."""

from __future__ import annotations

from enum import Enum
from typing import Protocol

from inalpha.model.order import OrderRequest
from inalpha.model.risk import Refusal, RunView, Stage, Trip


class Disposition(Enum):
    WORKING = "working"
    PENDING = "pending"


class Gateway(Protocol):
    """Handed in at the composition root; nothing asks which one it is."""

    def route(self, order: OrderRequest) -> Disposition: ...


class DirectGateway:
    """Backtests and mandates under which the machine approves within signed limits."""

    def route(self, order: OrderRequest) -> Disposition:
        return Disposition.WORKING


class HumanGateway:
    """Mandates under which every order of the strategy waits for an operator's signature."""

    def route(self, order: OrderRequest) -> Disposition:
        return Disposition.PENDING


def gateway_for(approval: str) -> Gateway:
    """The gateway that a run's approval mode stands for."""
    return HumanGateway() if approval == "human" else DirectGateway()


class NoRisk:
    """`--no-risk`: only what the exchange itself demands remains (cash, tick, lot). Stamped on reports."""

    def check(self, order: OrderRequest, view: RunView, stage: Stage) -> tuple[Refusal, ...]:
        return ()

    def trips(self, view: RunView, *, entered: bool, refused: bool) -> tuple[Trip, ...]:
        return ()

    def under(self, rules: str) -> NoRisk:
        return self
