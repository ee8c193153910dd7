"""A home that may not be written: exit 78 with the path for what would write, and answers for what reads."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from support.installation import Installation

NOBODY = 54321
MOUNT = 'mount --bind "$1" "$1" && mount -o remount,ro,bind "$1" && shift && exec "$@"'
READING = (
    ("status",), ("run", "list"), ("fills",), ("decisions",), ("positions",), ("account",), ("plan", "list"),
    ("candidate", "list"), ("report",), ("report", "--since", "last"), ("audit", "log"), ("audit", "checkpoint"),
    ("risk", "show"), ("operator", "list"), ("policy", "explain"), ("audit", "verify", "--no-exec"),
)  # fmt: skip
WRITING = (("--daemon",), ("halt", "--all", "--kill", "--reason", "x"), ("halt", "--reason", "x"))

Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def folder() -> Iterator[Path]:
    """With an installation at rest, in a place that other users reach."""
    made = Path(tempfile.mkdtemp(prefix="inalpha-fixed-"))
    os.chmod(made, 0o755)
    Installation(made / "home").init()
    yield made
    for path in (made, *made.rglob("*")):
        if path.is_dir():
            os.chmod(path, 0o700)
    shutil.rmtree(made)


def _runner(prefix: list[str], home: Path) -> Run:
    def run(*args: str, at: Path = home) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*prefix, sys.executable, "-m", "inalpha", "--home", str(at), *args],
            capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=60, check=False,
        )  # fmt: skip

    return run


@pytest.fixture
def mounted(folder: Path) -> Run:
    """On a disk that is mounted for reading."""
    prefix = ["unshare", "-m", "sh", "-c", MOUNT, "sh", str(folder)]
    if shutil.which("unshare") is None:
        pytest.skip("there is no unshare")
    if subprocess.run([*prefix, "true"], capture_output=True, check=False).returncode:
        pytest.skip("nothing may be mounted here")
    return _runner(prefix, folder / "home")


@pytest.fixture
def closed(folder: Path) -> Run:
    """Of an ordinary user who has taken his own leave to write."""
    prefix: list[str] = []
    if os.getuid() == 0:
        prefix = ["setpriv", "--reuid", str(NOBODY), "--regid", str(NOBODY), "--clear-groups"]
        if shutil.which("setpriv") is None:
            pytest.skip("root ignores modes, and there is no setpriv")
        probe = [*prefix, sys.executable, "-c", "import inalpha.cli.main"]
        if subprocess.run(probe, capture_output=True, check=False).returncode:
            pytest.skip("root ignores modes, and this checkout is not open to other users")
    for path in (folder, *folder.rglob("*")):
        if os.getuid() == 0:
            os.chown(path, NOBODY, NOBODY)
        os.chmod(path, 0o500 if path.is_dir() else 0o400)
    return _runner(prefix, folder / "home")


@pytest.mark.parametrize("kind", ["mounted", "closed"])
def test_what_would_write_names_the_path_and_what_reads_answers(
    kind: str, folder: Path, request: pytest.FixtureRequest
) -> None:
    run: Run = request.getfixturevalue(kind)
    for verb in READING:
        found = run(*verb)
        assert found.returncode == 0, (verb, found.returncode, found.stdout[-300:], found.stderr)
    for verb in WRITING:
        found = run(*verb)
        assert found.returncode == 78, (verb, found.returncode, found.stdout[-300:], found.stderr)
        assert str(folder / "home") in found.stderr
        assert found.stderr.startswith("error: ") and found.stderr.count("\n") == 1, found.stderr
    made = ("init", "--operator", "alice", "--insecure-no-passphrase")
    found = run(*made, at=folder / "another")
    assert (found.returncode, str(folder / "another") in found.stderr) == (78, True), found.stderr
    found = run("backup", str(folder / "copy.tar"))
    assert (found.returncode, str(folder) in found.stderr) == (78, True), found.stderr
