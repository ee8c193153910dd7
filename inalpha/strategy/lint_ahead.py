"""Idioms of pandas that read later bars: harmless on closed bars here, look-ahead in a chart or another engine."""

from __future__ import annotations

import ast
from collections.abc import Iterator

# Method -> position of the argument that says how far; negative is forward.
_SHIFTS = {"shift": 0, "diff": 0, "pct_change": 0}
_BACKFILLS = frozenset({"bfill", "backfill"})
_POSITIONS = frozenset({"iloc", "iat", "values"})

Found = tuple[ast.AST, str, str, str]


def reads_ahead(tree: ast.AST) -> Iterator[Found]:
    """(node, code, message, fix) for every idiom found."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            yield from _call(node)
        elif isinstance(node, ast.Subscript):
            yield from _position(node)


def _call(node: ast.Call) -> Iterator[Found]:
    keywords = {keyword.arg: keyword.value for keyword in node.keywords}
    centre = keywords.get("center")
    if isinstance(centre, ast.Constant) and centre.value is True:
        text = "center=True puts the window half into later bars"
        yield node, "CENTRED_WINDOW", text, "Leave it out: the window then ends at the current bar."
    if not isinstance(node.func, ast.Attribute):
        return
    name = node.func.attr
    if name in _SHIFTS:
        far = keywords.get("periods") or (node.args[_SHIFTS[name]] if node.args else None)
        if _is_negative(far):
            yield (
                node,
                "SHIFT_AHEAD",
                f"{name} by a negative number reads later bars",
                "Use a positive number.",
            )
    if name in _BACKFILLS or _is_backfill(name, node.args, keywords):
        text = "filling backwards copies later values into earlier bars"
        yield node, "BACKFILL", text, "Use ffill(), or leave the gap."


def _is_backfill(name: str, arguments: list[ast.expr], keywords: dict[str | None, ast.expr]) -> bool:
    method = keywords.get("method") or (arguments[0] if arguments and name == "reindex" else None)
    return (
        name in ("fillna", "reindex", "asfreq")
        and isinstance(method, ast.Constant)
        and method.value in _BACKFILLS
    )


def _is_negative(node: ast.AST | None) -> bool:
    return isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub)


def _position(node: ast.Subscript) -> Iterator[Found]:
    """`closes.iloc[i + 1]`: the bar after the one that is looked at."""
    value, index = node.value, node.slice
    if not (isinstance(value, ast.Attribute) and value.attr in _POSITIONS):
        return
    if (
        isinstance(index, ast.BinOp)
        and isinstance(index.op, ast.Add)
        and isinstance(index.left, ast.Name)
        and isinstance(index.right, ast.Constant)
    ):
        text = f"{value.attr}[{ast.unparse(index)}] reads a later bar than {index.left.id}"
        yield node, "INDEX_AHEAD", text, "Decide on a bar with what was known at its close."
