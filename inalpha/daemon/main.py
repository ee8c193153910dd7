"""The daemon's composition root: ledger, broker, host, commands and runs, started in this order."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
from pathlib import Path

from nacl.signing import SigningKey

from inalpha import __version__
from inalpha.bus import envelope, external, slots, topics
from inalpha.bus.client import BusClient, Will
from inalpha.bus.command import Command, CommandServer
from inalpha.bus.external import External
from inalpha.bus.selftest import run_self_test
from inalpha.bus.start import Broker, start_broker
from inalpha.daemon import blocks, presence
from inalpha.daemon.alertwatch import watch_alerts
from inalpha.daemon.backupwatch import watch_backups
from inalpha.daemon.clockwatch import watch_clock
from inalpha.daemon.commands import refresh_limits
from inalpha.daemon.config import load_config
from inalpha.daemon.desk import Desk, KeyRing
from inalpha.daemon.diskwatch import watch_disk
from inalpha.daemon.evaluation import resume_evaluations
from inalpha.daemon.feedwatch import watch_feeds
from inalpha.daemon.hosting import HostChild
from inalpha.daemon.logs import Log
from inalpha.daemon.office import Office
from inalpha.daemon.witnessing import watch_witnesses
from inalpha.ledger import troubles
from inalpha.ledger.leftovers import sweep
from inalpha.ledger.writer import Ledger
from inalpha.model.errors import EXIT_FAILURE, EXIT_TRY_AGAIN, ConfigError, InalphaError, TryAgain
from inalpha.model.home import Home
from inalpha.model.plain import plain
from inalpha.model.risk import Block

BEAT_S = 1.0
STOP_S = 8.0
BUSY_TELL_S = 1.0
BUS_UNSOUND = "BUS_UNSOUND"


def run_daemon(home: Home) -> int:
    """Supervise a home until SIGTERM. Answers the exit code; errors are on stderr as the command line's."""
    log = Log()
    try:
        for text in sweep(home.root):
            log("leftover", text=text)
        ledger = Ledger.open(home.root, app=f"inalpha {__version__}")
    except Exception as error:
        return _told(home, error).exit_code
    why = "failure"  # until it ended as it was asked to
    try:
        code = asyncio.run(Supervisor(home, ledger, log).run())
        why = "sigterm" if code == 0 else why
        return code
    except Exception as error:
        found = _told(home, error)
        log("start_failed", "error", code=found.code, text=found.message, fix=found.fix)
        return found.exit_code
    finally:
        presence.withdraw(home)  # while the ledger is still ours: afterwards it could be a successor's
        ledger.close(why)


def _told(home: Home, error: Exception) -> InalphaError:
    """Say on stderr what ended the daemon; a fault of this program keeps its traceback."""
    found = troubles.told(error, home.root)
    if found is None:
        raise error
    print(plain(f"error: {found.code}: {found.message} {found.fix}".rstrip()), file=sys.stderr)  # noqa: T201
    return found


class Supervisor:
    """Starts everything, watches it, stops it in order."""

    def __init__(self, home: Home, ledger: Ledger, log: Log) -> None:
        self.home = home
        self.ledger = ledger
        self.log = log
        self.office = Office(home, load_config(home.config), ledger, log)
        self.instance = ledger.origin.rpartition("/")[2]
        self._done = asyncio.Event()
        self._exit_code = 0
        self._beats = 0
        self._notices = 0

    async def run(self) -> int:
        """Until a signal or a fatal error; 75 after a failed disk, so that a service manager restarts it."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._done.set)
        self.office.bind_loop()
        watch_clock(self.office)
        self.office.fatal = self._fatal
        await self.office.open_books()
        await self.office.write(self.office.outbox.load)
        run_dir = self.home.run_dir(self.instance)
        self.broker = await self._open_broker(run_dir)
        self.presence = self._make_presence(run_dir)
        presence.announce(self.home, self.presence)
        key = slots.read_key(run_dir, topics.DAEMON)
        self.client = BusClient(
            self.broker.socket, topics.DAEMON, self.broker.tokens[topics.DAEMON], self.broker.root,
            on_connect=self._say_state, will=self._will, ca_file=self.broker.ca_file,
        )  # fmt: skip
        self.host = HostChild(self.home, self.office, self.client, run_dir, self.instance, key)
        tasks: list[asyncio.Task[None]] = []
        try:
            await self.client.start()
            await self._test_broker()
            await self.host.start()
            await self._serve_commands(run_dir, key)
            await self.office.copy_latch()
            resumed = await self.office.resume_runs()
            await resume_evaluations(self.office)
            self._announce(presence.RUNNING)
            _notify("READY=1")
            self.log("ready", pid=os.getpid(), epoch=self.ledger.epoch, broker=self.broker.kind, runs=resumed)
            watches = (
                self._beat(),
                self._watch_broker(),
                self._watch_rules(),
                self._watch_ledger(),
                self.host.watch(self._announce_changes),
                self.host.watch_remotes(self._announce_changes),
                self.office.outbox.publish(self._notice),
                self.office.watch_latch(),
                self.office.expire_plans(),
                watch_witnesses(self.office),
                watch_disk(self.office),
                watch_feeds(self.office),
                watch_alerts(self.office),
                watch_backups(self.office),
            )
            tasks = [asyncio.create_task(work) for work in watches]
            for task in tasks:
                task.add_done_callback(self._watch_ended)
            await self._done.wait()
        finally:
            await self._stop(tasks)
        return self._exit_code

    def _watch_ended(self, task: asyncio.Task[None]) -> None:
        if task.cancelled() or self.office.stopping:
            return
        error = task.exception()
        if error is not None:
            self._fatal(error if isinstance(error, Exception) else RuntimeError(repr(error)))

    def _fatal(self, error: Exception) -> None:
        self.log("fatal", "error", error=f"{type(error).__name__}: {error}")
        self._exit_code = error.exit_code if isinstance(error, InalphaError) else EXIT_FAILURE
        if self.ledger.latched:
            self._exit_code = EXIT_TRY_AGAIN
        self._done.set()

    async def _stop(self, tasks: list[asyncio.Task[None]]) -> None:
        """No new steps; what is queued commits; then host, broker and the last state, within 10 s."""
        self.office.stopping = True
        if self.ledger.busy_s:
            self.ledger.give_up()  # what waits was not written; the journal says where each run stands
        _notify("STOPPING=1")
        for task in tasks:
            task.cancel()
        try:
            async with asyncio.timeout(STOP_S):
                await self.office.quiesce()
                await self._say_state(up=False)
        except (TimeoutError, InalphaError) as error:
            self.log("stop", "warning", error=repr(error))
        await self.host.stop()
        await self.client.close()
        self.broker.stop()
        self.log("stopped", epoch=self.ledger.epoch)

    async def _open_broker(self, run_dir: Path) -> Broker | External:
        """The external broker where one is set, once it was verified; else a child."""
        bus = self.office.config.bus
        if not bus.url:
            return start_broker(run_dir, None if bus.broker == "auto" else bus.broker)
        found = external.attach(run_dir, self.home.bus, bus.url, bus.ca_path(self.home.root), self.instance)
        await external.probe(found.socket, found.ca_file, topics.DAEMON, found.tokens[topics.DAEMON])
        return found

    # What the daemon says.

    def _make_presence(self, run_dir: Path) -> presence.Presence:
        pid = os.getpid()
        return presence.Presence(
            pid=pid,
            start_ticks=presence.start_ticks(pid) or 0,
            state=presence.STARTING,
            epoch=self.ledger.epoch,
            run_dir=str(run_dir),
            instance=self.instance,
            daemon_key=bytes(slots.read_key(run_dir, topics.DAEMON).verify_key).hex(),
            broker={"kind": self.broker.kind, "pid": self.broker.pid},
            bus={
                "address": self.broker.socket,
                "root": self.broker.root,
                "ca_file": self.broker.ca_file,
            },
        )

    def _announce(self, state: str) -> None:
        self.presence.state = state
        self.presence.broker = {"kind": self.broker.kind, "pid": self.broker.pid}
        self.presence.hosts = self.host.describe()
        self.presence.runners = self.office.link.pids()
        presence.announce(self.home, self.presence)

    def _announce_changes(self) -> None:
        self._announce(self.presence.state)

    def _state(self, up: bool) -> bytes:
        body = {
            "epoch": self.ledger.epoch,
            "up": up,
            "head": self.ledger.size,
            "broker": self.broker.kind,
            "instance": self.instance,
        }
        return envelope.encode("state", body, epoch=self.ledger.epoch, now_us=envelope.wall_us())

    def _will(self) -> Will:
        return Will(topics.DAEMON_STATE, self._state(False))

    async def _say_state(self, up: bool = True) -> None:
        await self.client.publish(topics.DAEMON_STATE, self._state(up), retain=True)

    async def _notice(self, kind: str, ids: list[str]) -> None:
        body = {"kind": kind, "ids": ids, "seq": self.ledger.size}
        raw = envelope.encode("notice", body, epoch=self.ledger.epoch, now_us=envelope.wall_us())
        await self.client.publish(topics.NOTICE, raw)

    async def _beat(self) -> None:
        """A beat comes from the loop that steps runs, behind a ledger job: a wedged one falls silent."""
        while True:
            await self._pass_ledger()
            self._beats += 1
            body = {"epoch": self.ledger.epoch, "head": self.ledger.size, "n": self._beats}
            raw = envelope.encode("beat", body, epoch=self.ledger.epoch, now_us=envelope.wall_us())
            self.client.post(topics.DAEMON_BEAT, raw, qos=0)
            _notify("WATCHDOG=1")
            self._announce_changes()
            await asyncio.sleep(BEAT_S)

    async def _pass_ledger(self) -> None:
        """Behind a ledger job, or beside it while another program holds the ledger: that is no wedge of ours."""
        job = asyncio.ensure_future(self.office.write(lambda txn: None))
        while not job.done() and not self.ledger.busy_s:
            await asyncio.wait([job], timeout=BEAT_S / 10)
        if job.done():
            job.result()
        else:
            job.cancel()

    async def _watch_ledger(self) -> None:
        """A ledger that another program holds: runs and commands wait. Told once it can be written again."""
        longest = 0.0
        while True:
            busy_s = self.ledger.busy_s
            if busy_s > BUSY_TELL_S and not longest:
                self.log("ledger_busy", "warning", text="another program holds the ledger: all waits for it")
            if busy_s > BUSY_TELL_S:
                longest = busy_s
            elif longest and not busy_s:
                text = f"another program held the ledger for {longest:.0f} s; nothing was written meanwhile"
                self.log("ledger_free", text=text)
                longest = 0.0
                await self.office.write(lambda txn, text=text: self.office.alert(txn, "ledger", "home", text))  # type: ignore[misc]
            await asyncio.sleep(0.2)

    async def _watch_broker(self) -> None:
        """A dead broker is started again; clients find it by themselves. Each reconnect is tested."""
        tested = 1
        while True:
            if not self.broker.is_alive:
                self.log("broker_restart", "warning", kind=self.broker.kind)
                self.broker.restart()
                self._announce_changes()
            if self.client.connects != tested and self.client.is_connected:
                tested = self.client.connects
                await self._test_broker(at_start=False)
            await asyncio.sleep(0.05)

    async def _watch_rules(self) -> None:
        """Tighter values of risk.toml bind within a second of being saved; a broken file changes nothing."""
        seen = self._rules_stamp()
        while True:
            await asyncio.sleep(0.5)
            stamp = self._rules_stamp()
            if stamp == seen:
                continue
            seen = stamp
            try:
                await refresh_limits(self.office)
            except ConfigError as error:
                self.log("risk_file", "error", code=error.code, text=error.message, fix=error.fix)

    def _rules_stamp(self) -> tuple[int, int]:
        try:
            found = self.home.risk.stat()
        except OSError:
            return 0, 0
        return found.st_mtime_ns, found.st_size

    async def _test_broker(self, at_start: bool = True) -> None:
        """The six acts that the ACL must refuse. Unsound at start: nothing runs; later: entries are blocked."""
        before = self.client.connects
        found = await run_self_test(self.client, self.broker.tokens, ca_file=self.broker.ca_file)
        if not self.broker.is_alive or not self.client.is_connected or self.client.connects != before:
            return  # it died meanwhile: a dead bus proves nothing, and its successor is tested again
        bad = ", ".join(f"{act.name} ({act.detail})" for act in found.acts if not act.is_contained)
        others = blocks.without(self.office.accounts.blocks_of_all, (BUS_UNSOUND,))
        block = Block(BUS_UNSOUND, text=f"the broker lets through: {bad}")
        self.office.accounts.blocks_of_all = others if found.is_sound else (*others, block)
        if found.is_sound:
            return
        if at_start:
            raise ConfigError(
                BUS_UNSOUND, f"the broker lets through: {bad}.", "Use another broker: [bus] broker."
            )
        self.log("bus_unsound", "error", acts=bad)
        await self.office.write(
            lambda txn: self.office.alert(txn, "bus", "broker", f"the ACL lets through: {bad}")
        )

    # What it is asked.

    async def _serve_commands(self, run_dir: Path, key: SigningKey) -> None:
        ring = KeyRing(self.home, run_dir)
        desk = Desk(self.office)

        async def handler(command: Command) -> dict[str, object]:
            busy_s = self.ledger.busy_s
            # Nobody may wait that long for it, and it should not take effect later. One sent again waits on.
            if busy_s > BUSY_TELL_S and not desk.holds(command.id):
                text = f"another program has held the ledger for {busy_s:.0f} s; nothing was done."
                raise TryAgain("LEDGER_BUSY", text, "Try again once it has let go.")
            return await desk.handle(command)

        server = CommandServer(
            self.client,
            key,
            instance=self.instance,
            epoch=self.ledger.epoch,
            keys=ring.find,
            handler=handler,
        )
        await server.start()


def _notify(text: str) -> None:
    """Tell systemd, when it listens. Source: sd_notify(3)."""
    address = os.environ.get("NOTIFY_SOCKET")
    if not address:
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
        sender.connect("\0" + address[1:] if address.startswith("@") else address)
        sender.send(text.encode())
