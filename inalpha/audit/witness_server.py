"""A witness on the network: C2SP tlog-witness over HTTP, for one log.

`POST /add-checkpoint` is the public protocol. Our log's key changes with every epoch, which that protocol does not
carry; `POST /add-keys` takes a request of `audit witness request`, which proves the new keys and gets the same
answer. Plain HTTP: on loopback, or behind a proxy that ends TLS. What is signed protects itself.
"""

from __future__ import annotations

import contextlib
import re
import socket
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from inalpha.audit import witness
from inalpha.model.errors import InalphaError, IntegrityError

MAX_BODY = 1 << 20
READ_S = 10.0
# One log asks a few times a minute. Whoever comes while all places are taken is hung up on and asks again.
MAX_CONNECTIONS = 16
EXCHANGE_S = 20.0
_LENGTH = re.compile("[0-9]{1,7}")


class WitnessServer(ThreadingHTTPServer):
    """Serves one witness's folder. Requests run side by side; the folder's lock lets one sign at a time.

    exchange_s bounds a whole connection, connections their number: a peer that drips keeps no thread.
    """

    daemon_threads = True
    request_queue_size = 64

    def __init__(
        self,
        directory: Path,
        host: str,
        port: int,
        *,
        connections: int = MAX_CONNECTIONS,
        exchange_s: float = EXCHANGE_S,
    ) -> None:
        witness.seen(directory)  # refuses a folder that holds no witness before a port is taken
        self.directory = directory
        self._places = threading.BoundedSemaphore(connections)
        self._exchange_s = exchange_s
        super().__init__((host, port), _Handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        if not self._places.acquire(blocking=False):
            self.shutdown_request(request)
            return
        try:
            super().process_request(request, client_address)
        except RuntimeError:  # no thread to be had
            self._places.release()
            self.shutdown_request(request)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        timer = threading.Timer(self._exchange_s, _hang_up, (request,))
        timer.daemon = True
        try:
            timer.start()
            super().process_request_thread(request, client_address)
        finally:
            timer.cancel()
            self._places.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A peer that hangs up is no news: anybody could fill the log with it."""
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)


def _hang_up(request: socket.socket) -> None:
    with contextlib.suppress(OSError):
        request.shutdown(socket.SHUT_RDWR)


class _Handler(BaseHTTPRequestHandler):
    timeout = READ_S
    server: WitnessServer

    def do_POST(self) -> None:
        length = self.headers.get("Content-Length", "")
        if _LENGTH.fullmatch(length) is None or int(length) > MAX_BODY:
            self._answer(400, b"a body of at most 1 MiB, with its length\n")
            return
        body = self.rfile.read(int(length))
        if len(body) != int(length):
            return
        now = int(time.time())
        try:
            if self.path == "/add-checkpoint":
                self._answer(*witness.add_checkpoint(self.server.directory, body, now))
            elif self.path == "/add-keys":
                self._answer(*_add_keys(self.server.directory, body, now))
            else:
                self._answer(404, b"add-checkpoint or add-keys\n")
        except (InalphaError, OSError) as error:
            self._answer(500, f"{error}\n".encode())

    def _answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "text/x.tlog.size" if status == 409 else "text/plain; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Quiet: what it signed is in its folder."""


def _add_keys(directory: Path, body: bytes, now: int) -> tuple[int, bytes]:
    try:
        note = witness.cosign(directory, body, now)
    except IntegrityError as error:
        size, _ = witness.seen(directory)
        asked = witness.old_size(body)
        return (409, b"%d\n" % size) if asked != size else (422, f"{error.message}\n".encode())
    except InalphaError as error:
        return 400, f"{error.message}\n".encode()
    return 200, note.splitlines(keepends=True)[-1]
