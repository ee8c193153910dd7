"""start_broker(): mosquitto when the machine has it, else amqtt, always as a child that dies with us."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

from inalpha.bus.acl import mosquitto_acl
from inalpha.bus.slots import make_credentials, mosquitto_password_line, write_private
from inalpha.bus.topics import LOCAL_HOST, ROOT
from inalpha.model.errors import ConfigError, TryAgain

_EXTRA_PATHS = ("/usr/sbin", "/usr/local/sbin", "/opt/homebrew/sbin")
_MAX_SOCKET_PATH = 100
_START_S = 10.0

# Sets the parent-death signal and becomes the broker; the check covers a daemon that died meanwhile.
_EXEC_WRAPPER = """
import ctypes, os, sys
parent = int(sys.argv[1])
try:
    ctypes.CDLL(None).prctl(1, 9, 0, 0, 0)
except AttributeError:
    pass
if os.getppid() != parent:
    os._exit(1)
os.execv(sys.argv[2], sys.argv[2:])
"""

_MOSQUITTO = """{user}allow_anonymous false
password_file {dir}/passwd
acl_file {dir}/acl
persistence false
log_dest none
max_packet_size 131072
message_size_limit 98304
max_keepalive 60
max_inflight_messages 100
max_queued_messages 1000
sys_interval 0
set_tcp_nodelay true
listener {listener}
{tls}max_connections 128
use_username_as_clientid true
"""


@dataclass(slots=True)
class Broker:
    """A running broker child. socket: where clients connect. Tokens lie in run_dir/slots."""

    kind: str
    socket: str
    run_dir: Path
    root: str
    tokens: dict[str, str] = field(repr=False)
    process: subprocess.Popen[bytes] = field(repr=False)

    ca_file: str | None = None

    @property
    def pid(self) -> int | None:
        return self.process.pid

    @property
    def is_alive(self) -> bool:
        return self.process.poll() is None

    def restart(self) -> None:
        """Start it again with the same identities and tokens, after a crash or stop()."""
        self.stop()
        self.process = _launch(self.kind, self.run_dir, Path(self.socket), self.tokens, self.root)

    def stop(self) -> None:
        """End it and reap it."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self.socket)


def find_mosquitto() -> str | None:
    """Path of the mosquitto binary, None when the machine has none."""
    path = os.pathsep.join((os.environ.get("PATH", ""), *_EXTRA_PATHS))
    return shutil.which("mosquitto", path=path)


def start_broker(
    run_dir: Path, prefer: str | None = None, *, hosts: tuple[str, ...] = (LOCAL_HOST,), root: str = ROOT
) -> Broker:
    """Make credentials and start the first broker that works; prefer: "mosquitto" or "amqtt".

    Call it from the main thread: the child's death signal fires when the starting thread ends.
    Raises ConfigError when none can be started, TryAgain when it did not come up.
    """
    if threading.current_thread() is not threading.main_thread():
        raise RuntimeError("start the broker from the main thread: it dies with the thread that starts it")
    run_dir = Path(run_dir)
    path = run_dir / "bus.sock"
    if len(os.fsencode(path)) > _MAX_SOCKET_PATH:
        raise ConfigError("SOCKET_PATH", f"{path} is longer than {_MAX_SOCKET_PATH} bytes")
    kinds = [prefer] if prefer else ["mosquitto", "amqtt"]
    tokens = make_credentials(run_dir, hosts)
    problem = ""
    for kind in kinds:
        if kind == "mosquitto" and find_mosquitto() is None:
            problem = "mosquitto is not installed"
            continue
        try:
            return Broker(kind, str(path), run_dir, root, tokens, _launch(kind, run_dir, path, tokens, root))
        except TryAgain as error:
            problem = str(error)
    raise ConfigError("NO_BROKER", problem or f"unknown broker {prefer!r}")


def _launch(
    kind: str, run_dir: Path, path: Path, tokens: dict[str, str], root: str
) -> subprocess.Popen[bytes]:
    with contextlib.suppress(FileNotFoundError):
        path.unlink()
    if kind == "mosquitto":
        command = _mosquitto_command(run_dir, path, tokens, root)
    else:
        command = [sys.executable, "-P", "-m", "inalpha.bus.broker", str(run_dir), root]
    wrapper = [sys.executable, "-I", "-S", "-c", _EXEC_WRAPPER, str(os.getpid()), *command]
    environment = {"PATH": os.environ.get("PATH", os.defpath), "PYTHONPATH": os.pathsep.join(sys.path)}
    with open(run_dir / "broker.log", "ab") as log:
        process = subprocess.Popen(
            wrapper,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env=environment,
            cwd="/",
            start_new_session=True,
        )
    _await_listening(process, path, kind)
    return process


def _mosquitto_command(run_dir: Path, path: Path, tokens: dict[str, str], root: str) -> list[str]:
    binary = find_mosquitto()
    if binary is None:
        raise ConfigError("NO_BROKER", "mosquitto is not installed")
    lines = [mosquitto_password_line(identity, token) for identity, token in tokens.items()]
    write_private(run_dir / "passwd", "\n".join(lines) + "\n")
    write_private(run_dir / "acl", mosquitto_acl(root))
    write_private(run_dir / "mosquitto.conf", mosquitto_config(run_dir, f"0 {path}"))
    return [binary, "-c", str(run_dir / "mosquitto.conf")]


def mosquitto_config(run_dir: Path, listener: str, *, tls: str = "", as_root: bool | None = None) -> str:
    """The configuration file. The last lines, tls among them, belong to the listener above them."""
    # As root it would become the user mosquitto, who may not enter our 0700 directory.
    user = "user root\n" if (os.geteuid() == 0 if as_root is None else as_root) else ""
    return _MOSQUITTO.format(user=user, dir=run_dir, listener=listener, tls=tls)


def _await_listening(process: subprocess.Popen[bytes], path: Path, kind: str) -> None:
    until = time.monotonic() + _START_S
    while time.monotonic() < until:
        if process.poll() is not None:
            raise TryAgain("BROKER_FAILED", f"{kind} ended with {process.returncode} while it started")
        with socket.socket(socket.AF_UNIX) as probe, contextlib.suppress(OSError):
            probe.connect(str(path))
            return
        time.sleep(0.005)
    process.kill()
    process.wait()
    raise TryAgain("BROKER_FAILED", f"{kind} did not listen within {_START_S:.0f} s")
