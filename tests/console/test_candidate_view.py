"""What a candidate's panel says of its evidence."""

from __future__ import annotations

from typing import Any

from tui.book import CandidateDetail
from tui.views.candidates import candidate_lines

ROW: dict[str, Any] = {
    "candidate": "cand-0123456789ab", "state": "passed", "submitted_by": "agent:claude", "ts": 0,
    "sha256": "ab" * 32, "size": 900, "decided_by": None,
}  # fmt: skip
EVIDENCE: dict[str, Any] = {
    "checks": [{"name": "lint", "passed": True, "detail": "1 notes"}],
    "findings": [{"line": 7, "col": 4, "code": "CENTRED_WINDOW", "message": "a centred window", "fix": ""}],
    "metrics": {"total_return": 0.12, "sharpe": 0.8},
    "data": {"name": "GOOG", "bars": 2148},
    "curve": {"equity": [100.0, 110.0, 112.0], "buy_and_hold": [100.0, 90.0, 120.0]},
    "sensitivity": {
        "total_return": 0.12, "sharpe": 0.8,
        "neighbours": [
            {"name": "fast", "value": 9, "total_return": -0.03, "sharpe": -0.2, "error": ""},
            {"name": "fast", "value": 11, "total_return": None, "sharpe": None, "error": "failed at bar 3"},
        ],
    },
}  # fmt: skip


def told(evidence: dict[str, Any], width: int = 78) -> str:
    detail = CandidateDetail(ROW, "x = 1\n", "a rule", None, evidence)
    lines = candidate_lines(detail, 10**6, width)
    assert all(line.width <= width for line in lines)
    return "\n".join(line.text for line in lines)


def test_findings_name_their_line_and_figures_stand_beside_their_neighbours() -> None:
    text = told(EVIDENCE)
    assert "! line 7: a centred window" in text
    assert "buy & hold" in text and "120.00" in text
    assert "fast = 9" in text and "-3.0%" in text and "failed at bar 3" in text


def test_a_candidate_without_evidence_says_so() -> None:
    assert "no evidence yet" in told({})
