"""One hostile peer at a broker: `python benchmarks/floods.py KIND ADDRESS SECONDS`, a token on stdin.

ADDRESS: a Unix socket, or 127.0.0.1:PORT. The token is of host-selftest-a: a flood may come from one who was let
in. Prints how often it knocked.
"""

from __future__ import annotations

import contextlib
import random
import resource
import socket
import struct
import sys
import time
from collections.abc import Callable

NAME = "host-selftest-a"
KINDS = ("garbage", "oversize", "half-open", "connections", "logins")
CROWD = 1000
_GARBAGE = (
    b"GET / HTTP/1.1\r\n\r\n",
    b"\x10\xff\xff\xff\x7f",
    b"\x10\xff\xff\xff\xff\xff",
    b"\xf0\x00",
    b"\x30\xff\xff\xff\x7f" + b"x" * 200_000,
)


def text(value: str) -> bytes:
    return struct.pack("!H", len(value)) + value.encode()


def connect_packet(user: str, token: str, client_id: str) -> bytes:
    body = (
        text("MQTT") + bytes([4, 0xC2]) + struct.pack("!H", 30) + text(client_id) + text(user) + text(token)
    )
    return bytes([0x10]) + length(len(body)) + body


def length(value: int) -> bytes:
    out = bytearray()
    while True:
        value, digit = divmod(value, 128)
        out.append(digit | (0x80 if value else 0))
        if not value:
            return bytes(out)


def open_socket(address: str, timeout_s: float) -> socket.socket:
    host, _, port = address.rpartition(":")
    peer = socket.socket(socket.AF_INET if host else socket.AF_UNIX)
    peer.settimeout(timeout_s)
    peer.connect((host, int(port)) if host else address)
    return peer


def garbage(address: str, token: str) -> None:
    data = random.choice((*_GARBAGE, random.randbytes(2000)))
    with contextlib.suppress(OSError), open_socket(address, 0.5) as peer:
        peer.sendall(data)


def oversize(address: str, token: str) -> None:
    """A peer that was let in, with a message beyond the limit."""
    topic = text(f"inalpha/hosts/{NAME}/beat")
    packet = b"\x30" + length(len(topic) + 200_000) + topic + b"x" * 200_000
    with contextlib.suppress(OSError), open_socket(address, 0.5) as peer:
        peer.sendall(connect_packet(NAME, token, NAME))
        peer.recv(4)
        peer.sendall(packet)
        peer.recv(1)


_held: list[socket.socket] = []


def half_open(address: str, token: str) -> None:
    """Half a CONNECT, held open."""
    with contextlib.suppress(OSError):
        peer = open_socket(address, 0.2)
        peer.sendall(b"\x10\x40\x00\x04MQ")
        _held.append(peer)
    if len(_held) > 200:
        _held.pop(0).close()


def connections(address: str, token: str) -> None:
    """A thousand at once, then the oldest goes for each new one."""
    with contextlib.suppress(OSError):
        _held.append(open_socket(address, 0.2))
    if len(_held) >= CROWD:
        _held.pop(0).close()


def logins(address: str, token: str) -> None:
    with contextlib.suppress(OSError), open_socket(address, 0.5) as peer:
        peer.sendall(connect_packet("daemon", f"wrong-{random.random()}", "daemon"))
        peer.recv(4)


ACTS: dict[str, Callable[[str, str], None]] = {
    "garbage": garbage,
    "oversize": oversize,
    "half-open": half_open,
    "connections": connections,
    "logins": logins,
}


def main() -> None:
    kind, address, seconds = sys.argv[1], sys.argv[2], float(sys.argv[3])
    token = sys.stdin.readline().strip()
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(most, 4096), most))
    until, knocks = time.monotonic() + seconds, 0
    act = ACTS[kind]
    print("ready", flush=True)
    while time.monotonic() < until:
        act(address, token)
        knocks += 1
    print(knocks)


if __name__ == "__main__":
    main()
