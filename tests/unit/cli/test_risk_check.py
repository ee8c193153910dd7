"""`risk check` names what is wrong with a file, whatever it holds."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from inalpha.cli.safety import check
from inalpha.model.errors import ConfigError


@pytest.mark.parametrize("content", [b"\x7fELF\xd0\x00", b"schema = [", b""])
def test_a_file_that_holds_no_rules_is_a_configuration_error(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "risk.toml"
    file.write_bytes(content)
    error = CliRunner().invoke(check, [str(file)]).exception
    assert isinstance(error, ConfigError) and error.exit_code == 78
    assert str(file) in error.message
