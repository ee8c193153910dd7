"""The log's side of a witness on the network: hand over the signed head, bring back the cosignature."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable, Sequence
from urllib.parse import urlsplit

from inalpha.audit.checkpoint import parse_note
from inalpha.audit.notes import DASH
from inalpha.audit.witness import make_add
from inalpha.model.errors import ConfigError, IntegrityError, TryAgain

ATTEMPTS = 4
MAX_ANSWER = 4096
_LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})


def submit(
    url: str,
    note: bytes,
    consistency: Callable[[int], Sequence[bytes]],
    key_request: Callable[[int], bytes],
    timeout_s: float = 10.0,
) -> bytes:
    """The checkpoint note with the witness's cosignature.

    consistency(old): the proof from old lines to the note's; key_request(old): `witness.make_request` for the same.
    Raises IntegrityError where the witness saw another history, TryAgain where it does not answer.
    """
    size, old = parse_note(note).size, 0
    path, body = "add-checkpoint", make_add(0, [], note)
    for _ in range(ATTEMPTS):
        status, answer = _post(f"{url.rstrip('/')}/{path}", body, timeout_s)
        if status == 200:
            return note + _line(url, answer)
        if status == 409:
            old = _size(url, answer)
            if old > size:
                raise IntegrityError(
                    "WITNESS_AHEAD", f"{url} has seen {old} lines, this head has {size}.",
                    "Compare with the witness: an older copy runs here, or another one signs for this log.",
                )  # fmt: skip
        elif status == 403 and path == "add-checkpoint":
            path = "add-keys"
        else:
            raise IntegrityError(
                "WITNESS_REFUSES", f"{url} answers {status}: {answer.decode('utf-8', 'replace').strip()}.",
                "Do not sign on; compare with the witness.",
            )  # fmt: skip
        old = max(old, 1)
        body = key_request(old) if path == "add-keys" else make_add(old, consistency(old), note)
    raise TryAgain("WITNESS_BUSY", f"{url} moved on at each attempt.", "Try again.")


def check_url(url: str) -> None:
    """https, or http to this machine. Raises ConfigError."""
    parts = urlsplit(url)
    if parts.scheme == "https" and parts.hostname:
        return
    if parts.scheme != "http" or parts.hostname not in _LOOPBACK:
        raise ConfigError(
            "WITNESS_URL", f"{url} is no address of a witness.", "https://…, or http:// to loopback."
        )


def _post(url: str, body: bytes, timeout_s: float) -> tuple[int, bytes]:
    """timeout_s bounds the whole exchange, however slowly the other side drips; redirects are not followed."""
    import http.client  # the command line reads configurations without paying for an HTTP client

    check_url(url)
    parts = urlsplit(url)
    host, is_tls = str(parts.hostname), parts.scheme == "https"
    kind = http.client.HTTPSConnection if is_tls else http.client.HTTPConnection
    connection = kind(host, parts.port)
    deadline = Deadline(timeout_s)
    try:
        connection.sock = deadline.connect(host, parts.port or (443 if is_tls else 80), is_tls=is_tls)
        connection.request("POST", parts.path or "/", body, {"Content-Type": "text/plain"})
        answer = connection.getresponse()
        found = answer.read(MAX_ANSWER)
    except (OSError, ValueError, http.client.HTTPException) as error:
        told = f"no answer within {timeout_s:g} s" if deadline.passed else error
        raise TryAgain("WITNESS_AWAY", f"{url}: {told}.", "Is it running?") from error
    finally:
        deadline.end()
        connection.close()
    if deadline.passed:
        raise TryAgain("WITNESS_AWAY", f"{url}: no answer within {timeout_s:g} s.", "Is it running?")
    return answer.status, found


class Deadline:
    """Ends a connection that is not done in time: a socket's own timeout starts anew with every byte."""

    def __init__(self, seconds: float) -> None:
        self.passed = False
        self._seconds = seconds
        self._socket: socket.socket | None = None
        self._timer = threading.Timer(seconds, self._expire)
        self._timer.daemon = True
        self._timer.start()

    def connect(self, host: str, port: int, *, is_tls: bool) -> socket.socket:
        self._socket = found = socket.create_connection((host, port), self._seconds)
        if is_tls:
            import ssl

            context = ssl.create_default_context()
            self._socket = found = context.wrap_socket(
                found, server_hostname=host, do_handshake_on_connect=False
            )
            found.do_handshake()
        if self.passed:
            raise TimeoutError
        return found

    def end(self) -> None:
        self._timer.cancel()
        if self._socket is not None:
            self._socket.close()

    def _expire(self) -> None:
        self.passed = True
        if self._socket is not None:
            with contextlib.suppress(OSError):
                # The plain method: SSLSocket's own would pull its state from under a reading thread.
                socket.socket.shutdown(self._socket, socket.SHUT_RDWR)


def _line(url: str, answer: bytes) -> bytes:
    """One signature line, whatever it is worth: a witness's bytes go no further unread."""
    try:
        text = answer.decode()
    except UnicodeDecodeError:
        text = ""
    if not text.startswith(DASH) or text.find("\n") != len(text) - 1:
        raise TryAgain("WITNESS_ANSWER", f"{url} answers no cosignature.", "Is it a witness?")
    return answer


def _size(url: str, answer: bytes) -> int:
    text = answer.strip()
    if not text.isdigit() or len(text) > 16:
        raise TryAgain("WITNESS_ANSWER", f"{url} answers no size.", "Is it a witness?")
    return int(text)
