"""Both brokers: the ACL holds, sessions reconnect, garbage changes nothing, children die with the daemon."""

from __future__ import annotations

import asyncio
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from inalpha.bus import envelope, slots, topics
from inalpha.bus.client import BusClient, Message, Will
from inalpha.bus.command import Command, CommandClient, CommandServer, slot_key
from inalpha.bus.raw import RawPeer
from inalpha.bus.selftest import run_self_test
from inalpha.bus.start import Broker, find_mosquitto, mosquitto_config, start_broker
from inalpha.model.errors import InalphaError, TryAgain

KINDS = ["mosquitto", "amqtt"]


@pytest.fixture(params=KINDS)
def broker(request: pytest.FixtureRequest) -> Iterator[Broker]:
    if request.param == "mosquitto" and find_mosquitto() is None:
        pytest.skip("mosquitto is not installed")
    folder = Path(tempfile.mkdtemp(prefix="bus-"))
    started = start_broker(folder / "run", request.param)
    yield started
    started.stop()
    shutil.rmtree(folder)


def client(broker: Broker, identity: str, **options: object) -> BusClient:
    return BusClient(broker.socket, identity, broker.tokens[identity], **options)  # type: ignore[arg-type]


class Heard:
    """Messages as they come; waits without sleeping."""

    def __init__(self) -> None:
        self.messages: list[Message] = []
        self._news = asyncio.Event()

    def __call__(self, message: Message) -> None:
        self.messages.append(message)
        self._news.set()

    async def wait(self, payload: bytes, timeout_s: float = 5.0) -> Message:
        async with asyncio.timeout(timeout_s):
            while True:
                for message in self.messages:
                    if message.payload == payload:
                        return message
                self._news.clear()
                await self._news.wait()


async def test_self_test_passes(broker: Broker) -> None:
    async with client(broker, "daemon") as daemon:
        report = await run_self_test(daemon, broker.tokens)
    assert report.is_sound, report.acts
    assert len(report.acts) == 6


async def test_self_test_leaves_the_daemons_own_handlers(broker: Broker) -> None:
    async with client(broker, "daemon") as daemon:
        heard = Heard()
        await daemon.subscribe("hosts/+/state", heard)
        assert (await run_self_test(daemon, broker.tokens)).is_sound
        await daemon.publish("hosts/host-local/state", b"after")
        await heard.wait(b"after")


async def test_dead_bus_proves_nothing(broker: Broker) -> None:
    async with client(broker, "daemon") as daemon:
        wrong = dict.fromkeys(slots.SELF_TEST, "0" * 64)
        report = await run_self_test(daemon, wrong, timeout_s=0.5)
    assert not report.is_sound


async def test_hundred_bad_logins_as_the_daemon_disturb_nothing(broker: Broker) -> None:
    async with client(broker, "daemon") as daemon:
        heard = Heard()
        await daemon.subscribe("notice", heard)
        for number in range(100):
            peer = await RawPeer.open(broker.socket)
            assert await peer.connect("daemon", f"wrong-{number}", "daemon", is_clean=bool(number % 2)) != 0
            peer.cut()
            if number % 20 == 0:
                await daemon.publish("notice", b"echo %d" % number)
                await heard.wait(b"echo %d" % number)
        assert daemon.connects == 1


async def test_valid_user_under_the_daemons_client_id_disturbs_nothing(broker: Broker) -> None:
    async with client(broker, "daemon") as daemon:
        heard = Heard()
        await daemon.subscribe("notice", heard)
        for is_clean in (True, False):
            peer = await RawPeer.open(broker.socket)
            await peer.connect("cli-01", broker.tokens["cli-01"], "daemon", is_clean=is_clean)
            await daemon.publish("notice", b"echo %d" % is_clean)
            await heard.wait(b"echo %d" % is_clean)
            assert peer.published == []
            peer.cut()
        assert daemon.connects == 1


async def test_own_will_is_published_and_retained(broker: Broker) -> None:
    will = Will("hosts/host-local/state", b"gone")
    async with client(broker, "daemon") as daemon:
        heard = Heard()
        await daemon.subscribe("hosts/+/state", heard)
        host = await RawPeer.open(broker.socket)
        full = (f"inalpha/{will.topic}", will.payload)
        assert await host.connect("host-local", broker.tokens["host-local"], "host-local", will=full) == 0
        host.cut()
        await heard.wait(b"gone")
        late = Heard()
        await daemon.subscribe("hosts/host-local/state", late)
        assert (await late.wait(b"gone")).is_retained


async def test_retained_state_reaches_a_late_console(broker: Broker) -> None:
    async with client(broker, "daemon") as daemon, client(broker, "console-01") as console:
        await daemon.publish(topics.DAEMON_STATE, b"state", retain=True)
        heard = Heard()
        await console.subscribe(topics.DAEMON_STATE, heard)
        assert (await heard.wait(b"state")).is_retained


@pytest.mark.parametrize(
    "garbage",
    [
        b"",
        b"GET / HTTP/1.1\r\n\r\n",
        b"\x10\xff\xff\xff\x7f",
        b"\x10\x02\x00",
        b"\xf0\x00",
        b"\x10\xff\xff\xff\xff\xff",
        b"\x10\x0c\x00\x04MQTT\x04\x02\x00\x00\xff\xff",
        random.Random(149).randbytes(2000),
        b"\x30\xff\xff\xff\x7f" + b"x" * 200_000,
    ],
)
async def test_garbage_leaves_the_broker_alive(broker: Broker, garbage: bytes) -> None:
    async with client(broker, "daemon") as daemon:
        heard = Heard()
        await daemon.subscribe("notice", heard)
        peers = [await RawPeer.open(broker.socket) for _ in range(5)]
        for peer in peers:
            peer.send_raw(garbage)
        await daemon.publish("notice", b"alive")
        await heard.wait(b"alive")
        for peer in peers:
            peer.cut()
        assert broker.is_alive


async def test_many_half_open_peers_leave_the_daemon_connected(broker: Broker) -> None:
    async with client(broker, "daemon") as daemon:
        heard = Heard()
        await daemon.subscribe("notice", heard)
        peers = []
        for _ in range(200):
            try:
                peers.append(await RawPeer.open(broker.socket))
            except OSError:
                break
        await daemon.publish("notice", b"alive")
        await heard.wait(b"alive")
        for peer in peers:
            peer.cut()
        assert daemon.connects == 1


async def test_oversize_message_ends_its_sender_alone(broker: Broker) -> None:
    async with client(broker, "daemon") as daemon:
        heard = Heard()
        await daemon.subscribe("hosts/host-local/#", heard)
        host = await RawPeer.open(broker.socket)
        assert await host.connect("host-local", broker.tokens["host-local"], "host-local") == 0
        host.publish("inalpha/hosts/host-local/beat", b"x" * 200_000)
        await host.closed()
        await daemon.publish("hosts/host-local/beat", b"alive")
        await heard.wait(b"alive")
        assert [m.payload for m in heard.messages] == [b"alive"]


async def test_everybody_is_back_within_a_second_after_sigkill(broker: Broker) -> None:
    reconnected = asyncio.Event()

    async def on_connect() -> None:
        if console.connects > 1:
            reconnected.set()

    console = client(broker, "console-01", on_connect=on_connect)
    async with client(broker, "daemon") as daemon, console:
        heard = Heard()
        await console.subscribe("notice", heard)
        os.kill(broker.pid, signal.SIGKILL)
        await asyncio.to_thread(broker.process.wait)
        broker.restart()
        began = time.monotonic()
        await asyncio.wait_for(reconnected.wait(), 5)
        await daemon.connected()
        await daemon.publish("notice", b"again")
        await heard.wait(b"again")
        assert time.monotonic() - began < 3
        assert daemon.connects == console.connects == 2


async def test_client_says_that_the_bus_is_down(broker: Broker) -> None:
    daemon = client(broker, "daemon")
    with pytest.raises(TryAgain, match="BUS_DOWN"):
        await daemon.publish("notice", b"x")
    broker.stop()
    with pytest.raises(TryAgain, match="BUS_DOWN"):
        await daemon.start(timeout_s=0.3)
    await daemon.close()


async def command_pair(broker: Broker, served: list[Command]) -> tuple[BusClient, BusClient, CommandClient]:
    keys = slots.public_keys(broker.run_dir)

    async def handler(command: Command) -> dict[str, object]:
        served.append(command)
        if command.cmd == "cancel":
            raise InalphaError("NOT_FOUND", "no such order", "List them.", exit_code=4)
        return {"echo": dict(command.args)}

    daemon = client(broker, "daemon")
    await daemon.start()
    server = CommandServer(
        daemon,
        slots.read_key(broker.run_dir, "daemon"),
        instance="abc",
        epoch=3,
        keys=lambda kid: slot_key(kid, keys[kid]) if kid in keys else None,
        handler=handler,
    )
    await server.start()
    state = envelope.encode("state", {}, epoch=3, now_us=envelope.wall_us())
    await daemon.publish(topics.DAEMON_STATE, state, retain=True)
    cli = client(broker, "cli-01")
    await cli.start()
    asking = CommandClient(
        cli,
        slots.read_key(broker.run_dir, "cli-01"),
        "cli-01",
        instance="abc",
        daemon_key=keys["daemon"],
    )
    await asking.start()
    return daemon, cli, asking


async def test_command_is_answered(broker: Broker) -> None:
    served: list[Command] = []
    daemon, cli, asking = await command_pair(broker, served)
    assert await asking.request("halt", {"scope": "all"}) == {"echo": {"scope": "all"}}
    with pytest.raises(InalphaError) as caught:
        await asking.request("cancel", {})
    assert (caught.value.code, caught.value.fix, caught.value.exit_code) == ("NOT_FOUND", "List them.", 4)
    with pytest.raises(InalphaError, match="ROLE"):
        await asking.request("promote", {})
    assert [command.cmd for command in served] == ["halt", "cancel"]
    await cli.close()
    await daemon.close()


async def test_forged_reply_is_not_believed(broker: Broker) -> None:
    served: list[Command] = []
    daemon, cli, asking = await command_pair(broker, served)
    await daemon.unsubscribe("cmd/+")
    heard = Heard()
    await daemon.subscribe("cmd/+", heard)
    asked = asyncio.ensure_future(asking.request("halt", {}, timeout_s=1.5))
    while not heard.messages:
        await asyncio.sleep(0.005)
    identifier = next(iter(asking._waiting))
    forged = envelope.seal(slots.read_key(broker.run_dir, "console-01"), "daemon", b"{}")
    await daemon.publish(topics.reply("cli-01", identifier), forged)
    with pytest.raises(TryAgain, match="NO_REPLY"):
        await asked
    await cli.close()
    await daemon.close()


async def test_slots_are_taken_once(broker: Broker) -> None:
    with (
        slots.take_slot(broker.run_dir, "console") as first,
        slots.take_slot(broker.run_dir, "console") as second,
    ):
        assert first.identity != second.identity
        async with BusClient(broker.socket, first.identity, first.token):
            pass
    with slots.take_slot(broker.run_dir, "console") as again:
        assert again.identity == first.identity


def test_thirty_third_console_is_told_so(tmp_path: Path) -> None:
    slots.make_credentials(tmp_path / "run")
    taken = [slots.take_slot(tmp_path / "run", "console") for _ in range(32)]
    for slot in taken:
        slot.__enter__()
    with pytest.raises(TryAgain, match="NO_SLOT"), slots.take_slot(tmp_path / "run", "console"):
        pass
    for slot in taken:
        slot.__exit__(None, None, None)


def test_credentials_are_private(tmp_path: Path) -> None:
    slots.make_credentials(tmp_path / "run")
    assert (tmp_path / "run").stat().st_mode & 0o777 == 0o700
    files = list((tmp_path / "run" / "slots").iterdir())
    assert len(files) > 100
    assert {path.stat().st_mode & 0o777 for path in files} == {0o600}


def test_tokens_are_nowhere_in_process_lists(broker: Broker) -> None:
    command = (
        Path(f"/proc/{broker.pid}/cmdline").read_bytes() + Path(f"/proc/{broker.pid}/environ").read_bytes()
    )
    assert not any(token.encode() in command for token in broker.tokens.values())


@pytest.mark.parametrize("kind", KINDS)
def test_broker_dies_with_the_daemon(kind: str) -> None:
    folder = tempfile.mkdtemp(prefix="bus-")
    code = f"""
import sys, time
from pathlib import Path
from inalpha.bus.start import start_broker
print(start_broker(Path({folder!r}) / "run", {kind!r}).pid, flush=True)
time.sleep(60)
"""
    if kind == "mosquitto" and find_mosquitto() is None:
        pytest.skip("mosquitto is not installed")
    daemon = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert daemon.stdout is not None
    pid = int(daemon.stdout.readline())
    daemon.kill()
    daemon.wait()
    until = time.monotonic() + 5
    while _runs(pid):
        assert time.monotonic() < until, "the broker outlived the daemon"
        os.sched_yield()
    shutil.rmtree(folder)


def _runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


async def _self_test_on(address: str, tokens: dict[str, str]) -> object:
    async with BusClient(address, "daemon", tokens["daemon"]) as daemon:
        return await run_self_test(daemon, tokens, timeout_s=1.0)


STOCK = """
import asyncio, logging, os, sys
logging.disable(logging.CRITICAL)
from pathlib import Path
from amqtt.broker import Broker
from inalpha.bus.broker import Reader, Writer
async def main(path):
    broker = Broker({"listeners": {"default": {"type": "external", "bind": "unix:0"}},
        "plugins": {"amqtt.plugins.authentication.FileAuthPlugin": {"password_file": path + "/passwd"}}})
    await broker.start()
    async def serve(reader, writer):
        await broker.external_connected(Reader(reader), Writer(writer), "default")
    async with await asyncio.start_unix_server(serve, path + "/bus.sock"):
        print("ready", flush=True)
        await asyncio.sleep(60)
asyncio.run(main(sys.argv[1]))
"""


async def test_stock_amqtt_fails_the_self_test(tmp_path: Path) -> None:
    from pwdlib import PasswordHash

    folder = tempfile.mkdtemp(prefix="bus-")
    tokens = {name: name for name in ("daemon", *slots.SELF_TEST)}
    hasher = PasswordHash.recommended()
    Path(folder, "passwd").write_text("".join(f"{n}:{hasher.hash(t)}\n" for n, t in tokens.items()))
    stock = subprocess.Popen([sys.executable, "-c", STOCK, folder], stdout=subprocess.PIPE, text=True)
    try:
        assert stock.stdout is not None
        assert stock.stdout.readline() == "ready\n"
        report = await _self_test_on(f"{folder}/bus.sock", tokens)
        escaped = {act.name for act in report.acts if not act.is_contained}  # type: ignore[attr-defined]
        assert not report.is_sound  # type: ignore[attr-defined]
        assert len(escaped) >= 5, escaped
    finally:
        stock.kill()
        stock.wait()
        shutil.rmtree(folder)


async def test_misplaced_client_id_rule_fails_the_self_test() -> None:
    binary = find_mosquitto()
    if binary is None:
        pytest.skip("mosquitto is not installed")
    folder = Path(tempfile.mkdtemp(prefix="bus-"))
    good = start_broker(folder / "run", "mosquitto")
    good.stop()
    lines = mosquitto_config(good.run_dir, f"0 {good.socket}").splitlines()
    rule = "use_username_as_clientid true"
    lines.remove(rule)
    at = next(n for n, line in enumerate(lines) if line.startswith("listener"))
    lines.insert(at, rule)
    config = good.run_dir / "misplaced.conf"
    config.write_text("\n".join(lines) + "\n")
    bad = subprocess.Popen([binary, "-c", str(config)], stderr=subprocess.DEVNULL)
    try:
        report = await _self_test_on(good.socket, good.tokens)
        escaped = {act.name for act in report.acts if not act.is_contained}  # type: ignore[attr-defined]
        assert "takes the daemon's name" in escaped
    finally:
        bad.kill()
        bad.wait()
        shutil.rmtree(folder)
