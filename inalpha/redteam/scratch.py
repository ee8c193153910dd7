"""A scratch installation in a fresh folder: ordinary verbs, a real daemon, broker, host and runners."""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from importlib import resources
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from inalpha.cli.candidates import submit_candidate
from inalpha.cli.client import Commitment, Operator, gate, reading, send, unlock, unlock_agent
from inalpha.cli.keys import add_agent
from inalpha.cli.runs import build_mandate, make_feed, run_item, sign_and_start
from inalpha.cli.setup import create_home
from inalpha.client.presence import RUNNING, Presence, find, require
from inalpha.data import bundled
from inalpha.ledger import readers
from inalpha.model.errors import InalphaError, TryAgain
from inalpha.model.home import Home
from inalpha.redteam.weakened import MARK

OPERATOR, AGENT = "redteam", "redteam-agent"
MEMORY_MIB, BAR_S = 64, 1
_START_S = 30.0
_RISK: dict[str, dict[str, object]] = {"runner_limits": {"memory_mib": MEMORY_MIB, "bar_s": BAR_S}}


class Scratch:
    """A context manager. without: a control of `weakened` that this installation shall lack."""

    def __init__(self, without: str | None = None) -> None:
        self._without = without
        self._base = Path(tempfile.mkdtemp(prefix="inalpha-redteam-"))
        self._base.chmod(0o711)
        self.home = Home(self._base / "home")
        self.secret = "CANARY-" + secrets.token_hex(16)
        self._daemon: subprocess.Popen[bytes] | None = None
        self.operator: Operator
        self.agent: Operator

    def __enter__(self) -> Self:
        try:
            create_home(self.home, OPERATOR, "1000000", "USD", None, _RISK)
            (self.home.root / MARK).write_text(self.secret, encoding="ascii")
            self._start()
            self.operator = unlock(self.home, OPERATOR, None)
            add_agent(self.home, self.operator, AGENT)
            self.agent = unlock_agent(self.home, AGENT)
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _start(self) -> None:
        program = ["inalpha.daemon", "--home", str(self.home.root)]
        if self._without is not None:
            program = ["inalpha.redteam.weakened", "daemon", str(self.home.root), self._without]
        with open(self.home.root / "daemon.log", "ab") as log:
            self._daemon = subprocess.Popen(
                [sys.executable, "-m", *program], stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd="/"
            )
        until = time.monotonic() + _START_S
        while time.monotonic() < until:
            presence = find(self.home)
            if presence is not None and presence.state == RUNNING:
                return
            if self._daemon.poll() is not None:
                break
            time.sleep(0.02)
        tail = (self.home.root / "daemon.log").read_text(encoding="utf-8", errors="replace")[-500:]
        raise TryAgain("DAEMON_START", f"the scratch daemon did not get ready: {tail}", "See above.")

    @property
    def presence(self) -> Presence:
        return require(self.home)

    @property
    def run_dir(self) -> Path:
        return Path(self.presence.run_dir)

    def folder(self, name: str) -> Path:
        """A folder beside the home that anybody may write."""
        path = self._base / name
        path.mkdir()
        path.chmod(0o777)
        return path

    def bars(self, count: int) -> Path:
        """The first bars of bundled data as a file."""
        path = self._base / f"bars-{count}.csv"
        lines = bundled("GOOG").read_text(encoding="utf-8").splitlines(keepends=True)
        path.write_text("".join(lines[: count + 1]), encoding="utf-8")
        return path

    def submit(self, file: str, head: str = "") -> dict[str, Any]:
        """Judge one of our strategies, head put in front; raises when it did not pass."""
        source = head.encode() + resources.files("inalpha.redteam").joinpath(file).read_bytes()
        found = submit_candidate(self.home, self.operator, source, "the red team's own strategy file", None)
        if found["state"] not in ("passed", "promoted"):
            raise InalphaError("GATE", f"{file} did not pass the gate: {found}.", "Look at its evidence.")
        return found

    def promote(self, found: dict[str, Any]) -> str:
        """Sign its promotion, once; its id."""
        if found["state"] == "promoted":
            return str(found["candidate"])
        why = Commitment.of("the red team's own")
        subject = {"candidate": found["candidate"], "reason_commit": why.commit, "sha256": found["sha256"]}
        note = gate(self.home, self.operator, "candidate.promote", subject)
        args = {"candidate": found["candidate"], "gate": note, **why.args()}
        send(self.home, "candidate.promote", args, self.operator)
        return str(found["candidate"])

    def start_run(
        self,
        candidate: str,
        symbol: str,
        bars: Path,
        speed: str,
        *,
        approval: str = "machine",
        params: dict[str, Any] | None = None,
    ) -> str:
        spec = make_feed(self.home, f"replay:{bars}@{speed}", symbol, "1d")
        body = build_mandate(
            self.home, OPERATOR, candidate, spec, allocation="10000", approval=approval, expires_s=3600,
            params=params,
        )  # fmt: skip
        return str(sign_and_start(self.home, self.operator, body, spec)["run"])

    def run(self, name: str) -> dict[str, Any]:
        with reading(self.home) as reader:
            return run_item(self.home, reader, readers.run(reader, name))

    def texts(self, name: str) -> str:
        """Everything that a run said: its journal's outputs and its errors."""
        with reading(self.home) as reader:
            entries = readers.journal(reader, name, -1)
            errors = readers.run_errors(reader, name, 9)
        said = [entry["output"] for entry in entries] + [str(error["text"]) for error in errors]
        log = (self.home.root / "daemon.log").read_text(encoding="utf-8", errors="replace").splitlines()
        said += [line for line in log if f'"{name}"' in line]
        return "\n".join(said)

    def close(self) -> None:
        """Stop the daemon and remove the folder."""
        if self._daemon is not None and self._daemon.poll() is None:
            self._daemon.send_signal(signal.SIGTERM)
            try:
                self._daemon.wait(15)
            except subprocess.TimeoutExpired:
                self._daemon.kill()
                self._daemon.wait()
        shutil.rmtree(self._base, ignore_errors=True)


def is_root() -> bool:
    return os.geteuid() == 0
