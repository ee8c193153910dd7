"""A hundred live runs over ten accounts, fed one bar each at once: how long until every decision is durable.

    python benchmarks/hundred_runs.py [ROUNDS] [--json]

A real installation: ten operators with an account, a candidate and ten runs each, every run on a growing file
of its own. A round appends one line to each of the hundred files; a run's time ends when a reader sees its step
in the ledger, with its decision: an order cancelled, another planned, approved and executed. The poll of the
files (a quarter of a second) is part of it. Goal: p95 <= 1 s on two cores.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from support.installation import Installation, first_bars

from inalpha.ledger.readers import open_reader

ACCOUNTS, RUNS_EACH = 10, 10
GOAL_S = 1.0
SOURCE = """# of {name}
from inalpha import SMA, Strategy


class Eager(Strategy):
    def on_start(self):
        self.mean = self.indicator(SMA(5))

    def on_bar(self, bar):
        for order in self.orders:
            self.cancel(order)
        self.buy(1, limit=bar.close * 0.97, reason="a little lower")
"""
MINUTE_S = 60
FIRST_S = (int(time.time()) - 6 * 3600) // MINUTE_S * MINUTE_S


def line(minute: int) -> str:
    price = 100 + minute % 2
    return f"{FIRST_S + minute * MINUTE_S},{price},{price + 1},{price - 1},{price},10000\n"


def open_accounts(home: Installation, folder: Path) -> dict[str, str]:
    """Operators with an account each; answers their promoted candidates."""
    few = first_bars("GOOG-1d.csv", 320, folder / "gate.csv")
    rules = home.home / "risk.toml"
    # Budgets for a hundred runners on a small machine; bars of this morning, so that no round has to wait.
    rules.write_text(
        "schema = 1\n[controls]\nrunner_limits = {memory_mib = 64}\nstale_data = {max_lag_s = 86400}\n"
        "order_rate = {per_bar = 2, per_hour = 10000, per_day = 10000}\nrepeated_execution = {entries = 10000}\n"
    )
    home("risk", "apply")
    candidates = {}
    for number in range(ACCOUNTS):
        name = f"desk-{number}"
        home("operator", "add", name, "--role", "owner", "--insecure-no-passphrase", "--operator", "alice")
        home("account", "open", name, "--operator", "alice")
        file = folder / f"{name}.py"
        file.write_text(SOURCE.format(name=name))
        home(
            "candidate",
            "submit",
            str(file),
            "--rationale",
            "a benchmark's",
            "--bars",
            str(few),
            "--operator",
            name,
        )
        listed = home.items("candidate", "list")
        candidates[name] = listed[-1]["candidate"]
        home("candidate", "promote", candidates[name], "--reason", "benchmark", "--operator", name)
    return candidates


def start_runs(home: Installation, candidates: dict[str, str], folder: Path) -> dict[str, Path]:
    """Ten runs an account; run name -> its file."""

    def start(name: str, number: int) -> tuple[str, Path]:
        path = folder / f"{name}-{number}.csv"
        path.write_text("time,open,high,low,close,volume\n" + line(0))
        found = home.json(
            "run", "start", candidates[name], "--account", name, "--operator", name, "--symbol", f"S{number}",
            "--timeframe", "1m", "--feed", f"file:{path}", "--allocation", "10000",
        )  # fmt: skip
        return found["run"], path

    pairs = [(name, number) for name in candidates for number in range(RUNS_EACH)]
    with ThreadPoolExecutor(2) as pool:
        return dict(pool.map(lambda pair: start(*pair), pairs))


def one_round(home: Installation, files: dict[str, Path], minute: int) -> list[float]:
    """Seconds from the append until each run's step is durable."""
    reader = open_reader(home.home)
    query = "SELECT run, bars FROM run"
    before = dict(reader.execute(query).fetchall())
    began = time.perf_counter()
    for path in files.values():
        with path.open("a") as file:
            file.write(line(minute))
    took: dict[str, float] = {}
    while len(took) < len(files):
        for run, bars in reader.execute(query).fetchall():
            if run in files and run not in took and bars > before[run]:
                took[run] = time.perf_counter() - began
        if time.perf_counter() - began > 60:
            raise SystemExit(f"only {len(took)} of {len(files)} runs took the bar")
        time.sleep(0.003)
    reader.close()
    return sorted(took.values())


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("rounds", nargs="?", type=int, default=20)
    options.add_argument("--json", action="store_true")
    asked = options.parse_args()
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        home = Installation(folder / "home")
        home.init()
        home.start()
        try:
            files = start_runs(home, open_accounts(home, folder), folder)
            while len(home.presence()["runners"]) < len(files):
                time.sleep(0.1)
            one_round(home, files, 1)
            rounds = [one_round(home, files, 2 + number) for number in range(asked.rounds)]
            outcomes = Counter(item["outcome"] for item in home.items("decisions"))
        finally:
            home.stop()
    p50 = statistics.median(found[len(found) // 2] for found in rounds)
    p95 = [found[int(len(found) * 0.95) - 1] for found in rounds]
    body = {
        "runs": len(files), "accounts": ACCOUNTS, "rounds": asked.rounds, "decisions": dict(outcomes),
        "p50_s": round(p50, 3), "p95_s": round(statistics.median(p95), 3), "worst_p95_s": round(max(p95), 3),
        "goal_p95_s": GOAL_S, "load": os.getloadavg()[0],
    }  # fmt: skip
    if asked.json:
        print(json.dumps(body))
    else:
        for name, value in body.items():
            print(f"{name:12} {value}")


if __name__ == "__main__":
    main()
