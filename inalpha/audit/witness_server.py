"""A witness on the network: C2SP tlog-witness over HTTP, for one log.

`POST /add-checkpoint` is the public protocol. Our log's key changes with every epoch, which that protocol does not
carry; `POST /add-keys` takes a request of `audit witness request`, which proves the new keys and gets the same
answer. Plain HTTP: on loopback, or behind a proxy that ends TLS. What is signed protects itself.
"""

from __future__ import annotations

import re
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from inalpha.audit import witness
from inalpha.model.errors import InalphaError, IntegrityError

MAX_BODY = 1 << 20
READ_S = 10.0
_LENGTH = re.compile("[0-9]{1,7}")


class WitnessServer(ThreadingHTTPServer):
    """Serves one witness's folder. Requests run side by side; the folder's lock lets one sign at a time."""

    daemon_threads = True

    def __init__(self, directory: Path, host: str, port: int) -> None:
        witness.seen(directory)  # refuses a folder that holds no witness before a port is taken
        self.directory = directory
        super().__init__((host, port), _Handler)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A peer that hangs up is no news: anybody could fill the log with it."""
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    timeout = READ_S
    server: WitnessServer

    def do_POST(self) -> None:
        length = self.headers.get("Content-Length", "")
        if _LENGTH.fullmatch(length) is None or int(length) > MAX_BODY:
            self._answer(400, b"a body of at most 1 MiB, with its length\n")
            return
        body = self.rfile.read(int(length))
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
