"""verify.py is made of the verifier's modules, the same bytes every time, and stands on nothing of ours."""

from __future__ import annotations

import ast
import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner
from support.attacks import load_verifier

from inalpha.audit import schema
from inalpha.cli.main import main
from inalpha.verifier import build as maker
from inalpha.verifier.acts import ACTS
from inalpha.verifier.build import ORDER, Unbuildable, build
from inalpha.verifier.checks import CHECKS

PACKAGE = Path(maker.__file__).parent
MAY_IMPORT = sys.stdlib_module_names | {"nacl"}


def in_a_fresh_interpreter(*words: str, seed: str = "0") -> str:
    environment = {**os.environ, "PYTHONHASHSEED": seed}
    ran = subprocess.run(
        [sys.executable, *words], capture_output=True, text=True, check=True, env=environment
    )
    return ran.stdout


@pytest.mark.parametrize("seed", ["1", "2"])
def test_the_same_modules_give_the_same_bytes(tmp_path: Path, seed: str) -> None:
    in_a_fresh_interpreter("-m", "inalpha.verifier.build", str(tmp_path / "verify.py"), seed=seed)
    assert (tmp_path / "verify.py").read_bytes() == build()
    told = in_a_fresh_interpreter("-I", str(tmp_path / "verify.py"), "--version").strip()
    assert told == hashlib.sha256(build()).hexdigest()


def test_the_program_tells_which_verifier_it_hands_out() -> None:
    told = CliRunner().invoke(main, ["--version"])
    assert told.exit_code == 0 and f"verify.py sha256 {hashlib.sha256(build()).hexdigest()}" in told.output


def test_the_one_file_imports_the_standard_library_and_pynacl() -> None:
    for node in ast.walk(ast.parse(build())):
        found = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        found += [str(node.module)] if isinstance(node, ast.ImportFrom) else []
        assert {name.split(".")[0] for name in found} <= MAY_IMPORT


def test_every_module_loads_nothing_of_ours() -> None:
    """In a fresh interpreter: a static graph does not see an import inside of a function."""
    modules = [f"inalpha.verifier.{path.stem}" for path in PACKAGE.glob("*.py") if path.stem != "__init__"]
    code = (
        f"import sys, inalpha\nbefore = set(sys.modules)\nimport {', '.join(modules)}\n"
        "inalpha.verifier.command.own_digest()\nprint(*set(sys.modules) - before)"
    )
    loaded = {name for name in in_a_fresh_interpreter("-c", code).split() if name.split(".")[0] == "inalpha"}
    assert loaded == {"inalpha.verifier", *modules}


def test_the_one_file_carries_the_specification_byte_for_byte() -> None:
    text = PACKAGE.parent.joinpath("audit", "event_schemas.json").read_bytes().strip()
    assert build().count(text) == 1
    assert json.loads(text) == load_verifier().SPECIFICATION == schema.specification()


def test_every_kind_of_line_has_its_act() -> None:
    assert ACTS.keys() == schema.kinds().keys()
    assert CHECKS.keys() <= load_verifier().CHECKS.keys()


def test_every_module_is_in_the_one_file_or_is_no_part_of_it() -> None:
    assert {path.stem for path in PACKAGE.glob("*.py")} == {
        *ORDER,
        "__init__",
        "build",
        "home",
        "ledgertree",
        "signatures",
    }


@pytest.mark.parametrize(
    "source",
    [
        '"""A."""\nCHECKS = 1\n',
        '"""A."""\nimport json as other\n',
        '"""A."""\nfrom inalpha.verifier.command import main\n',
        '"""A."""\nfrom inalpha.audit.schema import kinds\n',
        '"""A."""\nfrom inalpha.verifier import forms\n',
    ],
    ids=["a name twice", "another name", "before what it imports", "ours", "a module as a name"],
)
def test_modules_that_cannot_stand_in_one_file_are_refused(source: str) -> None:
    with pytest.raises(Unbuildable):
        maker._section("tree", source, set(), {}, {"CHECKS": "checks"})
