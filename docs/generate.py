"""Pages that are read from the source, so that they cannot lie: docs/errors.md and docs/risk.md.

Run it after a change of a code or of a setting: `python docs/generate.py`. A test compares its answer with the files.
"""

from __future__ import annotations

import ast
import re
import sys
import textwrap
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from inalpha.model.runner import END_CODES, END_FIXES
from inalpha.risk.settings import BOUNDS, LOCK_RULES, Controls

ROOT = Path(__file__).parents[1]
PACKAGES = ("inalpha", "runners", "tui")
CODE = re.compile(r"[A-Z][A-Z0-9]*(_[A-Z0-9]+)*\Z")
# Calls that carry a code: where the code, the sentence and the fix stand among the arguments.
CALLS: dict[str, tuple[int, int | None, int | None]] = {
    "InalphaError": (0, 1, 2),
    "Refused": (0, 1, 2),
    "ConfigError": (0, 1, 2),
    "IntegrityError": (0, 1, 2),
    "TryAgain": (0, 1, 2),
    "usage": (0, 1, 2),
    "RunFailed": (0, 1, None),
    "Refusal": (0, 6, None),
    "refusal": (0, 6, None),
    "invalid": (0, 2, None),
    "Block": (0, 6, None),
    "Violation": (0, 1, None),
    "require": (1, 2, None),
    "Finding": (0, 2, 3),
}
KEYWORDS = {"code": 0, "message": 1, "text": 1, "fix": 2}


@dataclass(frozen=True)
class Raised:
    """One place where a code is given. told, fix: as in the source, `…` where a value goes."""

    code: str
    told: str
    fix: str
    file: str


def words(node: ast.expr | None) -> str:
    """A literal or f-string as a sentence."""
    if isinstance(node, ast.Constant):
        return str(node.value)
    if isinstance(node, ast.JoinedStr):
        return "".join(str(part.value) if isinstance(part, ast.Constant) else "…" for part in node.values)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        return words(node.left) + words(node.right)
    return "" if node is None else "…"


def _assigned(tree: ast.Module) -> list[tuple[int, str, str]]:
    """(line, name, words) of every name that is given a literal, from the top down."""
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant | ast.JoinedStr | ast.BinOp):
            found += [(node.lineno, t.id, words(node.value)) for t in node.targets if isinstance(t, ast.Name)]
    return sorted(found)


def _raised(path: Path) -> Iterator[Raised]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    given_at = _assigned(tree)

    def read(node: ast.expr | None) -> str:
        if isinstance(node, ast.Name):
            above = [text for line, name, text in given_at if name == node.id and line < node.lineno]
            return above[-1] if above else "…"
        return words(node)

    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        name = node.func.id if isinstance(node.func, ast.Name) else getattr(node.func, "attr", "")
        if name not in CALLS:
            continue
        places = CALLS[name]
        given = [read(node.args[at]) if at is not None and at < len(node.args) else "" for at in places]
        for keyword in node.keywords:
            if keyword.arg in KEYWORDS:
                given[KEYWORDS[keyword.arg]] = read(keyword.value)
        code = f"INVARIANT_{given[0]}" if name in ("Violation", "require") else given[0]
        if CODE.match(code) and len(code) > 2:
            yield Raised(code, given[1], given[2], str(path.relative_to(ROOT)))


def raised() -> list[Raised]:
    """Every place in the packages that gives a code."""
    files = [path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))]
    return [one for path in files if "standalone" not in path.parts for one in _raised(path)]


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|").replace("<", "&lt;")


def errors_page() -> str:
    """docs/errors.md."""
    by_code: dict[str, list[Raised]] = defaultdict(list)
    for one in raised():
        by_code[one.code].append(one)
    lines = [
        "# Errors and refusals",
        "",
        "Every code, what is said with it (`…` stands for a value), what helps, and where it is raised. Made by",
        "`python docs/generate.py`; do not edit.",
        "",
        "| code | what is said | what helps | raised in |",
        "|---|---|---|---|",
    ]
    for code in sorted(by_code):
        places = by_code[code]
        told = list(dict.fromkeys(_cell(one.told) for one in places if one.told.strip("…")))
        fixes = list(dict.fromkeys(_cell(one.fix) for one in places if one.fix.strip("…")))
        files = list(dict.fromkeys(f"`{one.file}`" for one in places))
        lines.append(f"| `{code}` | {'; '.join(told)} | {'; '.join(fixes)} | {', '.join(files)} |")
    lines += ["", "## How a runner ends", "", "| code | the run becomes | what helps |", "|---|---|---|"]
    lines += [
        f"| `{code}` | {becomes.value} | {_cell(END_FIXES.get(code, ''))} |"
        for code, becomes in END_CODES.items()
    ]
    return "\n".join(lines) + "\n"


def risk_page() -> str:
    """docs/risk.md."""
    lines = [
        "# Risk rules",
        "",
        "Every section of `risk.toml`, from the text of the settings themselves. A limit passes at equality, a trigger",
        "trips at it. What only reduces a position is stopped by HALTED and KILLED alone. Made by",
        "`python docs/generate.py`; do not edit.",
    ]
    for name in Controls.__struct_fields__:
        section = getattr(Controls(), name)
        about = " ".join((type(section).__doc__ or "").split())
        title = f"## {name}" + (" (lock rule)" if name in (*LOCK_RULES, "MarketHours") else "")
        lines += [
            "",
            title,
            "",
            *textwrap.wrap(about, 110),
            "",
            "| setting | default | from | to |",
            "|---|---|---|---|",
        ]
        for key in type(section).__struct_fields__:
            low, high = BOUNDS.get(name, {}).get(key, ("", ""))
            value = getattr(section, key)
            told = ", ".join(map(str, value)) if isinstance(value, tuple) else str(value)
            lines.append(f"| `{key}` | {told or 'none'} | {low} | {high} |")
    lines += ["", *HALTS.strip().splitlines()]
    return "\n".join(lines) + "\n"


HALTS = """
## Halts

A halt binds a run, an account or all; the strictest counts. It survives restarts and never ends by itself.

| | ACTIVE | REDUCING | HALTED | KILLED |
|---|---|---|---|---|
| entries | yes | no | no | no |
| exits of the strategy, the guard and brackets | yes | yes | no | no |
| working entries / exits | work | cancelled / work | cancelled | cancelled |
| the guard trips | exit | exit | alert, and a plan for a person | alert |
| bars are fed and recorded | yes | yes | yes | no, the runner is dead |

Anyone may tighten (`inalpha halt [--run R|--account A|--all] [--reducing|--kill] --reason TEXT`); only a person's
signature resumes (`inalpha resume SCOPE [--reducing] --reason TEXT`).
"""

PAGES = {"docs/errors.md": errors_page, "docs/risk.md": risk_page}

if __name__ == "__main__":
    for name, page in PAGES.items():
        (ROOT / name).write_text(page(), encoding="utf-8")
        sys.stdout.write(f"{name}\n")
