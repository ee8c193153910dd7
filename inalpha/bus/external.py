"""An external broker: its credentials, the files its machine needs, and what may be wrong with it.

Tokens lie as 0600 files in the home's `bus` folder and stay the same over restarts, because the broker's
password file is made from them. The root topic is `inalpha/<instance>`: several homes may share a broker.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import socket
import ssl
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from inalpha.bus import topics
from inalpha.bus.acl import mosquitto_acl
from inalpha.bus.client import tls_context
from inalpha.bus.raw import RawPeer
from inalpha.bus.slots import (
    SELF_TEST,
    make_credentials,
    mosquitto_password_line,
    slot_identities,
    write_private,
)
from inalpha.bus.start import mosquitto_config
from inalpha.model.errors import ConfigError, InalphaError, TryAgain

DAEMON_SEED = "daemon.seed"
PROBE_S = 5.0
_BAD_LOGIN = (4, 5)  # CONNACK codes of MQTT 3.1.1: bad user name or password, not authorised

_HEAD = """\
# Listener of the external broker for {root}. Copy this folder to its machine, put the certificate and its
# key beside it, and start: mosquitto -c {dir}/mosquitto.conf
# After each `inalpha bus export` copy passwd again and send the broker SIGHUP.
"""


@dataclass(slots=True)
class External:
    """A broker that somebody else runs; the same members as `Broker`, without a process."""

    socket: str
    run_dir: Path
    root: str
    tokens: dict[str, str] = field(repr=False)
    ca_file: str | None = None
    kind: str = "external"
    pid: int | None = None
    is_alive: bool = True

    def restart(self) -> None:
        """Not ours to start."""

    def stop(self) -> None:
        """Not ours to stop."""


def root_of(instance: str) -> str:
    return f"{topics.ROOT}/{instance}"


def token_of(folder: Path, identity: str) -> str:
    """The identity's bus token. Raises ConfigError when the home was never exported."""
    try:
        return (folder / f"{identity}.token").read_text(encoding="ascii").strip()
    except OSError as error:
        raise ConfigError(
            "BUS_CREDENTIALS", f"{identity} has no token in {folder}: {error}.", "inalpha bus export DIR"
        ) from error


def attach(run_dir: Path, folder: Path, url: str, ca_file: str | None, instance: str) -> External:
    """The external broker as the daemon uses it. Raises ConfigError without credentials."""
    identities = (topics.DAEMON, topics.LOCAL_HOST, *SELF_TEST, *slot_identities())
    tokens = {identity: token_of(folder, identity) for identity in identities}
    make_credentials(run_dir, tokens=tokens, daemon_seed=daemon_seed(folder))
    return External(url, run_dir, root_of(instance), tokens, ca_file)


def daemon_seed(folder: Path) -> str:
    """The daemon's signing seed in hex: it stays the same, so that remote hosts know whom to obey."""
    return make_secret(folder, DAEMON_SEED)


def make_secret(folder: Path, name: str) -> str:
    """256 random bits in hex, kept in a 0600 file; made when there are none."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    os.chmod(folder, 0o700)
    path = folder / name
    if not path.exists():
        write_private(path, secrets.token_hex(32))
    return path.read_text(encoding="ascii").strip()


def export(folder: Path, target: Path, instance: str, hosts: Iterable[str]) -> list[Path]:
    """Write what the broker's machine needs: passwd, acl, mosquitto.conf. hosts: enrolled, "host-NAME".

    Tokens of hosts that are no longer enrolled are forgotten.
    """
    names = (topics.DAEMON, topics.LOCAL_HOST, *SELF_TEST, *slot_identities(), *sorted(hosts))
    daemon_seed(folder)
    tokens = {name: make_secret(folder, f"{topics.check_identity(name)}.token") for name in names}
    for path in folder.glob("host-*.token"):
        if path.stem not in tokens:
            path.unlink()
    target.mkdir(mode=0o700, parents=True, exist_ok=True)
    tls = f"certfile {target}/server.crt\nkeyfile {target}/server.key\ntls_version tlsv1.2\n"
    config = mosquitto_config(target, "8883", tls=tls, as_root=False).replace(
        "log_dest none", "log_dest stderr"
    )
    lines = [mosquitto_password_line(name, token) for name, token in tokens.items()]
    texts = {
        "passwd": "\n".join(lines) + "\n",
        "acl": mosquitto_acl(root_of(instance)),
        "mosquitto.conf": _HEAD.format(root=root_of(instance), dir=target) + config,
    }
    for name, text in texts.items():
        write_private(target / name, text)
    return [target / name for name in texts]


async def probe(url: str, ca_file: str | None, identity: str, token: str) -> str:
    """Connect and log in; the TLS version. Raises ConfigError or TryAgain that say what to mend."""
    parts = urlsplit(url)
    where = f"{parts.hostname}:{parts.port or 8883}"
    try:
        tls_context(ca_file)
    except OSError as error:
        raise ConfigError("BUS_CA", f"bus.ca {ca_file} cannot be read: {error}.", "Mend bus.ca.") from error
    try:
        async with asyncio.timeout(PROBE_S):
            peer = await RawPeer.open(url, PROBE_S, ca_file=ca_file)
            try:
                code = await peer.connect(identity, token, identity)
                version = peer.tls_version
            finally:
                peer.cut()
    except ssl.SSLCertVerificationError as error:
        raise ConfigError(
            "BUS_TLS", f"the certificate of {where} is not accepted: {error.verify_message}.",
            "Set bus.ca to the CA that issued it, and use the name that it was issued for.",
        ) from error  # fmt: skip
    except ssl.SSLError as error:
        raise ConfigError(
            "BUS_TLS",
            f"no TLS 1.2 with {where}: {error.reason or error}.",
            "Give its listener a certificate.",
        ) from error
    except socket.gaierror as error:
        raise ConfigError("BUS_URL", f"no address for {parts.hostname}: {error}.", "Mend bus.url.") from error
    except (OSError, EOFError, TimeoutError) as error:
        raise TryAgain(
            "BUS_UNREACHABLE", f"no broker answers at {where}: {error or type(error).__name__}.",
            "Start it, or mend bus.url in inalpha.toml.",
        ) from error  # fmt: skip
    if code in _BAD_LOGIN:
        raise ConfigError(
            "BUS_CREDENTIALS", f"{where} refuses the login of {identity}.",
            "Copy passwd and acl of `inalpha bus export DIR` to its machine, and send it SIGHUP.",
        )  # fmt: skip
    if code != 0:
        raise InalphaError("BUS_REFUSED", f"{where} answered CONNECT with {code}.", "See its log.")
    return version
