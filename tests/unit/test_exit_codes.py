"""The table of exit codes: what each error code that is raised anywhere makes a verb leave with."""

from __future__ import annotations

import ast
from collections import defaultdict
from pathlib import Path

from inalpha.model import errors

ROOT = Path(__file__).parents[2]
CLASSES = {
    "InalphaError": errors.EXIT_FAILURE,
    "Refused": errors.EXIT_REFUSED,
    "GateRefused": errors.EXIT_REFUSED,
    "ConfigError": errors.EXIT_CONFIG,
    "IntegrityError": errors.EXIT_INTEGRITY,
    "TryAgain": errors.EXIT_TRY_AGAIN,
    "NoDaemon": errors.EXIT_NO_DAEMON,
    "EpochFenced": errors.EXIT_REFUSED,
}
DOCUMENTED = {1, 2, 3, 4, 5, 6, 75, 78}

# 1, a failure: the verb was allowed and understood, tried, and did not get there.
FAILURES = {
    "ABORTED": "a question was not answered",
    "BUS_DENIED": "the broker's self-test found that it turns a rightful client away",
    "BUS_REFUSED": "an external broker answered with a code of no known cause",
    "DAEMON_GONE": "the demo's daemon ended under it",
    "DUMB_TERMINAL": "no screen can be drawn here",
    "EXPORT_SIZE": "the file would pass 4 GiB",
    "GATE": "the demo's own strategy failed its gate",
    "INTERNAL": "an error that nobody foresaw",
    "LATCH": "neither daemon nor latch file took a halt",
    "NO_COMBINATION": "every combination of a grid failed",
    "NO_PLAN": "the hostile agent found no plan to attack",
    "NO_TERMINAL": "no screen can be drawn here",
    "RUN_STATE": "`run wait`: the run ended in another state than was waited for",
    "STRATEGY": "the strategy raised",
}
# One code, two exits: who says it decides.
BY_SPEAKER = {
    "AMOUNT": {2, 4},  # the command line, or the daemon
    "BUS_DENIED": {1, 78},  # the daemon's self-test, or this client's login
    "NO_CHECKPOINT": {4, 75},  # of that size, or not yet
    "NO_KEY": {4, 78},  # in the ledger, or in this home
    "NO_ORDER": {4, 6},  # asked for, or missing in the record
    "NO_PLAN": {1, 4},
    "PLAN_DIGEST_MISMATCH": {4, 6},  # of what was signed, or of the stored body
    "RATIONALE": {2, 4},  # the command line, or the daemon
    "RUN_STATE": {1, 4},
}


def raised() -> dict[str, dict[int, list[str]]]:
    """Code to exit code to where, of every error built with a literal code."""
    found: dict[str, dict[int, list[str]]] = defaultdict(lambda: defaultdict(list))
    for package in ("inalpha", "runners", "tui"):
        for path in sorted((ROOT / package).rglob("*.py")):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name) or not node.args:
                    continue
                first = node.args[0]
                if (
                    node.func.id in CLASSES
                    and isinstance(first, ast.Constant)
                    and isinstance(first.value, str)
                ):
                    found[first.value][exit_of(node, first.value)].append(f"{path}:{node.lineno}")
    return found


def exit_of(node: ast.Call, code: str) -> int:
    """As InalphaError.__init__ decides: the argument, the table of refusals, the class."""
    assert isinstance(node.func, ast.Name)
    for keyword in node.keywords:
        if keyword.arg == "exit_code":
            value = keyword.value
            if isinstance(value, ast.Constant) and isinstance(value.value, int):
                return value.value
            if isinstance(value, ast.Name):
                return int(getattr(errors, value.id))
    built = errors.InalphaError(code, "")
    return built.exit_code if code in errors.REFUSALS else CLASSES[node.func.id]


def test_each_code_leaves_by_one_documented_exit() -> None:
    for code, exits in raised().items():
        assert exits.keys() <= DOCUMENTED, (code, dict(exits))
        if len(exits) > 1:
            assert BY_SPEAKER.get(code) == set(exits), (code, dict(exits))


def test_only_what_was_tried_and_failed_exits_one() -> None:
    plain = {code for code, exits in raised().items() if errors.EXIT_FAILURE in exits}
    assert plain == FAILURES.keys()


def test_a_code_of_the_table_of_refusals_is_a_refusal_whoever_raises_it() -> None:
    for code in errors.REFUSALS:
        assert errors.InalphaError(code, "x").exit_code == errors.EXIT_REFUSED
        # What the daemon said travels by its own number.
        assert errors.InalphaError(code, "x", exit_code=errors.EXIT_USAGE).exit_code == errors.EXIT_USAGE
