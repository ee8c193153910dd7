"""The log's side of a witness on the network: hand over the signed head, bring back the cosignature."""

from __future__ import annotations

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
    import http.client  # the command line reads configurations without paying for an HTTP client
    import urllib.error
    import urllib.request

    check_url(url)
    request = urllib.request.Request(url, data=body, headers={"Content-Type": "text/plain"})
    try:
        with urllib.request.urlopen(request, timeout=timeout_s) as answer:
            return int(answer.status), answer.read(MAX_ANSWER)
    except urllib.error.HTTPError as error:
        return error.code, error.read(MAX_ANSWER)
    except (OSError, ValueError, http.client.HTTPException) as error:
        raise TryAgain("WITNESS_AWAY", f"{url}: {error}.", "Is it running?") from error


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
