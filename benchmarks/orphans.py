"""How long any process of an installation outlives its killed daemon: `python benchmarks/orphans.py [--json]`."""

from __future__ import annotations

import argparse
import json
import os
import signal
import time
from pathlib import Path

from inalpha.client.presence import start_ticks
from inalpha.redteam.scratch import Scratch

ROUNDS, RUNS = 5, 10
GOAL_MS = 250


def descendants(root: int) -> dict[int, int]:
    """pid -> start time of everything below root."""
    parents: dict[int, list[int]] = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                fields = Path(f"/proc/{name}/stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            parents.setdefault(int(fields[1]), []).append(int(name))
    found, level = {}, [root]
    while level:
        level = [child for parent in level for child in parents.get(parent, [])]
        found.update({pid: ticks for pid in level if (ticks := start_ticks(pid)) is not None})
    return found


def one_round() -> tuple[int, float]:
    """Processes below the daemon, and milliseconds from SIGKILL until the last of them has ended."""
    with Scratch() as scratch:
        candidate = scratch.promote(scratch.submit("bystander.py"))
        bars = scratch.bars(2000)
        for number in range(RUNS):
            scratch.start_run(candidate, f"X{number}", bars, "5")
        while len(scratch.presence.runners) < RUNS:
            time.sleep(0.02)
        daemon = scratch.presence.pid
        below = descendants(daemon)
        began = time.perf_counter()
        os.kill(daemon, signal.SIGKILL)
        while any(start_ticks(pid) == ticks for pid, ticks in below.items()):
            time.sleep(0.0005)
        return len(below), (time.perf_counter() - began) * 1e3


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--json", action="store_true")
    as_json = parser.parse_args().json
    rounds = [one_round() for _ in range(ROUNDS)]
    worst = max(ms for _, ms in rounds)
    if as_json:
        print(json.dumps({"processes": rounds[0][0], "worst_ms": worst, "goal_ms": GOAL_MS}))
        return
    for count, ms in rounds:
        print(f"{count} processes gone after {ms:6.1f} ms   goal <= {GOAL_MS}")


if __name__ == "__main__":
    main()
