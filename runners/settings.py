"""What a host is told at its start."""

from __future__ import annotations

import argparse
import json
import os
import stat
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from inalpha.bus import topics
from inalpha.model.plain import plain
from inalpha.model.secretfile import read_secret
from runners.admission import MAX_RUNS, MEMORY_SHARE

UID_BASE = 60_100


@dataclass(frozen=True, slots=True)
class Settings:
    """What the host is told at its start. Secrets come from 0600 files, never from arguments.

    token: read anew at each connect. seed: of the signing key, in hex. ca_file: a path, or PEM text.
    """

    name: str
    bus: str
    instance: str
    epoch: int
    token: Callable[[], str]
    seed: str
    daemon_key: bytes
    root: str = topics.ROOT
    latch: Path | None = None
    is_child: bool = False
    uid_base: int = UID_BASE
    max_runs: int = MAX_RUNS
    memory_share: float = MEMORY_SHARE
    ca_file: str | None = None

    @property
    def identity(self) -> str:
        return f"host-{self.name}"


def parse(arguments: list[str] | None) -> tuple[Settings, Path | None]:
    """Settings, and the file of orphans to end first."""
    parser = argparse.ArgumentParser(prog="python -m runners.host")
    parser.add_argument("--name", required=True)
    parser.add_argument("--credentials", type=Path, help="what `inalpha host add` wrote: all else is in it")
    parser.add_argument("--bus", "--url", help="Unix socket of the broker, or mqtts://host:port")
    parser.add_argument("--instance")
    parser.add_argument("--epoch", type=int, default=0)
    parser.add_argument("--token-file", type=Path)
    parser.add_argument("--key-file", type=Path, help="0600 file with the host's seed in hex")
    parser.add_argument("--daemon-key", help="the daemon's public key in hex")
    parser.add_argument("--root", default=topics.ROOT)
    parser.add_argument("--latch", type=Path)
    parser.add_argument("--child", action="store_true", help="die with the process that started this one")
    parser.add_argument("--uid-base", type=int, default=UID_BASE)
    parser.add_argument("--max-runs", type=int, default=MAX_RUNS)
    parser.add_argument("--memory-share", type=float, default=MEMORY_SHARE)
    parser.add_argument("--ca-file")
    parser.add_argument("--orphans", type=Path, help="JSON list of [pid, start ticks, boot id] to end first")
    a = parser.parse_args(arguments)
    limits = {"uid_base": a.uid_base, "max_runs": a.max_runs, "memory_share": a.memory_share}
    if a.credentials is not None:
        settings = from_credentials(a.credentials, a.name, a.bus, **limits)
        return settings, None
    if None in (a.bus, a.instance, a.token_file, a.key_file, a.daemon_key):
        parser.error("--credentials FILE, or all of --bus --instance --token-file --key-file --daemon-key")
    settings = Settings(
        a.name,
        a.bus,
        a.instance,
        a.epoch,
        lambda: read_secret(a.token_file).strip(),
        read_secret(a.key_file).strip(),
        bytes.fromhex(a.daemon_key),
        a.root,
        a.latch,
        a.child,
        ca_file=a.ca_file,
        **limits,
    )
    topics.check_identity(settings.identity)
    return settings, a.orphans


def from_credentials(path: Path, name: str, url: str | None, **limits: Any) -> Settings:
    """Settings of a remote host from its enrolment's file. Exits 78 when others may read it or it is another's."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        with os.fdopen(fd, encoding="utf-8") as file:
            found = os.fstat(fd)
            if not stat.S_ISREG(found.st_mode) or found.st_mode & 0o077 or found.st_uid != os.geteuid():
                raise ValueError("others may read it: chmod 600")
            held = json.load(file)
        if held["v"] != 1 or held["name"] != name:
            raise ValueError(f"it is of host {held['name']}, version {held['v']}")
        bus = url or held["url"]
        if not bus.startswith("mqtts://"):
            raise ValueError(f"{bus} is no mqtts:// address")
        settings = Settings(
            name, bus, held["instance"], 0, lambda: str(held["token"]), held["seed"],
            bytes.fromhex(held["daemon_key"]), held["root"], ca_file=held["ca"], **limits,
        )  # fmt: skip
    except (OSError, ValueError, KeyError, TypeError) as error:
        print(plain(f"error: CREDENTIALS: {path}: {error}"), file=sys.stderr)  # noqa: T201
        sys.exit(78)
    topics.check_identity(settings.identity)
    return settings
