"""What a host is told at its start."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path

from inalpha.bus import topics
from runners.admission import MAX_RUNS, MEMORY_SHARE

UID_BASE = 60_100


@dataclass(frozen=True, slots=True)
class Settings:
    """What the host is told at its start. Secrets come from 0600 files, never from arguments."""

    name: str
    bus: str
    instance: str
    epoch: int
    token_file: Path
    key_file: Path
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
    parser.add_argument("--bus", required=True, help="Unix socket of the broker, or mqtts://host:port")
    parser.add_argument("--instance", required=True)
    parser.add_argument("--epoch", type=int, required=True)
    parser.add_argument("--token-file", type=Path, required=True)
    parser.add_argument("--key-file", type=Path, required=True, help="0600 file with the host's seed in hex")
    parser.add_argument("--daemon-key", required=True, help="the daemon's public key in hex")
    parser.add_argument("--root", default=topics.ROOT)
    parser.add_argument("--latch", type=Path)
    parser.add_argument("--child", action="store_true", help="die with the process that started this one")
    parser.add_argument("--uid-base", type=int, default=UID_BASE)
    parser.add_argument("--max-runs", type=int, default=MAX_RUNS)
    parser.add_argument("--memory-share", type=float, default=MEMORY_SHARE)
    parser.add_argument("--ca-file")
    parser.add_argument("--orphans", type=Path, help="JSON list of [pid, start ticks, boot id] to end first")
    a = parser.parse_args(arguments)
    settings = Settings(
        a.name,
        a.bus,
        a.instance,
        a.epoch,
        a.token_file,
        a.key_file,
        bytes.fromhex(a.daemon_key),
        a.root,
        a.latch,
        a.child,
        a.uid_base,
        a.max_runs,
        a.memory_share,
        a.ca_file,
    )
    topics.check_identity(settings.identity)
    return settings, a.orphans
