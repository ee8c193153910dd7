"""`replay` of the journal that a backtest wrote: with its recorded replies, and asking its strategy again."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from support.installation import STRATEGIES, first_bars, inalpha

STRATEGY = STRATEGIES / "fast_cross.py"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("journal")
    bars = first_bars("GOOG-1d.csv", 150, folder / "GOOG.csv")
    found = inalpha(
        folder / "none", "backtest", str(STRATEGY), "--bars", str(bars), "--calendar", "weekdays",
        "--out", str(folder / "out"), "--json",
    )  # fmt: skip
    assert json.loads(found.stdout)["fills"] > 2
    return folder / "out" / "journal"


@pytest.mark.parametrize("options", [(), ("--strategy", str(STRATEGY))])
def test_a_journal_replays_without_a_difference(made: Path, options: tuple[str, ...]) -> None:
    found = inalpha(made.parent / "none", "replay", str(made), *options, "--json")
    assert found.returncode == 0, found.stderr
    assert json.loads(found.stdout)["divergence"] is None and json.loads(found.stdout)["steps"] == 150


def test_an_edited_output_is_named_with_its_entry(made: Path, tmp_path: Path) -> None:
    lines = made.read_text().splitlines()
    at = next(number for number, line in enumerate(lines) if '"fills"' in line)
    lines[at] = lines[at].replace('"fills":[["', '"fills":[["9', 1)
    (tmp_path / "journal").write_text("\n".join(lines) + "\n")
    found = inalpha(tmp_path, "replay", str(tmp_path / "journal"), "--json")
    divergence = json.loads(found.stdout)["divergence"]
    assert found.returncode == 6 and (divergence["step"], divergence["field"]) == (at, "output.fills")


def test_a_cut_journal_ends_in_another_head_than_its_report(made: Path, tmp_path: Path) -> None:
    (tmp_path / "report.json").write_bytes((made.parent / "report.json").read_bytes())
    (tmp_path / "journal").write_text("\n".join(made.read_text().splitlines()[:-20]) + "\n")
    found = inalpha(tmp_path, "replay", str(tmp_path / "journal"), "--json")
    assert found.returncode == 6 and json.loads(found.stdout)["divergence"]["field"] == "head"


def test_another_strategy_than_the_journals_is_refused(made: Path) -> None:
    other = STRATEGIES / "slow_trend.py"
    found = inalpha(made.parent / "none", "replay", str(made), "--strategy", str(other))
    assert found.returncode != 0 and "sha256" in found.stderr
