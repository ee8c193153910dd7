"""Runs attack files against the sandbox and judges them by canaries, never by what a file says.

A program of its own, so that the same campaign runs as root and as an ordinary user:
`campaign.py FOLDER [--without LAYER,...] [--secret-in-environment] [--only PREFIX] [--names A,B] [--shard 0/4]`.
One JSON line a file.
"""

from __future__ import annotations

import argparse
import ctypes
import dataclasses
import hashlib
import json
import os
import re
import resource
import secrets
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from inalpha.model.bar import Bar
from inalpha.model.instrument import Instrument
from inalpha.model.runner import RunnerEnded
from inalpha.model.step import MAX_INTENTS, NUMBER_PATTERN, StepRequest
from runners.forkserver import clean_environment
from runners.local import LocalSandbox, SandboxRunner
from runners.lockdown import LAYERS
from runners.process import session_members
from runners.protocol import Limits

MARK = "CANARY-"
BARS = 4
LIMITS = Limits(step_s=1.0, load_s=2.0)
# For files that can end no other way, and for those that have to show in time that they escape.
SHORT = Limits(step_s=0.4, load_s=2.0, ping_s=0.6, stop_s=0.4)
LONG = Limits(step_s=4.0, load_s=4.0)
SLACK_BYTES = 80 << 20
ALL = LAYERS - {"uid", "descriptors"}

BENIGN = b"""
from inalpha import Strategy

class Neighbour(Strategy):
    def on_bar(self, bar):
        self.log(f"bar {bar.sequence}")
"""


@dataclasses.dataclass
class Verdict:
    """name, how the run ended ("" when it went on), which canaries fired, and every text it produced."""

    name: str
    code: str = ""
    message: str = ""
    fired: list[str] = dataclasses.field(default_factory=list)
    texts: str = ""
    not_reached: bool = False


class Arena:
    """Canaries for one attack, made anew each time."""

    def __init__(self, base: Path, uid: int) -> None:
        self.uid = uid
        self.secret = MARK + secrets.token_hex(16)
        self.folder = Path(tempfile.mkdtemp(dir=base))
        self.folder.chmod(0o755)
        secret = self.folder / "secret.txt"
        secret.write_text(self.secret)
        secret.chmod(0o600)
        ledger = self.folder / "ledger.db"
        ledger.write_bytes(b"ledger " + self.secret.encode() + b" end")
        ledger.chmod(0o644)
        out = self.folder / "out"
        out.mkdir()
        if os.geteuid() == 0:
            for path in (secret, ledger, self.folder):
                os.chown(path, uid, uid)
        out.chmod(0o777)
        self.ledger = ledger.open("r+b")
        self.credential = bytearray(self.secret.encode())
        self.abstract = "inalpha-canary-" + secrets.token_hex(4)
        self.listeners = self._listen()
        self.block = ctypes.create_string_buffer(b"sixteen bytes ok", 16)
        self.address = ctypes.addressof(self.block)
        self.bystander = self._bystander()
        self.before = self._state()

    def _bystander(self) -> int:
        """A dumpable process of the runner's uid; forked, as that user may not reach our interpreter."""
        ready, told = os.pipe()
        pid = os.fork()
        if pid == 0:
            os.setsid()
            if os.geteuid() == 0:
                os.setgroups([])
                os.setresgid(self.uid, self.uid, self.uid)
                os.setresuid(self.uid, self.uid, self.uid)
            ctypes.CDLL(None).prctl(4, 1, 0, 0, 0)
            ctypes.CDLL(None).prctl(1, signal.SIGKILL, 0, 0, 0)
            os.write(told, b"x")
            os.closerange(0, 256)
            while True:
                time.sleep(60)
        os.close(told)
        os.read(ready, 1)
        os.close(ready)
        return pid

    def _listen(self) -> dict[str, socket.socket]:
        tcp, udp = socket.socket(), socket.socket(type=socket.SOCK_DGRAM)
        unix, abstract = socket.socket(socket.AF_UNIX), socket.socket(socket.AF_UNIX)
        tcp.bind(("127.0.0.1", 0))
        udp.bind(("127.0.0.1", 0))
        unix.bind(str(self.folder / "canary.sock"))
        os.chmod(self.folder / "canary.sock", 0o777)
        abstract.bind("\0" + self.abstract)
        for listener in (tcp, unix, abstract):
            listener.listen()
        return {"tcp": tcp, "udp": udp, "unix": unix, "abstract": abstract}

    def parameters(self, source: str, case: int) -> dict[str, object]:
        """Of the targets those that the class declares."""
        targets = {
            "canary_dir": str(self.folder),
            "secret_mark": MARK,
            "victim_pid": self.bystander,
            "victim_address": self.address,
            "host_pid": os.getpid(),
            "tcp_port": self.listeners["tcp"].getsockname()[1],
            "udp_port": self.listeners["udp"].getsockname()[1],
            "abstract_name": self.abstract,
            "case": case,
        }
        return {name: value for name, value in targets.items() if re.search(rf"^    {name}: ", source, re.M)}

    def _state(self) -> dict[str, object]:
        stat = os.fstat(self.ledger.fileno())
        pid = self.bystander
        found: dict[str, object] = {
            "ledger": (stat.st_size, stat.st_mode, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_nlink),
            "out": sorted(os.listdir(self.folder / "out")),
            "folder": sorted(os.listdir(self.folder)),
        }
        try:
            found["bystander"] = (
                Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] in "SRD",
                Path(f"/proc/{pid}/limits").read_text(),
                os.getpriority(os.PRIO_PROCESS, pid),
                sorted(os.sched_getaffinity(pid)),
            )
        except OSError:
            found["bystander"] = None
        self.ledger.seek(0)
        found["bytes"] = self.ledger.read()
        return found

    def fired(self, texts: str) -> list[str]:
        """Names of the canaries that fired."""
        after = self._state()
        found = [name for name, value in self.before.items() if after[name] != value]
        poll = select.poll()
        for listener in self.listeners.values():
            poll.register(listener, select.POLLIN)
        heard = {fd for fd, _ in poll.poll(0)}
        found += [name for name, listener in self.listeners.items() if listener.fileno() in heard]
        if self.secret in texts or self.secret[len(MARK) :] in texts:
            found.append("secret")
        if "ESCAPED" in texts:
            found.append("claim")
        return found

    def close(self) -> None:
        os.kill(self.bystander, signal.SIGKILL)
        os.waitpid(self.bystander, 0)
        for listener in self.listeners.values():
            listener.close()
        self.ledger.close()
        shutil.rmtree(self.folder)


def request(sequence: int) -> StepRequest:
    """A bar of the same few numbers."""
    day = 86_400_000_000_000
    bar = Bar(sequence * day, (sequence + 1) * day, 10_000, 10_100, 9_900, 10_050, 5 * 10**8, sequence)
    return StepRequest(sequence, (sequence + 1) * day, (), bar, (0, 0), (10**13, 10**13), ())


def load(
    sandbox: LocalSandbox, source: bytes, params: dict[str, object], limits: Limits = LIMITS
) -> SandboxRunner:
    digest = hashlib.sha256(source).hexdigest()
    return sandbox.start_run(source, digest, params, Instrument("XYZ"), "1d", 1, limits)  # type: ignore[arg-type]


def attack(sandbox: LocalSandbox, arena: Arena, path: Path, case: int, limits: Limits) -> Verdict:
    """One file, one case."""
    source = path.read_bytes()
    if re.search(rb"^# ends: (deadline|between)$", source, re.M):
        limits = SHORT
    verdict = Verdict(path.stem if case == 0 else f"{path.stem}#{case}")
    texts: list[str] = []
    runner: SandboxRunner | None = None
    before = set(sandbox.runners)
    began = time.monotonic()
    crowd = False
    asked = began
    try:
        runner = load(sandbox, source, arena.parameters(source.decode("utf-8", "replace"), case), limits)
        for sequence in range(BARS):
            asked = time.monotonic()
            reply = runner.step(request(sequence))
            texts += [*reply.logs, reply.error, *(intent.reason for intent in reply.intents)]
            if runner.is_ended:
                runner.ping()  # raises how it ended
            if len(reply.intents) > MAX_INTENTS:
                verdict.fired.append("intents")
            for intent in reply.intents:
                if intent.quantity is not None and not re.match(NUMBER_PATTERN, intent.quantity):
                    verdict.fired.append("quantity")
            crowd |= len(session_members(runner.process.pid)) > 1
            asked = time.monotonic()
            runner.ping()
        crowd |= len(session_members(runner.process.pid)) > 1
        texts += runner.stop()
    except RunnerEnded as error:
        verdict.code, verdict.message = error.code, error.message
        texts += [str(error), json.dumps(error.detail, default=str)]
    late = time.monotonic() - asked
    process = next((r.process for r in sandbox.runners if r not in before), None)
    if process is not None:
        gone = process.exit or process.reap()
        texts.append(process.meter.tail)
        if gone.peak_bytes > process.base_bytes + limits.memory_bytes + SLACK_BYTES:
            verdict.fired.append("memory")
        crowd |= bool(session_members(process.pid))
        if "\x1b" in process.meter.tail:
            verdict.fired.append("terminal")
    if crowd:
        verdict.fired.append("processes")
    if verdict.code in ("killed", "host_lost"):
        verdict.fired.append("restarted")  # these ends alone start a run again: no strategy may reach them
    if late > max(limits.load_s, limits.step_s) + 1:
        verdict.fired.append("time")
    verdict.texts = "\n".join(texts)
    verdict.fired += arena.fired(verdict.texts)
    verdict.not_reached = "NOT REACHED" in verdict.texts
    return verdict


def cases_of(path: Path, table: str) -> int:
    match = re.search(rf"`{path.name}` \((\d+) cases\)", table)
    return int(match.group(1)) if match else 1


def sources(folder: Path, base: Path) -> list[Path]:
    """The folder's attacks, with those that it generates."""
    files = [path for path in sorted(folder.glob("*.py")) if path.name != "generate.py"]
    generator = folder / "generate.py"
    if generator.exists():
        target = base / "generated"
        subprocess.run([sys.executable, generator, target], check=True, capture_output=True)
        files += sorted(target.glob("*.py"))
    return files


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--without", default="")
    parser.add_argument("--secret-in-environment", action="store_true")
    parser.add_argument("--only", default="")
    parser.add_argument("--names", default="")
    parser.add_argument("--shard", default="0/1", help="this part of how many: parts run side by side")
    parser.add_argument("--twice", action="store_true")
    a = parser.parse_args()
    without = frozenset(a.without.split(",")) - {""}
    if "all" in without:
        without = ALL | {"namespaces"}
    if without:
        resource.setrlimit(resource.RLIMIT_AS, (6_000_000 << 10, 6_000_000 << 10))
    ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)
    base = Path(tempfile.mkdtemp(prefix="arena-"))
    base.chmod(0o755)
    table_file = a.folder / "TABLE.md"
    table = table_file.read_text() if table_file.exists() else ""
    environment = None
    shared_secret = MARK + secrets.token_hex(16)
    if a.secret_in_environment:
        environment = {**clean_environment(), "INALPHA_TOKEN": shared_secret}
    with LocalSandbox(
        "process" if without else "sealed", without=without, environment=environment
    ) as sandbox:
        neighbour = load(sandbox, BENIGN, {})
        heard = 0
        part, parts = (int(number) for number in a.shard.split("/"))
        names = set(a.names.split(",")) - {""}
        chosen = [path for path in sources(a.folder, base) if path.name.startswith(a.only)]
        chosen = [path for path in chosen if not names or path.stem in names]
        for path in chosen[part::parts]:
            for case in range(cases_of(path, table)):
                for _ in range(2 if a.twice else 1):
                    arena = Arena(base, sandbox.next_uid)
                    if a.secret_in_environment:
                        arena.secret = shared_secret
                    os.environ["INALPHA_CREDENTIAL"] = arena.secret
                    verdict = attack(sandbox, arena, path, case, LONG if without else LIMITS)
                    reply = neighbour.step(request(heard))
                    if reply.logs != (f"bar {heard}",):
                        verdict.fired.append("neighbour")
                    heard += 1
                    arena.close()
                    sys.stdout.write(json.dumps(dataclasses.asdict(verdict)) + "\n")
                    sys.stdout.flush()
    shutil.rmtree(base, ignore_errors=True)


if __name__ == "__main__":
    main()
