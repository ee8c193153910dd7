"""Where an installation keeps things. Paths only; modes are checked by those who open the files."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from platformdirs import user_runtime_path, user_state_path

from inalpha.model.errors import ConfigError

# sun_path holds 108 bytes; the broker's socket needs some of them.
MAX_SOCKET_PATH = 100


def default_home() -> Path:
    """INALPHA_HOME, systemd's STATE_DIRECTORY, else the XDG state folder."""
    for name in ("INALPHA_HOME", "STATE_DIRECTORY"):
        if os.environ.get(name):
            return Path(os.environ[name]).absolute()
    try:
        path = user_state_path("inalpha", appauthor=False)
    except RuntimeError:  # neither HOME nor the password file knows where this user lives
        path = Path()
    if not path.is_absolute():  # older releases of platformdirs answer "~" as such
        raise ConfigError(
            "NO_HOME", "this user has no home directory to look in.", "Name one: --home DIR, or INALPHA_HOME."
        )
    return path


@dataclass(frozen=True, slots=True)
class Home:
    """One installation: one ledger, its keys and its settings."""

    root: Path

    @classmethod
    def at(cls, path: str | Path | None) -> Home:
        return cls(Path(path).absolute() if path else default_home())

    @property
    def ledger(self) -> Path:
        return self.root / "ledger.db"

    @property
    def exists(self) -> bool:
        """Whether `init` came to its end here: only then has somebody seen the recovery seed."""
        return self.ledger.exists() and not self.making.exists()

    @property
    def is_traced(self) -> bool:
        """Whether anything here tells an installation from just any folder; enough to halt it."""
        names = ("ledger.db", "halt.latch", "daemon.json", "head", "lock", "log.key", "keys", "inalpha.toml")
        return any(os.path.lexists(self.root / name) for name in names)

    @property
    def making(self) -> Path:
        """There while `init` works; holds the operator's handle."""
        return self.root / "init.unfinished"

    @property
    def config(self) -> Path:
        return self._configuration / "inalpha.toml"

    @property
    def risk(self) -> Path:
        return self._configuration / "risk.toml"

    @property
    def latch(self) -> Path:
        return self.root / "halt.latch"

    @property
    def keys(self) -> Path:
        return self.root / "keys"

    @property
    def clients(self) -> Path:
        """What consoles and the command line remember: trees they saw, where they stopped reading."""
        return self.root / "clients"

    @property
    def log(self) -> Path:
        return self.root / "log"

    @property
    def bus(self) -> Path:
        """What an external broker and remote hosts know this home by; absent while the broker is a child."""
        return self.root / "bus"

    @property
    def demo_mark(self) -> Path:
        return self.root / "demo.json"

    def run_dir(self, ledger_id: str) -> Path:
        """Sockets and pid. Falls back to home/run when no runtime folder exists or its path is too long."""
        base = os.environ.get("RUNTIME_DIRECTORY") or os.environ.get("XDG_RUNTIME_DIR")
        if base and Path(base).is_dir():
            path = Path(base) / f"inalpha-{ledger_id[:16]}"
            if len(os.fsencode(path / "bus.sock")) <= MAX_SOCKET_PATH:
                return path
        path = self.root / "run"
        if len(os.fsencode(path / "bus.sock")) <= MAX_SOCKET_PATH:
            return path
        return user_runtime_path("inalpha", appauthor=False) / ledger_id[:16]

    @property
    def _configuration(self) -> Path:
        named = os.environ.get("CONFIGURATION_DIRECTORY")
        return Path(named) if named else self.root
