"""Every verb in homes that lost something: a sentence and the exit code of the contract, never a traceback."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import click
import pytest
from click.testing import CliRunner
from support.installation import Installation

from inalpha.cli.main import VERBS, main
from inalpha.model import latch
from inalpha.model.states import HaltState

# Each argument that verbs demand, with something of its form that this home does not hold.
WORDS = {
    "CAND": "cand-000000000000", "RUN": "run-1", "PLAN": "plan-1", "SCOPE": "all", "SEQ": "3", "FILL": "run-1/1",
    "ID": "cand-000000000000", "NAME": "alice", "VERB": "plan.approve",
}  # fmt: skip
# They wait for a person or serve for ever, or make what they need themselves.
NOT_SWEPT = {"demo", "redteam", "audit witness serve", "init"}
CODES = {0, 1, 2, 3, 4, 5, 6, 75, 78}


def leaves(
    command: click.Command, path: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    if isinstance(command, click.Group):
        ctx = click.Context(command)
        for name in command.list_commands(ctx):
            found = command.get_command(ctx, name)
            assert found is not None
            yield from leaves(found, (*path, name))
    else:
        yield path, command


def filled(command: click.Command, folder: Path) -> list[str]:
    """What the verb demands, so that it comes as far as the home."""
    words: list[str] = []
    for parameter in command.params:
        if not parameter.required and not (isinstance(parameter, click.Argument) and parameter.nargs == 1):
            continue
        kind = parameter.type
        if isinstance(kind, click.Path):
            value = str(folder / "given.csv" if kind.exists else folder / f"made-{parameter.name}")
        elif isinstance(kind, click.Choice):
            value = str(kind.choices[0])
        elif isinstance(kind, click.types.IntParamType | click.types.IntRange):
            value = "1"
        else:
            name = (
                parameter.human_readable_name
                if isinstance(parameter, click.Argument)
                else parameter.metavar or ""
            )
            value = WORDS.get(name.upper().strip("[]"), WORDS.get(str(parameter.name).upper(), "x"))
        words += [value] if isinstance(parameter, click.Argument) else [parameter.opts[0], value]
    return words


def no_ledger(home: Path) -> None:
    for path in home.glob("ledger.db*"):
        path.unlink()


def spoiled_settings(home: Path) -> None:
    (home / "inalpha.toml").write_bytes(b"[\xff not toml")
    (home / "risk.toml").write_bytes(b"[\xff not toml")


def latch_a_folder(home: Path) -> None:
    (home / "halt.latch").unlink()
    (home / "halt.latch").mkdir()


def spoiled_ledger(home: Path) -> None:
    (home / "ledger.db").write_bytes(b"spoiled by another program" * 400)


def empty_ledger(home: Path) -> None:
    (home / "ledger.db").write_bytes(b"")


def spoiled_presence(home: Path) -> None:
    (home / "daemon.json").write_text('["not", "an", "object"]')
    (home / "hosts.json").write_text("{")


def as_it_was(home: Path) -> None:
    """Only the user has no name."""


SPOILS: tuple[Callable[[Path], None], ...] = (
    no_ledger, spoiled_settings, latch_a_folder, spoiled_ledger, empty_ledger, spoiled_presence, as_it_was,
)  # fmt: skip


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = Installation(tmp_path_factory.mktemp("sound") / "home")
    home.init()
    return home.home


@pytest.mark.parametrize("spoil", SPOILS, ids=lambda spoil: spoil.__name__)
def test_every_verb_tells_what_is_wrong(
    sound: Path, tmp_path: Path, spoil: Callable[[Path], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("LOGNAME", "USER", "LNAME", "USERNAME"):
        monkeypatch.delenv(name, raising=False)
    if spoil is as_it_was:
        monkeypatch.setattr(os, "getuid", lambda: os.stat(sound).st_uid)

        def nobody(uid: int) -> object:
            raise KeyError(f"getpwuid(): uid not found: {uid}")

        monkeypatch.setattr("pwd.getpwuid", nobody)
    (tmp_path / "given.csv").write_text("time,open,high,low,close,volume\n")
    wrong, swept = [], 0
    for path, command in leaves(main):
        if " ".join(path) in NOT_SWEPT:
            continue
        home = tmp_path / "home"
        shutil.rmtree(home, ignore_errors=True)
        shutil.copytree(sound, home)
        spoil(home)
        words = ["--home", str(home), *path, *filled(command, tmp_path)]
        monkeypatch.setattr(sys, "argv", ["inalpha", *words])
        found = CliRunner().invoke(main, words, input="")
        swept += 1
        fault = found.exception is not None and not isinstance(found.exception, SystemExit)
        if fault or found.exit_code not in CODES:
            wrong.append((" ".join(path), found.exit_code, repr(found.exception)))
        if path == ("halt",):
            assert found.exit_code == 0, found.output
        if spoil is no_ledger and found.exit_code in (1,):
            wrong.append((" ".join(path), found.exit_code, found.output[-200:]))
    assert wrong == []
    assert swept > len(VERBS)


@pytest.mark.parametrize("spoil", SPOILS, ids=lambda spoil: spoil.__name__)
def test_a_kill_binds_in_each_of_them(sound: Path, tmp_path: Path, spoil: Callable[[Path], None]) -> None:
    home = tmp_path / "home"
    shutil.copytree(sound, home)
    spoil(home)
    found = CliRunner().invoke(
        main, ["--home", str(home), "halt", "--all", "--kill", "--reason", "all of it"]
    )
    assert found.exit_code == 0, found.output
    assert latch.read_rows(home / "halt.latch")[-1].state is HaltState.KILLED


def test_a_user_without_a_home_directory_names_one_behind_the_verb(
    sound: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HOME", "INALPHA_HOME", "STATE_DIRECTORY", "XDG_STATE_HOME"):
        monkeypatch.delenv(name, raising=False)

    def nobody(uid: int) -> object:
        raise KeyError(f"getpwuid(): uid not found: {uid}")

    monkeypatch.setattr("pwd.getpwuid", nobody)
    home = tmp_path / "home"
    shutil.copytree(sound, home)
    for verb in (("halt", "--kill", "--reason", "x"), ("status",)):
        assert CliRunner().invoke(main, [*verb, "--home", str(home)]).exit_code == 0
        found = CliRunner().invoke(main, [*verb])
        assert (found.exit_code, "NO_HOME" in found.output) == (78, True), found.output
    assert CliRunner().invoke(main, []).exit_code == 78
