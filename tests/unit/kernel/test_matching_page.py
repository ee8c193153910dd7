"""docs/matching.md and the contract's tests name the same rules."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[3]


def test_every_rule_has_a_row_and_every_row_a_test() -> None:
    page = (ROOT / "docs/matching.md").read_text(encoding="utf-8")
    source = (Path(__file__).parent / "test_matching_contract.py").read_text(encoding="utf-8")
    rows = set(re.findall(r"^\| M(\d+) \|.*`test_m\1_\*` \|$", page, flags=re.MULTILINE))
    tests = set(re.findall(r"^def test_m(\d+)_", source, flags=re.MULTILINE))
    assert rows == tests
    assert len(rows) == 25
