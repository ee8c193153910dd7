"""Pages made from the source say what the source says."""

from __future__ import annotations

import importlib.util
import random
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
    said_otherwise = {"stale_data": "STALE_BAR", "data_sanity": "SUSPECT_BAR", "MarketHours": "LOCKED"}
    for section, _ in REGISTRY:
        assert said_otherwise.get(section, section.upper()) in codes, section
