"""Floods of hostile peers: the broker lives, the daemon stays connected and hears its own echo all along.

How long an echo takes under each flood is measured by benchmarks/bus.py.
"""

from __future__ import annotations

import asyncio
import shutil
import socket
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from inalpha.bus.broker import ACCEPT_BURST, accept
from inalpha.bus.client import BusClient
from inalpha.bus.start import Broker, find_mosquitto, start_broker

FLOODS = Path(__file__).parents[2] / "benchmarks" / "floods.py"
KINDS = ("garbage", "oversize", "half-open", "connections", "logins")


@pytest.fixture(params=["mosquitto", "amqtt"])
def broker(request: pytest.FixtureRequest) -> Iterator[Broker]:
    if request.param == "mosquitto" and find_mosquitto() is None:
        pytest.skip("mosquitto is not installed")
    folder = Path(tempfile.mkdtemp(prefix="bus-"))
    started = start_broker(folder / "run", request.param)
    yield started
    started.stop()
    shutil.rmtree(folder)


async def stand(broker: Broker, kind: str, seconds: float) -> tuple[int, int]:
    """Echoes that the daemon heard, and knocks of the flood meanwhile."""
    flood = await asyncio.create_subprocess_exec(
        sys.executable, str(FLOODS), kind, broker.socket, str(seconds),
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert flood.stdin is not None and flood.stdout is not None
    heard: asyncio.Queue[bytes] = asyncio.Queue()
    echoes = 0
    async with BusClient(broker.socket, "daemon", broker.tokens["daemon"]) as daemon:
        await daemon.subscribe("notice", lambda message: heard.put_nowait(message.payload))
        flood.stdin.write(broker.tokens["host-selftest-a"].encode() + b"\n")
        assert await flood.stdout.readline() == b"ready\n"
        ended = asyncio.ensure_future(flood.wait())
        while not ended.done():
            await daemon.publish("notice", b"%d" % echoes)
            assert await asyncio.wait_for(heard.get(), 10) == b"%d" % echoes
            echoes += 1
        knocks = int(await flood.stdout.readline())
        assert daemon.connects == 1
    assert broker.is_alive
    # And afterwards others get in: no half-open peer keeps a place for good.
    async with BusClient(broker.socket, "console-01", broker.tokens["console-01"]):
        pass
    return echoes, knocks


# The two that cost a broker most: bytes that are no packet, and peers that come and go.
async def test_daemon_hears_itself_through_a_flood(broker: Broker) -> None:
    kind = "garbage" if broker.kind == "mosquitto" else "connections"
    echoes, knocks = await stand(broker, kind, 0.5)
    assert echoes > 5 and knocks > 5, (echoes, knocks)


@pytest.mark.campaign
@pytest.mark.parametrize("kind", KINDS)
async def test_daemon_hears_itself_through_a_long_flood(broker: Broker, kind: str) -> None:
    echoes, knocks = await stand(broker, kind, 20.0)
    assert echoes > 200 and knocks > 200, (echoes, knocks)


async def test_amqtt_takes_a_crowd_in_turns(tmp_path: Path) -> None:
    """Beyond the burst, waiting peers stay in the kernel's queue and cost the loop nothing."""

    class Counting:
        connections = 0
        served = 0

        async def serve(self, reader: object, writer: asyncio.StreamWriter) -> None:
            self.served += 1
            writer.close()

    broker = Counting()
    with socket.socket(socket.AF_UNIX) as listener:
        listener.setblocking(False)
        listener.bind(str(tmp_path / "s"))
        listener.listen(4 * ACCEPT_BURST)
        crowd = [socket.socket(socket.AF_UNIX) for _ in range(3 * ACCEPT_BURST)]
        for peer in crowd:
            peer.connect(str(tmp_path / "s"))
        accepting = asyncio.create_task(accept(broker, listener))  # type: ignore[arg-type]
        while broker.served < ACCEPT_BURST:
            await asyncio.sleep(0)
        assert broker.served < 2 * ACCEPT_BURST
        accepting.cancel()
        for peer in crowd:
            peer.close()
