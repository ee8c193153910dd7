"""The daemon's seam to its runner host: load, step, stop and kill one run's runner."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from inalpha.model.bar import Bar
from inalpha.model.errors import Refused
from inalpha.model.runner import HostLost
from inalpha.model.step import StepReply, StepRequest
from inalpha.risk.settings import RunnerLimits

if TYPE_CHECKING:
    from inalpha.daemon.runplan import RunPlan


@dataclass(frozen=True, slots=True)
class Evidence:
    """What was measured when a runner was loaded."""

    host: str
    level: str
    members: Mapping[str, Any]


class RunnerLink:
    """No host yet: every ask is answered as a lost host, which is retried."""

    def bind(self, run: str, host: str | None) -> None:
        """Give a run to a host; None is the local one. Raises Refused("NO_HOST")."""
        if host is not None:
            raise Refused("NO_HOST", f"there is no host {host}.", "List them: inalpha host list")

    async def enrolled(self, keys: dict[str, bytes]) -> None:
        """The remote hosts that count from now on, by name."""

    def measured(self, run: str) -> tuple[str, str | None] | None:
        """(host of the run, its measured level), None while that host is down."""
        return None

    async def load(self, plan: RunPlan, limits: RunnerLimits, level: str = "sealed") -> Evidence:
        """limits: time and memory, by the rules that bind now. level: the least that is accepted.

        Below sealed only where a waiver says so.
        """
        raise HostLost("none", 0.0)

    async def warm(self, run: str, bars: Sequence[Bar]) -> None:
        raise HostLost("none", 0.0)

    async def step(self, run: str, request: StepRequest) -> StepReply:
        raise HostLost("none", 0.0)

    async def stop(self, run: str) -> None:
        raise HostLost("none", 0.0)

    async def kill(self, run: str) -> None:
        raise HostLost("none", 0.0)

    def pids(self) -> dict[str, int]:
        """Run -> pid of its runner."""
        return {}
