"""Evidence as text: every figure in 80 columns, nothing invented where there is none, nothing executed."""

from __future__ import annotations

from typing import Any

from inalpha.cli.evidence import evidence_lines

EVIDENCE: dict[str, Any] = {
    "checks": [
        {"name": "lint", "passed": True, "detail": "0 notes"},
        {"name": "causality", "passed": False, "detail": "word " * 60},
    ],
    "findings": [{"line": 5, "message": "the order of a set is chance"}],
    "warnings": ["no slippage is modelled"],
    "curve": {"equity": [100.0, 120.0], "buy_and_hold": [100.0, 90.0]},
    "sensitivity": {
        "total_return": 0.2,
        "sharpe": None,
        "neighbours": [
            {"name": "fast", "value": 9, "total_return": -0.1, "sharpe": 0.5, "error": ""},
            {
                "name": "fast",
                "value": 11,
                "total_return": None,
                "sharpe": None,
                "error": "ValueError: \x1b[2J",
            },
        ],
    },
}


def test_no_line_is_wider_than_a_terminal() -> None:
    assert all(len(line) < 80 for line in evidence_lines(EVIDENCE))


def test_equity_stands_beside_buy_and_hold() -> None:
    text = "\n".join(evidence_lines(EVIDENCE))
    assert "equity       ▁█ 120.00" in text
    assert "buy and hold █▁ 90.00" in text


def test_undefined_is_a_dash_and_a_failure_its_reason() -> None:
    lines = evidence_lines(EVIDENCE)
    assert any(line.split() == ["as", "submitted", "+20.00%", "-"] for line in lines)
    assert any(line.split() == ["fast", "=", "9", "-10.00%", "0.50"] for line in lines)
    assert any("ValueError: \\x1b[2J" in line for line in lines)
    assert "\x1b" not in "".join(lines)


def test_ascii_has_no_glyphs() -> None:
    assert "\n".join(evidence_lines(EVIDENCE, ascii_only=True)).isascii()


def test_old_and_empty_evidence_is_shown_as_far_as_it_goes() -> None:
    assert evidence_lines({}) == []
    assert evidence_lines({"checks": EVIDENCE["checks"][:1]}) == ["  ✓ lint: 0 notes"]
