"""Measures the sandbox: `python benchmarks/runners.py [--json]`. Goals stand beside each figure."""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
import time
from pathlib import Path

# Run as a script, this folder comes first and this file would hide the package that it measures.
sys.path[:] = [entry for entry in sys.path if Path(entry).resolve() != Path(__file__).resolve().parent]

from inalpha.model.bar import Bar  # noqa: E402
from inalpha.model.instrument import Instrument  # noqa: E402
from inalpha.model.runner import RunnerEnded  # noqa: E402
from inalpha.model.step import StepRequest  # noqa: E402
from runners.forkserver import Zygote  # noqa: E402
from runners.local import LocalSandbox, SandboxRunner  # noqa: E402

DAY = 86_400_000_000_000
EMPTY = b"from inalpha import Strategy\n\nclass Empty(Strategy):\n    def on_bar(self, bar):\n        pass\n"
PANDAS = b"""
import ta
from inalpha import Strategy

class Busy(Strategy):
    def on_bar(self, bar):
        frame = self.history(60)
        frame["close"].rolling(10).mean()
        if len(frame) > 20:
            ta.momentum.rsi(frame["close"], 14)
            ta.volatility.bollinger_hband(frame["close"])
"""


def request(sequence: int) -> StepRequest:
    bar = Bar(
        sequence * DAY, (sequence + 1) * DAY, 10_000, 10_100, 9_900, 10_000 + sequence % 50, 10**8, sequence
    )
    return StepRequest(sequence, (sequence + 1) * DAY, (), bar, (0, 0), (10**12, 10**12), ())


def begin(sandbox: LocalSandbox, source: bytes) -> SandboxRunner:
    return sandbox.start_run(source, hashlib.sha256(source).hexdigest(), {}, Instrument("X"), "1d", 1)


def quantile(values: list[float], share: float) -> float:
    return sorted(values)[min(len(values) - 1, int(len(values) * share))]


def memory_kb(pid: int) -> tuple[int, int]:
    """Unique and proportional set size, in units of 1024 bytes."""
    fields = {}
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]:
        name, _, value = line.partition(":")
        fields[name] = int(value.split()[0])
    return fields["Private_Clean"] + fields["Private_Dirty"], fields["Pss"]


def measure() -> dict[str, tuple[float, str]]:
    """Figure and goal by name."""
    found: dict[str, tuple[float, str]] = {}
    starts = []
    for _ in range(3):
        began = time.perf_counter()
        zygote = Zygote()
        zygote.start()
        starts.append(time.perf_counter() - began)
        zygote.close()
    found["zygote ready, s"] = (quantile(starts, 0.5), "<= 1.5")
    began = time.perf_counter()
    with LocalSandbox() as sandbox:
        found["zygote and twelve probes, s"] = (time.perf_counter() - began, "-")
        loads, kills = [], []
        for _ in range(100):
            began = time.perf_counter()
            runner = begin(sandbox, EMPTY)
            loads.append((time.perf_counter() - began) * 1e3)
            began = time.perf_counter()
            runner.kill()
            kills.append((time.perf_counter() - began) * 1e3)
        found["request to loaded p50, ms"] = (quantile(loads, 0.5), "-")
        found["request to loaded p95, ms"] = (quantile(loads, 0.95), "<= 50")
        found["kill to reaped p99, ms"] = (quantile(kills, 0.99), "<= 50")
        runner = begin(sandbox, EMPTY)
        bars = []
        for sequence in range(20_000):
            began = time.perf_counter()
            runner.step(request(sequence))
            bars.append((time.perf_counter() - began) * 1e6)
        found["bar overhead p50, us"] = (quantile(bars, 0.5), "<= 100")
        found["bar overhead p99, us"] = (quantile(bars, 0.99), "<= 1000")
        runner.kill()
        crowd = [begin(sandbox, PANDAS) for _ in range(50)]
        for runner in crowd:
            for sequence in range(60):
                reply = runner.step(request(sequence))
                if reply.error:
                    raise RunnerEnded("exception", reply.error)
        sizes = [memory_kb(runner.process.pid) for runner in crowd]
        found["USS after 60 bars of pandas and ta, MB"] = (max(u for u, _ in sizes) * 1.024e-3, "<= 8")
        found["PSS of 50 runners, MB"] = (sum(p for _, p in sizes) * 1.024e-3, "<= 450")
    return found


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--json", action="store_true")
    figures = measure()
    if parser.parse_args().json:
        print(json.dumps({name: value for name, (value, _) in figures.items()}))
        return
    for name, (value, goal) in figures.items():
        print(f"{name:42} {value:10.2f}   goal {goal}")


if __name__ == "__main__":
    main()
