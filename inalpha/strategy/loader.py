"""From a strategy file's bytes to its class. Executes it: only in a locked-down runner."""

from __future__ import annotations

import inspect
import sys
from types import ModuleType

from inalpha.strategy.base import Strategy
from inalpha.strategy.driver import describe_error
from inalpha.strategy.params import read_params

MAX_SOURCE_BYTES = 32 * 1024
_CALLBACK_ARGUMENTS = {"on_start": 1, "on_bar": 2, "on_order_event": 2, "on_stop": 1}

__all__ = ["StrategyLoadError", "load_strategy", "read_params"]


class StrategyLoadError(Exception):
    """Why the file is no strategy: type, text and line of the file (0 where none is known)."""

    def __init__(self, type: str, text: str, line: int = 0) -> None:
        super().__init__(f"{type}: {text} (line {line})")
        self.type = type
        self.text = text
        self.line = line


def load_strategy(source: bytes, name: str = "strategy") -> type[Strategy]:
    """Compile, execute and find the file's one Strategy subclass. Raises StrategyLoadError."""
    if len(source) > MAX_SOURCE_BYTES:
        raise StrategyLoadError("TooLarge", f"{len(source)} bytes, at most {MAX_SOURCE_BYTES}")
    module = ModuleType(name)
    # dataclasses and pickling look a class's module up by name; the file is its own module.
    sys.modules[name] = module
    try:
        # As text: bytes would be read by whatever encoding their first lines declare, and the person who
        # promoted them read UTF-8.
        code = compile(source.decode("utf-8-sig"), name, "exec", dont_inherit=True)
        exec(code, module.__dict__)  # noqa: S102 - the purpose of this module
    except (Exception, SystemExit) as error:
        raise _load_error(error, name) from error
    return _only_strategy(module, name)


def _load_error(error: BaseException, name: str) -> StrategyLoadError:
    told = describe_error(error, name)
    kind, _, rest = told.partition(": ")
    text, _, line = rest.rpartition(" (line ")
    return StrategyLoadError(kind, text, int(line.rstrip(")")))


def _only_strategy(module: ModuleType, name: str) -> type[Strategy]:
    found = [
        value
        for value in module.__dict__.values()
        if isinstance(value, type) and issubclass(value, Strategy) and value.__module__ == name
    ]
    classes = list(dict.fromkeys(found))
    if len(classes) != 1:
        names = ", ".join(cls.__name__ for cls in classes) or "none"
        raise StrategyLoadError("OneStrategy", f"want one Strategy subclass, found {names}")
    cls = classes[0]
    if cls.on_bar is Strategy.on_bar:
        raise StrategyLoadError("NoOnBar", f"{cls.__name__} needs on_bar(self, bar)", _line(cls))
    for callback, arguments in _CALLBACK_ARGUMENTS.items():
        _check_callback(cls, callback, arguments)
    return cls


def _check_callback(cls: type[Strategy], name: str, arguments: int) -> None:
    function = inspect.getattr_static(cls, name)
    if not inspect.isfunction(function):
        raise StrategyLoadError("BadCallback", f"{name} must be a plain method", _line(cls))
    line = function.__code__.co_firstlineno
    if inspect.iscoroutinefunction(function) or inspect.isgeneratorfunction(function):
        raise StrategyLoadError("BadCallback", f"{name} must be neither async nor a generator", line)
    if inspect.isasyncgenfunction(function):
        raise StrategyLoadError("BadCallback", f"{name} must be neither async nor a generator", line)
    try:
        inspect.signature(function).bind(*[None] * arguments)
    except TypeError:
        wanted = "self" if arguments == 1 else "self and one argument"
        raise StrategyLoadError("BadCallback", f"{name} takes {wanted}", line) from None


def _line(cls: type) -> int:
    for value in vars(cls).values():
        if inspect.isfunction(value):
            return value.__code__.co_firstlineno
    return 0
