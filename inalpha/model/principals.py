"""The parts of the system that write lines of their own. People are `op:NAME`, agents `agent:NAME`."""

from __future__ import annotations

DAEMON = "system:daemon"
RISK = "system:risk"
RUNNER = "system:live_runner"  # approves a run's orders inside its signed mandate
SYSTEM = frozenset({DAEMON, RISK, RUNNER})
