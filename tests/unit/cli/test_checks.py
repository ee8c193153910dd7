"""What `doctor` says of disk and record, and with which exit it leaves."""

from __future__ import annotations

import json
import shutil
import sqlite3
from pathlib import Path

import pytest
from support.installation import Installation, inalpha

from inalpha.cli import checks
from inalpha.model.errors import ConfigError
from inalpha.model.home import Home

MOUNTS = """\
22 27 0:21 / / rw,relatime - ext4 /dev/sda1 rw
23 22 0:22 / /srv/my\\040disk rw shared:3 - nfs4 server:/x rw
24 22 0:23 / /run rw - tmpfs tmpfs rw
25 24 0:24 / /run/keep rw - xfs /dev/sdb1 rw
"""


@pytest.mark.parametrize(
    ("path", "kind"),
    [("/home/a", "ext4"), ("/srv/my disk/home", "nfs4"), ("/run/x", "tmpfs"), ("/run/keep/x", "xfs"),
     ("/runner", "ext4")],
)  # fmt: skip
def test_the_deepest_mount_holds_a_path(path: str, kind: str) -> None:
    assert checks.file_system(Path(path), MOUNTS) == kind


@pytest.mark.parametrize("kind", ["tmpfs", "overlay", "nfs4", "cifs", "fuse.sshfs", "9p"])
def test_a_home_that_fades_or_is_far_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    monkeypatch.setattr(checks, "file_system", lambda path, mounts: kind)
    with pytest.raises(ConfigError, match=kind):
        checks.durable_disk(Home(tmp_path))


def test_a_broken_record_goes_before_bad_settings_before_all_else(tmp_path: Path) -> None:
    home = Installation(tmp_path / "home")
    home.init()

    def doctor(root: Path) -> tuple[int, dict[str, str]]:
        found = inalpha(root, "doctor", "--json")
        return found.returncode, {item["name"]: item["result"] for item in json.loads(found.stdout)["checks"]}

    code, results = doctor(home.home)
    assert results["record"] == "ok" and results["operator keys"] == "fail" and code in (1, 78)
    shutil.copytree(home.home, tmp_path / "b")
    (tmp_path / "b" / "inalpha.toml").write_text("nonsense = 1\n")
    assert doctor(tmp_path / "b")[0] == 78
    conn = sqlite3.connect(tmp_path / "b" / "ledger.db")
    conn.execute("UPDATE account SET cash = '100001'")
    conn.commit()
    conn.close()
    code, results = doctor(tmp_path / "b")
    assert code == 6 and results["record"] == results["configuration"] == "fail"
