"""Pages say what the source says, and name files that exist."""

from __future__ import annotations

import importlib.util
import random
import re
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def generate() -> ModuleType:
    spec = importlib.util.spec_from_file_location("docs_generate", ROOT / "docs" / "generate.py")
    assert spec is not None and spec.loader is not None
    made = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = made
    spec.loader.exec_module(made)
    return made


@pytest.mark.parametrize("name", ["docs/errors.md", "docs/risk.md"])
def test_a_generated_page_is_what_the_source_makes(generate: ModuleType, name: str) -> None:
    assert (ROOT / name).read_text(encoding="utf-8") == generate.PAGES[name](), "run: python docs/generate.py"


def test_a_code_is_found_by_one_search_where_it_is_given(generate: ModuleType) -> None:
    """Each is a literal of the file that the page names; invariants are given by their number."""
    found = generate.raised()
    assert len({one.code for one in found}) > 230
    for one in random.Random(1).sample(found, 40):
        literal = one.code.removeprefix("INVARIANT_")
        assert f'"{literal}"' in (ROOT / one.file).read_text(encoding="utf-8"), one


def test_every_control_has_its_code_in_the_table(generate: ModuleType) -> None:
    from inalpha.risk.engine import REGISTRY

    codes = {one.code for one in generate.raised()}
    said_otherwise = {
        "stale_data": "STALE_BAR",
        "data_sanity": "SUSPECT_BAR",
        "MarketHours": "LOCKED",
        "Cooldown": "LOCKED",
    }
    for section, _ in REGISTRY:
        assert said_otherwise.get(section, section.upper()) in codes, section


@pytest.mark.parametrize(
    "page", ["docs/architecture.md", "CONTRIBUTING.md", "docs/threat-model.md", "SECURITY.md", "README.md"]
)
def test_every_file_that_a_page_names_exists(page: str) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    links = re.findall(r"\]\(([^)#:]+)\)", text)
    assert all(((ROOT / page).parent / link).exists() for link in links), links
    packages = "|".join(path.name for path in (ROOT / "inalpha").iterdir() if path.is_dir())
    named = re.findall(rf"`((?:inalpha|runners|tui|tests|docs|{packages})/[\w./]+?)`", text)
    missing = [name for name in named if not any((root / name).exists() for root in (ROOT, ROOT / "inalpha"))]
    assert missing == []


def test_decisions_are_numbered_once_and_listed() -> None:
    files = sorted(path.name for path in (ROOT / "docs" / "decisions").glob("0*.md"))
    assert [int(name[:4]) for name in files] == list(range(1, len(files) + 1))
    index = (ROOT / "docs" / "decisions" / "README.md").read_text(encoding="utf-8")
    assert all(f"]({name})" in index for name in files)
