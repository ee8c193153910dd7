"""The kernel reads no clock, draws no chance, walks no set, and pulls in nothing heavy."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import inalpha.kernel

FILES = sorted(Path(inalpha.kernel.__file__).parent.glob("*.py"))
FORBIDDEN_MODULES = {"time", "random", "secrets", "uuid", "os", "asyncio", "threading", "socket", "pathlib"}
FORBIDDEN_CALLS = {
    "now",
    "utcnow",
    "today",
    "time",
    "time_ns",
    "monotonic",
    "perf_counter",
    "urandom",
    "open",
}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_kernel_file_is_deterministic(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        where = f"{path.name}:{getattr(node, 'lineno', 0)}"
        if isinstance(node, ast.Import):
            assert not {alias.name.split(".")[0] for alias in node.names} & FORBIDDEN_MODULES, where
        if isinstance(node, ast.ImportFrom):
            module = node.module or ""
            assert module.split(".")[0] not in FORBIDDEN_MODULES, where
            if module.startswith("inalpha"):
                assert module.startswith(("inalpha.model", "inalpha.kernel")), f"{where} imports {module}"
        if isinstance(node, ast.Call):
            name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            assert name not in FORBIDDEN_CALLS, f"{where} calls {name}"
        if isinstance(node, ast.For | ast.comprehension):
            assert not isinstance(node.iter, ast.Set | ast.SetComp), where
            is_set = isinstance(node.iter, ast.Call) and getattr(node.iter.func, "id", "") in (
                "set",
                "frozenset",
            )
            assert not is_set, f"{where} iterates over a set"


def test_importing_the_kernel_loads_nothing_heavy() -> None:
    """In a fresh interpreter: the static graph cannot see what an import drags along."""
    code = (
        "import inalpha.kernel.kernel, inalpha.strategy.driver, inalpha.research.backtest, sys;"
        "print([m for m in ('pandas', 'numpy', 'ta', 'asyncio', 'textual') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
