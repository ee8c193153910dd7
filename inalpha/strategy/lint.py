"""Early advice on a strategy file by reading it. Executes nothing and secures nothing: the sandbox does.

Errors would fail in the sandbox or at the gate; warnings are the usual ways to lose money by accident.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass

from inalpha.strategy.lint_ahead import reads_ahead
from inalpha.strategy.lint_guards import dotted, guards
from inalpha.strategy.lint_hidden import encoding_defect, hidden_places
from inalpha.strategy.lint_names import (
    ALLOWED_MODULES,
    BANNED_CALLS,
    BANNED_MODULES,
    CLOCK_CALLS,
    LOOKBACK_PER_WINDOW,
    RECURSIVE_TA,
)

ERROR = "error"
WARNING = "warning"

_ORDERS = frozenset({"buy", "sell", "close", "target"})
_CALLBACKS = {"on_start": 1, "on_bar": 2, "on_order_event": 2, "on_stop": 1}


@dataclass(frozen=True, slots=True, order=True)
class Finding:
    """line and col are 1-based; fix says what to write instead."""

    line: int
    col: int
    level: str
    code: str
    message: str
    fix: str = ""


def lint(source: str | bytes) -> list[Finding]:
    """Everything found, by line. An unparsable file has one finding."""
    if isinstance(source, bytes) and (defect := encoding_defect(source)):
        return [Finding(1, 1, ERROR, "ENCODING", defect, "Save it as UTF-8 and declare no other encoding.")]
    text = source.decode("utf-8-sig") if isinstance(source, bytes) else source
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        line = getattr(error, "lineno", None) or 1
        col = getattr(error, "offset", None) or 1
        why = getattr(error, "msg", None) or str(error) or "nested too deeply to be parsed"
        return [Finding(line, col, ERROR, "SYNTAX", why, "Mend that line; nothing behind it was read.")]
    ahead = [_finding(node, WARNING, code, text, fix) for node, code, text, fix in reads_ahead(tree)]
    hidden = [Finding(line, col, WARNING, *told) for line, col, *told in hidden_places(text)]
    found = [*_imports(tree), *_calls(tree), *_set_order(tree), *ahead, *_class(tree), *hidden]
    return sorted(set(found))


def _finding(node: ast.AST, level: str, code: str, message: str, fix: str = "") -> Finding:
    line, col = getattr(node, "lineno", 1), getattr(node, "col_offset", 0)
    return Finding(line, col + 1, level, code, message, fix)


def _imports(tree: ast.Module) -> Iterator[Finding]:
    for node in ast.walk(tree):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [node.module or ""] if not node.level else ["."]
        for name in names:
            top = name.split(".")[0]
            if top in BANNED_MODULES or not top:
                text = f"{name} does not work in the sandbox: no files, network or processes there"
                yield _finding(node, WARNING, "BANNED_IMPORT", text, BANNED_MODULES.get(top, ""))
            elif top not in ALLOWED_MODULES:
                text = f"{name} is not known to be loaded in the sandbox"
                fix = "Use the pure standard library, numpy, pandas, ta and inalpha."
                yield _finding(node, WARNING, "UNKNOWN_IMPORT", text, fix)


def _calls(tree: ast.Module) -> Iterator[Finding]:
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        name = dotted(node.func)
        if name in BANNED_CALLS:
            yield _finding(node, WARNING, "BANNED_CALL", f"{name}() does not work here", BANNED_CALLS[name])
        elif name in CLOCK_CALLS or (name.endswith((".now", ".utcnow", ".today")) and "clock" not in name):
            text = f"{name}() reads the wall clock: replay and backtest would differ"
            yield _finding(node, WARNING, "WALL_CLOCK", text, "Use self.clock.now().")
        elif name.startswith("random.") and name != "random.Random":
            text = f"{name}() is not seeded"
            yield _finding(node, WARNING, "UNSEEDED_RANDOM", text, "Use self.random, seeded per run.")
        elif name.startswith(("np.random.", "numpy.random.")):
            text = f"{name}() is not seeded"
            yield _finding(node, WARNING, "UNSEEDED_RANDOM", text, "Use self.rng, seeded per run.")
        elif name == "print":
            yield _finding(node, WARNING, "PRINT", "print() is cut and dropped", "Use self.log(text).")
        elif name == "self.ta":
            yield from _lookback(node)


def _set_order(tree: ast.Module) -> Iterator[Finding]:
    """A set's order changes with the hash seed, and with it whatever is done in that order."""
    for node in ast.walk(tree):
        walked: ast.expr | None = None
        if isinstance(node, ast.For | ast.comprehension):
            walked = node.iter
        elif isinstance(node, ast.Call) and node.args:
            joins = isinstance(node.func, ast.Attribute) and node.func.attr == "join"
            if joins or dotted(node.func) in ("list", "tuple", "enumerate", "iter"):
                walked = node.args[0]
        is_set = isinstance(walked, ast.Set | ast.SetComp) or (
            isinstance(walked, ast.Call) and dotted(walked.func) in ("set", "frozenset")
        )
        if walked is not None and is_set:
            yield _finding(walked, WARNING, "SET_ORDER", "the order of a set is chance", "Use sorted(...).")


def _lookback(node: ast.Call) -> Iterator[Finding]:
    """A recursive function over too short a window depends on where the window begins."""
    function = dotted(node.args[0]).rsplit(".", 1)[-1] if node.args else ""
    numbers = {
        keyword.arg: keyword.value.value
        for keyword in node.keywords
        if isinstance(keyword.value, ast.Constant) and isinstance(keyword.value.value, int)
    }
    if not any(keyword.arg == "lookback" for keyword in node.keywords):
        yield _finding(
            node, ERROR, "NO_LOOKBACK", "self.ta needs lookback=N", "State how many bars it reads."
        )
    lookback = numbers.get("lookback")
    windows = [value for name, value in numbers.items() if name and "window" in name]
    if lookback and windows and function in RECURSIVE_TA and lookback < LOOKBACK_PER_WINDOW * max(windows):
        wanted = LOOKBACK_PER_WINDOW * max(windows)
        text = f"{function} is recursive: its value over {lookback} bars depends on where they begin"
        yield _finding(node, WARNING, "SHORT_LOOKBACK", text, f"Use lookback={wanted} or more.")


def _class(tree: ast.Module) -> Iterator[Finding]:
    classes = [node for node in ast.walk(tree) if isinstance(node, ast.ClassDef)]
    found = [cls for cls in classes if any(dotted(b).split(".")[-1] == "Strategy" for b in cls.bases)]
    if len(found) != 1:
        names = ", ".join(cls.name for cls in found) or "none"
        node: ast.AST = found[1] if len(found) > 1 else ast.Pass(lineno=1, col_offset=0)
        text = f"want one Strategy subclass, found {names}"
        yield _finding(node, ERROR, "ONE_STRATEGY", text, "class Mine(Strategy): ...")
        return
    cls = found[0]
    methods = {n.name: n for n in cls.body if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef)}
    if "on_bar" not in methods:
        yield _finding(cls, ERROR, "NO_ON_BAR", f"{cls.name} has no on_bar", "def on_bar(self, bar): ...")
    for name, method in methods.items():
        yield from _method(name, method)
    yield from _attributes(cls)
    yield from _shares(cls)
    if "on_bar" in methods:
        for node, code, text, fix in guards(list(methods.values())):
            yield _finding(node, WARNING, code, text, fix)


def _method(name: str, method: ast.FunctionDef | ast.AsyncFunctionDef) -> Iterator[Finding]:
    if name == "__init__":
        text = "__init__ runs before the strategy knows its run"
        yield _finding(method, WARNING, "TRAP_INIT", text, "Move its body to on_start.")
    if name in _CALLBACKS:
        is_generator = any(isinstance(node, ast.Yield | ast.YieldFrom) for node in ast.walk(method))
        if isinstance(method, ast.AsyncFunctionDef) or is_generator:
            text = f"{name} must be neither async nor a generator"
            yield _finding(method, ERROR, "BAD_CALLBACK", text, f"def {name}(...)")
        arguments = method.args
        count = len(arguments.posonlyargs) + len(arguments.args)
        required = count - len(arguments.defaults)
        wanted = _CALLBACKS[name]
        if not (required <= wanted <= count) and arguments.vararg is None:
            text = f"{name} takes self" + (" and one argument" if wanted > 1 else " alone")
            named = "bar" if name == "on_bar" else "event"
            form = f"def {name}(self{f', {named}' if wanted > 1 else ''}): ..."
            yield _finding(method, ERROR, "BAD_CALLBACK", text, form)
    for node in ast.walk(method):
        called = dotted(node.func) if isinstance(node, ast.Call) else ""
        action = called.removeprefix("self.") if called.startswith("self.") else ""
        if name == "on_start" and action in _ORDERS:
            text = f"{called}() in on_start: there is no bar yet (NO_BAR)"
            yield _finding(node, WARNING, "TRAP_NO_BAR", text, "Order in on_bar.")
        if name == "on_stop" and action in _ORDERS:
            text = f"{called}() in on_stop is ignored"
            yield _finding(node, WARNING, "TRAP_ON_STOP", text, "Order in on_bar.")
        if name in ("on_bar", "on_order_event") and action in ("indicator", "ta"):
            text = f"{called}() on every bar starts a new indicator each time"
            yield _finding(node, WARNING, "TRAP_INDICATOR", text, "Declare it once, in on_start.")


def _shares(cls: ast.ClassDef) -> Iterator[Finding]:
    """quantity(percent=0.05) where 5 % was meant: the order is a hundredth of it, or none at all."""
    defaults = {
        f"self.{node.target.id}": node.value
        for node in cls.body
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name)
    }
    for node in ast.walk(cls):
        if not isinstance(node, ast.Call) or dotted(node.func) != "self.quantity":
            continue
        for keyword in node.keywords:
            given = defaults.get(dotted(keyword.value), keyword.value)
            share = given.value if isinstance(given, ast.Constant) else None
            if keyword.arg == "percent" and isinstance(share, float) and 0 < share < 1:
                text = f"percent={share:g} is {share:g} % of equity"
                fix = f"Write {share * 100:g} for {share * 100:g} %; leave it if less than one percent is meant."
                yield _finding(node, WARNING, "TRAP_PERCENT", text, fix)


def _attributes(cls: ast.ClassDef) -> Iterator[Finding]:
    for node in cls.body:
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant):
            name = dotted(node.targets[0])
            if not name.startswith("_"):
                text = f"{name} is no parameter without an annotation"
                yield _finding(node, WARNING, "NOT_A_PARAMETER", text, f"{name}: type = value")
        if isinstance(node, ast.Assign | ast.AnnAssign) and isinstance(
            node.value, ast.List | ast.Dict | ast.Set
        ):
            text = "a mutable class attribute is shared by everything that reads it"
            yield _finding(node, WARNING, "MUTABLE_ATTRIBUTE", text, "Create it in on_start.")
