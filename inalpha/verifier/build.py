"""Makes verify.py, the one file that auditors take: `python -m inalpha.verifier.build FILE`.

The modules follow each other with their comments as they are; imports are gathered at the top, so the same
modules give the same bytes under every Python. embedded.py alone is replaced, by what it reads.
"""

from __future__ import annotations

import ast
import sys
from functools import cache
from pathlib import Path

from inalpha.verifier.embedded import specification_text

PACKAGE = "inalpha.verifier"
# Each module stands behind those that it imports.
ORDER = (
    "checks", "canonical", "embedded", "forms", "amounts", "notes", "checkpoints", "tree", "line", "gates", "keyring",
    "state", "books", "authority", "runs", "plans", "fills", "acts", "rulefiles", "archive", "judge", "brackets",
    "export", "bundle", "report", "command",
)  # fmt: skip
HEAD = '''#!/usr/bin/env python3

"""Checks an exported Inalpha ledger, or the proof of one fill, without Inalpha.

    verify.py EXPORT --genesis HEX [--policy FILE] [--since CHECKPOINT] [--require-anchor] [--json]
    verify.py BUNDLE --prove --genesis HEX

Needs Python 3.11 and pynacl. It reads the bytes that were signed and computes everything else anew: this
file shares no code with the program that wrote the log, only the format. Take it from a release, not from
the export that you want to check; --version prints its SHA-256.

Exit 0: every check holds. 6: one does not; the lowest bad line is named. 2: it was called wrongly.
What it cannot do: execute the strategies again (I20), which needs the journal in the ledger's home and a
sandbox ('inalpha audit verify').

Built from modules, whose names head the sections.
"""

from __future__ import annotations

'''
EMBEDDED = '''
# The closed list of lines as the specification states it, byte for byte.
SPECIFICATION: dict[str, Any] = json.loads(r"""
{text}
""")


def own_source() -> bytes:
    """This file."""
    return Path(__file__).read_bytes()
'''
TAIL = """

if __name__ == "__main__":
    sys.exit(main())
"""


class Unbuildable(Exception):
    """A module that cannot stand in one file with the others."""


@cache
def build() -> bytes:
    """verify.py."""
    plain: set[str] = {"import sys", "import json"}
    named: dict[str, set[str]] = {"pathlib": {"Path"}, "typing": {"Any"}}
    seen: dict[str, str] = {}
    sections = []
    for name in ORDER:
        if name == "embedded":
            text = _embedded()
        else:
            source = Path(__file__).with_name(f"{name}.py").read_text("utf-8")
            text = _section(name, source, plain, named, seen)
        sections.append(f"\n\n# --- {name} {'-' * (100 - len(name))}\n{text}")
    return (HEAD + _imports(plain, named) + "".join(sections) + TAIL).encode("utf-8")


def _embedded() -> str:
    text = specification_text().strip()
    if '"""' in text:
        raise Unbuildable("the specification does not fit into a raw text")
    return EMBEDDED.replace("{text}", text)


def _section(
    name: str, source: str, plain: set[str], named: dict[str, set[str]], seen: dict[str, str]
) -> str:
    """A module without its imports, which go into plain and named; its docstring becomes a comment."""
    tree = ast.parse(source)
    doc = tree.body[0]
    gone = set(range(doc.lineno, (doc.end_lineno or 0) + 1))
    for node in tree.body:
        for word in _defined(node):
            if seen.setdefault(word, name) != name:
                raise Unbuildable(f"{word} is defined in {seen[word]} and in {name}")
        if not isinstance(node, ast.Import | ast.ImportFrom):
            continue
        gone |= set(range(node.lineno, (node.end_lineno or 0) + 1))
        if any(alias.asname for alias in node.names):
            raise Unbuildable(f"{name} imports under another name")
        if isinstance(node, ast.Import):
            plain |= {f"import {alias.name}" for alias in node.names}
        elif str(node.module).split(".")[0] == PACKAGE.split(".", maxsplit=1)[0]:
            _check_order(name, str(node.module).removeprefix(f"{PACKAGE}."))
        elif node.module != "__future__":
            named.setdefault(str(node.module), set()).update(alias.name for alias in node.names)
    comment = "".join(f"# {line}".rstrip() + "\n" for line in (ast.get_docstring(tree) or "").split("\n"))
    kept = [line for number, line in enumerate(source.split("\n"), 1) if number not in gone]
    return comment + "\n" + "\n".join(kept).strip("\n") + "\n"


def _check_order(name: str, needed: str) -> None:
    if needed not in ORDER[: ORDER.index(name)]:
        raise Unbuildable(f"{name} imports {needed}, which does not stand before it")


def _defined(node: ast.stmt) -> list[str]:
    """The names that a module's statement defines for all."""
    if isinstance(node, ast.FunctionDef | ast.ClassDef):
        return [node.name]
    targets = node.targets if isinstance(node, ast.Assign) else []
    targets = [node.target] if isinstance(node, ast.AnnAssign) else targets
    return [word.id for target in targets for word in ast.walk(target) if isinstance(word, ast.Name)]


def _imports(plain: set[str], named: dict[str, set[str]]) -> str:
    """The standard library's first, then pynacl."""
    lines = sorted(plain) + [f"from {m} import {', '.join(sorted(w))}" for m, w in sorted(named.items())]
    ours = [line for line in lines if line.split()[1].startswith("nacl")]
    return "\n".join([*(line for line in lines if line not in ours), "", *ours]) + "\n"


if __name__ == "__main__":
    Path(sys.argv[1]).write_bytes(build())
