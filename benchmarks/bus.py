"""Measures the bus on both brokers: `python benchmarks/bus.py [--json]`."""

from __future__ import annotations

import argparse
import asyncio
import json
import shutil
import statistics
import sys
import tempfile
import time
from pathlib import Path

from floods import KINDS

from inalpha.bus import envelope, slots, topics
from inalpha.bus.client import BusClient
from inalpha.bus.command import Command, CommandClient, CommandServer, slot_key
from inalpha.bus.selftest import run_self_test
from inalpha.bus.start import Broker, find_mosquitto, start_broker

ROUNDS = 1000
FLOOD_S = 3.0
GOALS = {"mosquitto": "<= 2", "amqtt": "<= 5"}


async def measure(broker: Broker) -> dict[str, tuple[float, str]]:
    """Figure and goal by name."""
    keys = slots.public_keys(broker.run_dir)

    async def handler(command: Command) -> dict[str, object]:
        return {"n": command.args["n"]}

    async with (
        BusClient(broker.socket, "daemon", broker.tokens["daemon"]) as daemon,
        BusClient(broker.socket, "cli-01", broker.tokens["cli-01"]) as cli,
    ):
        began = time.perf_counter()
        report = await run_self_test(daemon, broker.tokens)
        if not report.is_sound:
            raise SystemExit(f"self-test failed: {report.acts}")
        self_test = (time.perf_counter() - began) * 1e3
        server = CommandServer(
            daemon,
            slots.read_key(broker.run_dir, "daemon"),
            instance="bench",
            epoch=1,
            keys=lambda kid: slot_key(kid, keys[kid]) if kid in keys else None,
            handler=handler,
        )
        await server.start()
        state = envelope.encode("state", {}, epoch=1, now_us=envelope.wall_us())
        await daemon.publish(topics.DAEMON_STATE, state, retain=True)
        asking = CommandClient(
            cli,
            slots.read_key(broker.run_dir, "cli-01"),
            "cli-01",
            instance="bench",
            daemon_key=keys["daemon"],
        )
        await asking.start()
        times = []
        for number in range(ROUNDS):
            began = time.perf_counter()
            await asking.request("halt", {"n": number})
            times.append((time.perf_counter() - began) * 1e3)
        times.sort()
    return {
        f"{broker.kind}: self-test, ms": (self_test, "-"),
        f"{broker.kind}: command round trip p50, ms": (times[ROUNDS // 2], GOALS[broker.kind]),
        f"{broker.kind}: command round trip p99, ms": (times[ROUNDS * 99 // 100], "-"),
    }


async def measure_flood(broker: Broker, kind: str) -> tuple[float, int]:
    """The daemon's self-echo under a flood, p50 in ms, and how often the flood knocked."""
    news: asyncio.Queue[bytes] = asyncio.Queue()
    flood = await asyncio.create_subprocess_exec(
        sys.executable, str(Path(__file__).with_name("floods.py")), kind, broker.socket, str(FLOOD_S),
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert flood.stdin is not None and flood.stdout is not None
    times = []
    async with BusClient(broker.socket, "daemon", broker.tokens["daemon"]) as daemon:
        await daemon.subscribe(topics.NOTICE, lambda message: news.put_nowait(message.payload))
        flood.stdin.write(broker.tokens["host-selftest-a"].encode() + b"\n")
        await flood.stdout.readline()
        while flood.returncode is None and len(times) < 10_000:
            began = time.perf_counter()
            daemon.post(topics.NOTICE, b"%d" % len(times))
            try:
                async with asyncio.timeout(5):
                    while await news.get() != b"%d" % len(times):
                        pass
            except TimeoutError:
                raise SystemExit(f"{broker.kind}: no echo within 5 s under {kind}") from None
            times.append((time.perf_counter() - began) * 1e3)
            await asyncio.sleep(0.002)
        knocks = int(await flood.stdout.readline() or 0)
        await flood.wait()
        if daemon.connects != 1 or not broker.is_alive:
            raise SystemExit(f"{broker.kind}: the flood {kind} threw the daemon out")
    return statistics.median(times), knocks


def floods(broker: Broker) -> dict[str, tuple[float, str]]:
    found = {}
    for kind in KINDS:
        median, knocks = asyncio.run(measure_flood(broker, kind))
        found[f"{broker.kind}: echo p50 under {kind} ({knocks} knocks), ms"] = (median, "<= 20")
    return found


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--json", action="store_true")
    as_json = parser.parse_args().json
    figures: dict[str, tuple[float, str]] = {}
    for kind in GOALS:
        if kind == "mosquitto" and find_mosquitto() is None:
            continue
        folder = Path(tempfile.mkdtemp(prefix="bus-"))
        began = time.perf_counter()
        broker = start_broker(folder / "run", kind)
        figures[f"{kind}: start, ms"] = ((time.perf_counter() - began) * 1e3, "-")
        try:
            figures |= asyncio.run(measure(broker))
            figures |= floods(broker)
        finally:
            broker.stop()
            shutil.rmtree(folder)
    if as_json:
        print(json.dumps({name: value for name, (value, _) in figures.items()}))
        return
    for name, (value, goal) in figures.items():
        print(f"{name:62} {value:10.2f}   goal {goal}")


if __name__ == "__main__":
    main()
