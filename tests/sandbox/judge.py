"""Runs the campaign in parallel parts, as ourselves and as an ordinary user, and knows what each file declares.

As a program it prints the whole table: `judge.py` (minutes), one row a file, with what holds each of them.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import stat
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
REPOSITORY = HERE.parent.parent
OWN = HERE / "attacks"
ORDINARY_UID = 65_400
PARTS = 4  # most of a campaign waits for deadlines
REMOVALS = {
    "seccomp": ["--without", "seccomp"],
    "limits": ["--without", "limits"],
    "environment": ["--secret-in-environment"],
    "all": ["--without", "all"],
}
# What stands behind an end when no kernel layer does.
HELD_BY = {
    "deadline": "deadline", "between": "ping", "output": "output cap", "protocol": "protocol", "load": "loader",
    "memory": "limits", "exit": "watchdog", "signal": "watchdog", "sigsys": "seccomp",
    "exception": "runner", "": "nothing to reach",
}  # fmt: skip

Verdicts = dict[str, dict]


class CannotRun(RuntimeError):
    """This machine cannot play the ordinary user; the text says why."""


def interpreter_for_others(base: Path) -> str | None:
    """An interpreter of this version that another user may execute, with our packages, if any."""
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    system = Path("/usr/bin") / version
    real = Path(sys.executable).resolve()
    public = all(p.stat().st_mode & stat.S_IXOTH for p in [real, *real.parents])
    binary = real if public else system
    if not binary.exists():
        return None
    base.mkdir(mode=0o755)
    (base / "bin").mkdir()
    (base / "bin" / "python").symlink_to(binary)
    (base / "pyvenv.cfg").write_text(f"home = {binary.parent}\ninclude-system-site-packages = false\n")
    packages = base / "lib" / version / "site-packages"
    packages.mkdir(parents=True)
    (packages / "here.pth").write_text(f"{sysconfig.get_path('purelib')}\n{REPOSITORY}\n")
    for path in [base, *base.rglob("*")]:
        if path.is_dir():
            path.chmod(0o755)
    return str(base / "bin" / "python")


@contextmanager
def ordinary_user() -> Iterator[list[str]]:
    """The beginning of a command line that runs Python as somebody without rights. Raises CannotRun."""
    if os.geteuid() != 0:
        raise CannotRun("already an ordinary user")
    setpriv = shutil.which("setpriv")
    if setpriv is None:
        raise CannotRun("setpriv is not installed")
    with tempfile.TemporaryDirectory(prefix="ordinary-") as folder:
        os.chmod(folder, 0o755)
        interpreter = interpreter_for_others(Path(folder) / "venv")
        if interpreter is None:
            raise CannotRun("no interpreter that another user may execute")
        ids = [f"--reuid={ORDINARY_UID}", f"--regid={ORDINARY_UID}", "--clear-groups"]
        yield [setpriv, *ids, interpreter]


def as_ordinary_user() -> Iterator[list[str]]:
    """For a fixture: the same command line; skips where this machine has none, saying why."""
    try:
        with ordinary_user() as command:
            yield command
    except CannotRun as error:
        pytest.skip(str(error))


def run(command: list[str], folder: Path, *options: str, parts: int = PARTS) -> Verdicts:
    """Verdicts by file (and case)."""
    base = [*command, str(HERE / "campaign.py"), str(folder), *options]
    environment = {"PATH": os.environ.get("PATH", ""), "PYTHONDONTWRITEBYTECODE": "1"}
    started = [
        subprocess.Popen(
            [*base, "--shard", f"{part}/{parts}"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd="/",
            env=environment,
        )
        for part in range(parts)
    ]
    verdicts: Verdicts = {}
    for process in started:
        out, errors = process.communicate(timeout=500)
        if process.returncode != 0:
            raise RuntimeError(errors[-2000:])
        found = [json.loads(line) for line in out.splitlines()]
        verdicts |= {verdict["name"]: verdict for verdict in found}
    return verdicts


def declared(name: str, what: str) -> set[str]:
    """The words after `# what:` in one of our own files; a dash among them means the run goes on ("")."""
    match = re.search(rf"^# {what}: (.*)$", (OWN / f"{name}.py").read_text(), re.M)
    if match is None:
        raise ValueError(f"{name} does not declare {what}")
    words = set(match.group(1).split())
    return {"" if word == "-" else word for word in words} if what == "ends" else words - {"-"}


def must_escape(layer: str) -> set[str]:
    """The files that say that this layer alone (or with others) holds them."""
    return {path.stem for path in OWN.glob("*.py") if layer in declared(path.stem, "escapes without")}


def main() -> None:
    """Every mode, both users, one table."""
    users = {"self": [sys.executable]}
    with ordinary_user() as other:
        users["user"] = other
        sealed = {user: run(command, OWN) for user, command in users.items()}
        removed = {
            layer: {user: run(command, OWN, *options) for user, command in users.items()}
            for layer, options in REMOVALS.items()
        }
    rows = []
    for name in sorted(sealed["self"]):
        ends = "/".join(dict.fromkeys(v[name]["code"] or "goes on" for v in sealed.values()))
        escaped = [
            layer for layer, by in removed.items() if all(by[user].get(name, {}).get("fired") for user in by)
        ]
        held = ", ".join(layer for layer in escaped if layer != "all") or (
            "several layers" if escaped else HELD_BY[sealed["self"][name]["code"]]
        )
        breached = any(v[name]["fired"] for v in sealed.values())
        rows.append((name, "BREACH" if breached else "contained", ends, held, ", ".join(escaped) or "-"))
    width = max(len(row[0]) for row in rows)
    print(f"{'file':{width}}  sealed     ends as              held by           escapes without")  # noqa: T201
    for name, verdict, ends, held, escaped in rows:
        print(f"{name:{width}}  {verdict:9}  {ends:20} {held:17} {escaped}")  # noqa: T201
    contained = {user: sum(not v["fired"] for v in found.values()) for user, found in sealed.items()}
    print(f"contained when sealed: {contained} of {len(rows)}")  # noqa: T201
    for layer, by in removed.items():
        counts = {user: sum(bool(v["fired"]) for v in found.values()) for user, found in by.items()}
        print(f"escape without {layer}: {counts}")  # noqa: T201


if __name__ == "__main__":
    main()
