"""Measures the bus on both brokers: `python benchmarks/bus.py [--json]`."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from floods import KINDS

from inalpha.bus import envelope, external, slots, topics
from inalpha.bus.client import BusClient
from inalpha.bus.command import Command, CommandClient, CommandServer, slot_key
from inalpha.bus.external import External
from inalpha.bus.selftest import run_self_test
from inalpha.bus.start import Broker, find_mosquitto, start_broker

ROUNDS = 1000
FLOOD_S = 3.0
GOALS = {"mosquitto": "<= 2", "amqtt": "<= 5"}
TLS_GOALS = {"mosquitto TLS": "< 10"}


async def measure(broker: Broker | External) -> dict[str, tuple[float, str]]:
    """Figure and goal by name."""
    keys = slots.public_keys(broker.run_dir)

    async def handler(command: Command) -> dict[str, object]:
        return {"n": command.args["n"]}

    async with (
        BusClient(
            broker.socket, "daemon", broker.tokens["daemon"], root=broker.root, ca_file=broker.ca_file
        ) as daemon,
        BusClient(
            broker.socket, "cli-01", broker.tokens["cli-01"], root=broker.root, ca_file=broker.ca_file
        ) as cli,
    ):
        began = time.perf_counter()
        report = await run_self_test(daemon, broker.tokens, ca_file=broker.ca_file)
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
        f"{broker.kind}: command round trip p50, ms": (
            times[ROUNDS // 2],
            (GOALS | TLS_GOALS).get(broker.kind, "-"),
        ),
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


def tls_figures(folder: Path, *, is_delayed: bool = False) -> dict[str, tuple[float, str]]:
    """The same over TLS to an external mosquitto on the loopback. is_delayed: without TCP_NODELAY."""
    broker_dir, bus = folder / "broker", folder / "bus"
    make_certificates(folder)
    external.export(bus, broker_dir, "bench", ())
    for name in ("server.crt", "server.key"):
        shutil.copy(folder / name, broker_dir / name)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    config = broker_dir / "mosquitto.conf"
    text = config.read_text().replace("listener 8883", f"listener {port} 127.0.0.1")
    if is_delayed:
        text = text.replace("set_tcp_nodelay true", "set_tcp_nodelay false")
    config.write_text(("user root\n" if os.geteuid() == 0 else "") + text)
    process = subprocess.Popen([str(find_mosquitto()), "-c", str(config)], stderr=subprocess.DEVNULL)
    try:
        found = external.attach(
            folder / "run", bus, f"mqtts://127.0.0.1:{port}", str(folder / "ca.pem"), "bench"
        )
        found.kind = "mosquitto TLS without nodelay" if is_delayed else "mosquitto TLS"
        return asyncio.run(measure(found))
    finally:
        process.kill()
        process.wait()


def make_certificates(folder: Path) -> None:
    """A CA and a certificate of 127.0.0.1, by openssl."""
    (folder / "ext").write_text("subjectAltName=IP:127.0.0.1\n")
    key = "-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes"
    for command in (
        f"req -x509 {key} -keyout ca.key -out ca.pem -days 2 -subj /CN=bench",
        f"req {key} -keyout server.key -out server.csr -subj /CN=bus",
        "x509 -req -in server.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -extfile ext -out server.crt",
    ):
        subprocess.run(["openssl", *command.split()], cwd=folder, check=True, capture_output=True)


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
    if find_mosquitto() is not None and shutil.which("openssl"):
        for is_delayed in (False, True):
            with tempfile.TemporaryDirectory(prefix="bus-") as name:
                figures |= tls_figures(Path(name), is_delayed=is_delayed)
    if as_json:
        print(json.dumps({name: value for name, (value, _) in figures.items()}))
        return
    for name, (value, goal) in figures.items():
        print(f"{name:62} {value:10.2f}   goal {goal}")


if __name__ == "__main__":
    main()
