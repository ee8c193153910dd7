"""What stands between a bar and an order: the tests on the way to a call, and the two usual mistakes in them.

TRAP_EVERY_BAR: nothing keeps an order from being placed on each bar. TRAP_LEGS: a test of all orders keeps a
bracketed position from leaving, since the bracket's own legs are orders that work.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable, Iterator, Sequence

Method = ast.FunctionDef | ast.AsyncFunctionDef
Condition = tuple[ast.expr, bool]  # a test, and whether it came out true on the way to the call
Atom = Callable[[ast.expr, bool], bool]
Found = tuple[ast.AST, str, str, str]

_BRACKET = frozenset({"stop_loss", "take_profit"})
_OTHER = {"buy": "sell", "sell": "buy"}
_EMPTY = {
    (ast.Eq, "0"),
    (ast.LtE, "0"),
    (ast.Lt, "1"),
    (ast.Eq, "[]"),
}  # `len(self.orders) == 0` and the like
_FILLED = {(ast.NotEq, "0"), (ast.Gt, "0"), (ast.GtE, "1"), (ast.NotEq, "[]")}
_CLOCKS = ("self.clock.", "bar.sequence", "bar.open_time", "bar.close_time")


def dotted(node: ast.AST) -> str:
    """`a.b.c` of a name or attribute chain, "" for anything else."""
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    if not isinstance(node, ast.Name):
        return ""
    parts.append(node.id)
    return ".".join(reversed(parts))


def guards(methods: Sequence[Method]) -> list[Found]:
    """(node, code, message, fix) for the methods of one strategy.

    The daemon reads files of strangers with it: each test is read once, and what nests too deeply is left alone.
    """
    try:
        return [*_every_bar(methods), *_legs(methods)]
    except RecursionError:
        return []


def _every_bar(methods: Sequence[Method]) -> Iterator[Found]:
    """Trap 3: an entry that looks neither at the position, its orders nor at which bar it is."""
    read = {
        dotted(node) for method in methods for node in ast.walk(method) if isinstance(node, ast.Attribute)
    }
    if any(name.startswith(("self.position", "self.orders")) for name in read):
        return
    rare = _once_in_a_while(methods)
    for method in methods:
        if method.name != "on_bar":
            continue
        tests = _Tests(method, rare)
        for call, conditions in _calls(method.body):
            if dotted(call.func) not in ("self.buy", "self.sell"):
                continue
            if not any(tests.imply(test, truth) for test, truth in conditions):
                text = "an order on every bar: neither self.position nor self.orders is read"
                fix = "Test self.position and self.orders.entries first."
                yield call, "TRAP_EVERY_BAR", text, fix


def _once_in_a_while(methods: Sequence[Method]) -> Atom:
    """Whether a test comes out so on some bars only: a counter at a value, a date, a flag that was set."""
    marks = _counters(methods) | _latches(methods)

    def counts(node: ast.AST) -> bool:
        names = (dotted(part) for part in ast.walk(node))
        return any(name in marks or name.startswith(_CLOCKS) for name in names if name)

    def rare(test: ast.expr, truth: bool) -> bool:
        if isinstance(test, ast.Compare) and len(test.ops) == 1:
            picks = (ast.Eq, ast.In, ast.Is) if truth else (ast.NotEq, ast.NotIn, ast.IsNot)
            return isinstance(test.ops[0], picks) and counts(test)
        if isinstance(test, ast.BinOp) and isinstance(test.op, ast.Mod):
            return not truth and counts(test)  # `if not self.n % 20`
        return dotted(test) in marks

    return rare


def _assignments(methods: Iterable[Method]) -> Iterator[tuple[str, ast.expr, bool]]:
    """Every `self.x = value` outside on_start: name, value, and whether the value builds on the old one."""
    for method in methods:
        if method.name in ("on_start", "__init__"):
            continue
        for node in ast.walk(method):
            if isinstance(node, ast.AugAssign):
                yield dotted(node.target), node.value, True
            elif isinstance(node, ast.Assign):
                read = {dotted(part) for part in ast.walk(node.value)}
                for target in node.targets:
                    yield dotted(target), node.value, dotted(target) in read


def _counters(methods: Sequence[Method]) -> set[str]:
    return {n for n, _, builds in _assignments(methods) if builds and n.startswith("self.")}


def _latches(methods: Sequence[Method]) -> set[str]:
    """Attributes that are only ever set to constants, such as self.bought = True."""
    found = list(_assignments(methods))
    varying = {name for name, value, _ in found if not isinstance(value, ast.Constant)}
    return {name for name, _, _ in found if name.startswith("self.")} - varying


def _legs(methods: Sequence[Method]) -> Iterator[Found]:
    """A test for no orders at all in front of an exit, in a file that places brackets."""
    bracketed = {
        dotted(node.func).removeprefix("self.")
        for method in methods
        for node in ast.walk(method)
        if isinstance(node, ast.Call) and _has_bracket(node)
    } & set(_OTHER)
    if not bracketed:
        return
    leaving = _leaving(methods, bracketed)
    told: set[ast.expr] = set()  # one guard may hold back several exits
    for method in methods:
        tests = _Tests(method, _no_orders)
        for call, conditions in _calls(method.body):
            if not leaving(call):
                continue
            for test, truth in conditions:
                if test not in told and tests.imply(test, truth):
                    told.add(test)
                    text = (
                        f"the exit on line {call.lineno} waits for self.orders to be empty, and the stop loss or"
                        " take profit of an open position is an order: it never exits by its rule."
                    )
                    yield test, "TRAP_LEGS", text, "Test self.orders.entries instead of self.orders."


def _has_bracket(call: ast.Call) -> bool:
    return any(
        keyword.arg in _BRACKET
        and not (isinstance(keyword.value, ast.Constant) and keyword.value.value is None)
        for keyword in call.keywords
    )


def _leaving(methods: Sequence[Method], bracketed: set[str]) -> Callable[[ast.Call], bool]:
    """Whether a call can close a bracketed position, itself or by one of the strategy's own methods."""
    sides = {_OTHER[side] for side in bracketed}

    def leaves(call: ast.Call) -> bool:
        name = dotted(call.func).removeprefix("self.")
        reduces = any(keyword.arg == "reduce_only" for keyword in call.keywords)
        return name in ("close", "target") or (
            name in _OTHER and not _has_bracket(call) and (name in sides or reduces)
        )

    own = {
        f"self.{method.name}"
        for method in methods
        if any(isinstance(node, ast.Call) and leaves(node) for node in ast.walk(method))
    }
    return lambda call: dotted(call.func) in own or (dotted(call.func).startswith("self.") and leaves(call))


def _no_orders(test: ast.expr, truth: bool) -> bool:
    """Whether this outcome of a test means that self.orders is empty."""
    if isinstance(test, ast.Compare) and len(test.ops) == 1:
        compared = (type(test.ops[0]), ast.unparse(test.comparators[0]))
        return _is_orders(test.left) and compared in (_EMPTY if truth else _FILLED)
    return _is_orders(test) and not truth


def _is_orders(node: ast.expr) -> bool:
    if isinstance(node, ast.Call) and dotted(node.func) in ("len", "bool", "list", "any") and node.args:
        return _is_orders(node.args[0])
    return dotted(node) == "self.orders"


# The way to a call.


def _named(method: Method) -> dict[str, ast.expr]:
    """What each local name stands for, as far as it is assigned once."""
    found: dict[str, list[ast.expr]] = {}
    for node in ast.walk(method):
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            found.setdefault(node.targets[0].id, []).append(node.value)
    return {name: values[0] for name, values in found.items() if len(values) == 1}


class _Tests:
    """The tests of one method: what their outcomes imply, by an atom that knows the smallest of them."""

    def __init__(self, method: Method, atom: Atom) -> None:
        self._names = _named(method)
        self._atom = atom
        self._known: dict[tuple[ast.expr, bool], bool] = {}

    def imply(self, test: ast.expr, truth: bool) -> bool:
        """Whether test having come out as truth means that one of its parts satisfies the atom."""
        key = (test, truth)
        if key not in self._known:
            self._known[key] = False  # a name that stands for itself implies nothing
            self._known[key] = self._read(test, truth)
        return self._known[key]

    def _read(self, test: ast.expr, truth: bool) -> bool:
        if isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not):
            return self.imply(test.operand, not truth)
        if isinstance(test, ast.BoolOp):
            parts = (self.imply(value, truth) for value in test.values)
            return any(parts) if isinstance(test.op, ast.And) == truth else all(parts)
        if isinstance(test, ast.Name) and test.id in self._names:
            return self.imply(self._names[test.id], truth)
        if isinstance(test, ast.Compare) and isinstance(test.left, ast.Name) and test.left.id in self._names:
            test = ast.Compare(self._names[test.left.id], test.ops, test.comparators)
        return self._atom(test, truth)


def _calls(
    body: Sequence[ast.stmt], held: tuple[Condition, ...] = ()
) -> Iterator[tuple[ast.Call, tuple[Condition, ...]]]:
    """Every call of a block with the tests that lead to it; an early return is a test for what follows."""
    for statement in body:
        if isinstance(statement, ast.If | ast.While):
            test = statement.test
            yield from _within(test, held)
            yield from _calls(statement.body, (*held, (test, True)))
            yield from _calls(statement.orelse, (*held, (test, False)))
            if isinstance(statement, ast.If) and _ends(statement.body):
                held = (*held, (test, False))
            elif isinstance(statement, ast.If) and _ends(statement.orelse):
                held = (*held, (test, True))
        elif isinstance(statement, ast.Match):
            for case in statement.cases:
                picked = isinstance(case.pattern, ast.MatchValue | ast.MatchOr)
                test = ast.Compare(statement.subject, [ast.Eq()], [statement.subject])
                yield from _calls(case.body, (*held, (test, True)) if picked else held)
        else:
            blocks = [part for part in ast.iter_child_nodes(statement) if isinstance(part, ast.stmt)]
            handlers = [
                part for part in ast.iter_child_nodes(statement) if isinstance(part, ast.ExceptHandler)
            ]
            for handler in handlers:
                blocks += handler.body
            yield from _calls(blocks, held)
            for part in ast.iter_child_nodes(statement):
                if isinstance(part, ast.expr):
                    yield from _within(part, held)


def _within(node: ast.AST, held: tuple[Condition, ...]) -> Iterator[tuple[ast.Call, tuple[Condition, ...]]]:
    """The calls of an expression, behind `and`, `or` and conditional expressions."""
    if isinstance(node, ast.IfExp):
        yield from _within(node.test, held)
        yield from _within(node.body, (*held, (node.test, True)))
        yield from _within(node.orelse, (*held, (node.test, False)))
        return
    if isinstance(node, ast.BoolOp):
        for value in node.values:
            yield from _within(value, held)
            held = (*held, (value, isinstance(node.op, ast.And)))
        return
    if isinstance(node, ast.Call):
        yield node, held
    for part in ast.iter_child_nodes(node):
        yield from _within(part, held)


def _ends(body: Sequence[ast.stmt]) -> bool:
    """Whether nothing behind this block is reached through it."""
    if not body:
        return False
    last = body[-1]
    if isinstance(last, ast.If):
        return _ends(last.body) and _ends(last.orelse)
    return isinstance(last, ast.Return | ast.Raise | ast.Continue | ast.Break)
