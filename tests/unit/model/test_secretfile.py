"""A secret in a file that others may read is no secret: it is refused, with the way to mend it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from support.installation import inalpha, secret_file

from inalpha.cli.client import read_passphrase
from inalpha.model.errors import ConfigError
from inalpha.model.secretfile import read_secret


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o620, 0o610, 0o644, 0o777])
def test_a_secret_that_others_may_reach_is_refused(tmp_path: Path, mode: int) -> None:
    path = secret_file(tmp_path / "passphrase", "correct horse battery\n")
    path.chmod(mode)
    with pytest.raises(ConfigError, match=f"mode {mode:o}") as caught:
        read_passphrase(str(path), "?")
    assert caught.value.fix == f"chmod 600 {path}" and caught.value.exit_code == 78


@pytest.mark.parametrize("mode", [0o600, 0o400])
def test_a_closed_secret_is_read(tmp_path: Path, mode: int) -> None:
    path = secret_file(tmp_path / "passphrase", "correct horse battery\r\nmore\n")
    path.chmod(mode)
    assert read_passphrase(str(path), "?") == "correct horse battery"
    (tmp_path / "name").symlink_to(path)
    assert read_passphrase(str(tmp_path / "name"), "?") == "correct horse battery"


def test_a_link_is_judged_by_what_it_leads_to(tmp_path: Path) -> None:
    path = secret_file(tmp_path / "open", "x")
    path.chmod(0o644)
    (tmp_path / "name").symlink_to(path)
    with pytest.raises(ConfigError, match="mode 644"):
        read_secret(tmp_path / "name")


def test_a_pipe_is_read_as_a_shell_gives_one() -> None:
    reading, writing = os.pipe()
    os.write(writing, b"correct horse battery\n")
    os.close(writing)
    try:
        assert read_passphrase(f"/dev/fd/{reading}", "?") == "correct horse battery"
    finally:
        os.close(reading)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_a_secret_of_another_user_is_refused(tmp_path: Path) -> None:
    path = secret_file(tmp_path / "passphrase", "x")
    os.chown(path, 12345, -1)
    with pytest.raises(ConfigError, match="another user"):
        read_secret(path)


def test_folders_and_bytes_that_are_no_text_are_refused(tmp_path: Path) -> None:
    odd = tmp_path / "odd"
    odd.write_bytes(b"\xff\xfe")
    odd.chmod(0o600)
    for path in (tmp_path, odd, tmp_path / "missing"):
        with pytest.raises(ConfigError, match="cannot be read"):
            read_secret(path)


def test_init_refuses_an_open_passphrase_file_and_makes_nothing(tmp_path: Path) -> None:
    secret = secret_file(tmp_path / "passphrase", "correct horse battery\n")
    secret.chmod(0o644)
    found = inalpha(tmp_path / "home", "init", "--operator", "alice", "--passphrase-file", str(secret))
    assert found.returncode == 78 and f"chmod 600 {secret}" in found.stderr
    assert not (tmp_path / "home").exists()
