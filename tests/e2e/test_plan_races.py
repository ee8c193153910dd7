"""Six processes of one person approve the same plans at the same moment: one order each, and a reason to the rest."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from support.installation import STRATEGIES, Installation, first_bars

PROCESSES = 6

# Each finds the next waiting plan by itself and runs the ordinary verb, in one process for all rounds.
CLIENT = """
import json, sys, time
from pathlib import Path
from click.testing import CliRunner
from inalpha.cli.main import main
from inalpha.ledger.readers import open_reader
home, rounds = sys.argv[1], int(sys.argv[2])
reader, seen, told = open_reader(Path(home)), set(), {}
print("ready", flush=True)
sys.stdin.readline()
while len(seen) < rounds:
    # A plan that another one decided before we looked is tried all the same.
    known = [plan for (plan,) in reader.execute("SELECT plan FROM plan ORDER BY created_seq LIMIT ?", (rounds,))]
    fresh = [plan for plan in known if plan not in seen]
    if not fresh:
        time.sleep(0.002)
        continue
    seen.add(fresh[0])
    run = CliRunner().invoke(main, ["--home", home, "plan", "approve", fresh[0], "--json"])
    told[fresh[0]] = [run.exit_code, run.output]
print(json.dumps(told), flush=True)
"""


def race(home: Installation, tmp_path: Path, rounds: int) -> None:
    candidate = home.promote(STRATEGIES / "fast_cross.py")
    bars = first_bars("GOOG-1d.csv", 700, tmp_path / "goog.csv")
    command = [sys.executable, "-c", CLIENT, str(home.home), str(rounds)]
    clients = [
        subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=os.environ | home.env
        )
        for _ in range(PROCESSES)
    ]
    try:
        for client in clients:
            assert client.stdout is not None and client.stdout.readline() == "ready\n"
        run = home.run(candidate, bars, "max", "GOOG", "--approval", "human")
        for client in clients:
            assert client.stdin is not None
            client.stdin.write("go\n")
            client.stdin.flush()
        told = [json.loads(client.communicate(timeout=240)[0]) for client in clients]
    finally:
        for client in clients:
            client.kill()
            client.wait()
    outcomes: Counter[str] = Counter()
    for plan in sorted(told[0]):
        codes = [answers[plan][0] for answers in told]
        assert codes.count(0) == 1, (plan, told)
        assert set(codes) == {0, 4}, (plan, codes)
        outcomes["approved"] += 1
        outcomes["refused"] += codes.count(4)
        assert all("executed" in answers[plan][1] or answers[plan][0] == 0 for answers in told), told
    print(dict(outcomes))  # noqa: T201
    home("run", "stop", run)
    plans = [item for item in home.items("plan", "list") if item["plan"] in told[0]]
    assert {item["state"] for item in plans} == {"executed"}
    orders = [item["order"] for item in plans]
    assert len(orders) == len(set(orders)) == rounds
    assert len(home.fills(run)) <= rounds
    home("audit", "verify")


def test_six_processes_approve_the_same_plans(installation: Installation, tmp_path: Path) -> None:
    race(installation, tmp_path, 2)


@pytest.mark.campaign
def test_six_processes_approve_the_same_twenty_plans(installation: Installation, tmp_path: Path) -> None:
    race(installation, tmp_path, 20)
