"""A run rebuilt from its journal: recovery, audit, replay and parity are all this one function.

Without a runner the recorded replies are used and every output of the kernel is compared; with one, every
reply is asked again and compared too. The first difference is named, nothing is repaired.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any, Protocol

from inalpha.kernel.gateway import Gateway, gateway_for
from inalpha.kernel.guard import Guard
from inalpha.kernel.journal import bar_from_members, command_from, context_from, reply_from
from inalpha.kernel.kernel import Kernel, Runner
from inalpha.kernel.records import JournalEntry
from inalpha.kernel.spec import RunSpec
from inalpha.model.errors import IntegrityError
from inalpha.model.risk import AccountContext, RiskCheck
from inalpha.model.step import StepReply, StepRequest


class Divergence(IntegrityError):
    """Equal inputs gave another output. step: the journal entry's number."""

    def __init__(self, step: int, kind: str, field: str, recorded: str, recomputed: str) -> None:
        super().__init__(
            "REPLAY_DIVERGED",
            f"entry {step} ({kind}) differs in {field}: "
            f"recorded {recorded[:200]}, recomputed {recomputed[:200]}.",
            "The code, its wheels or the journal changed; nothing was repaired.",
            detail={
                "step": step,
                "kind": kind,
                "field": field,
                "recorded": recorded,
                "recomputed": recomputed,
            },
        )
        self.step = step
        self.kind = kind
        self.field = field
        self.recorded = recorded
        self.recomputed = recomputed


class Words(Protocol):
    """What stands in the journal in the place of a strategy's words."""

    def told(self, request: StepRequest) -> StepRequest: ...

    def match(self, reply: StepReply, recorded: StepReply) -> StepReply: ...


class _Rebuild:
    def __init__(self, runner: Runner | None, words: Words | None) -> None:
        self.runner = runner
        self.words = words
        self.made: list[JournalEntry] = []
        self.context: AccountContext | None = None

    def feed(self, kernel: Kernel, entry: JournalEntry) -> None:
        data: dict[str, Any] = json.loads(entry.input)
        if entry.kind == "bar":
            self._feed_bar(kernel, entry, data)
        elif entry.kind == "command":
            kernel.command(command_from(data), context_from(data["context"]))
        elif entry.kind == "anomaly":
            kernel.anomaly(data["kind"], data["detail"])
        elif entry.kind == "warmup":
            bars = [bar_from_members(members) for members in data["bars"]]
            kernel.warm(bars)
            warm = getattr(self.runner, "warm", None)
            if warm is not None:
                warm(bars)
        else:
            raise Divergence(entry.n, entry.kind, "kind", entry.kind, "header|warmup|bar|command|anomaly")

    def _feed_bar(self, kernel: Kernel, entry: JournalEntry, data: dict[str, Any]) -> None:
        bar = bar_from_members(data["bar"])
        received_ns = bar.close_time_ns + data.get("lag", 0)
        request = kernel.begin(bar, received_ns, self._context(data.get("begin")))
        reply = None
        if request is not None and not data.get("lost"):
            recorded = reply_from(json.loads(entry.output).get("reply"), bar.sequence)
            reply = recorded if self.runner is None else self._ask(kernel, self.runner, request, recorded)
        kernel.finish(reply, self._context(data.get("finish")))

    def _ask(self, kernel: Kernel, runner: Runner, request: StepRequest, recorded: StepReply) -> StepReply:
        if self.words is None:
            return kernel.heard(runner.step(request))
        return self.words.match(kernel.heard(runner.step(self.words.told(request))), recorded)

    def _context(self, members: dict[str, Any] | None) -> AccountContext:
        if members is not None:
            self.context = context_from(members)
        if self.context is None:
            raise ValueError("the journal's first bar holds no account context")
        return self.context


def rebuild(
    spec: RunSpec,
    risk: RiskCheck,
    entries: Iterable[JournalEntry],
    runner: Runner | None = None,
    *,
    gateway: Gateway | None = None,
    guard: Guard | None = None,
    words: Words | None = None,
) -> Kernel:
    """The kernel as it stood after the last entry. Raises Divergence at the first difference.

    words: between the journal and a runner, where the journal holds commitments instead of reasons.
    """
    state = _Rebuild(runner, words)
    kernel = Kernel(spec, risk, gateway or gateway_for(spec.approval), journal=state.made.append, guard=guard)
    for position, entry in enumerate(entries):
        if position:
            state.feed(kernel, entry)
        if not state.made:
            raise Divergence(entry.n, entry.kind, "entry", entry.input, "nothing")
        compare(entry, state.made.pop())
    return kernel


def compare(recorded: JournalEntry, made: JournalEntry) -> None:
    """Raise Divergence at the first member that differs; outputs are compared member by member."""
    if recorded == made:
        return
    for field in ("n", "kind", "bar"):
        before, after = getattr(recorded, field), getattr(made, field)
        if before != after:
            raise Divergence(recorded.n, recorded.kind, field, str(before), str(after))
    for name, before, after in (
        ("input", recorded.input, made.input),
        ("output", recorded.output, made.output),
    ):
        if before != after:
            field, old, new = _first_difference(before, after)
            raise Divergence(recorded.n, recorded.kind, f"{name}.{field}", old, new)
    raise Divergence(recorded.n, recorded.kind, "head", recorded.head, made.head)


def _first_difference(before: str, after: str) -> tuple[str, str, str]:
    old, new = json.loads(before), json.loads(after)
    if isinstance(old, dict) and isinstance(new, dict):
        for name in sorted(old.keys() | new.keys()):
            if old.get(name) != new.get(name):
                return name, json.dumps(old.get(name)), json.dumps(new.get(name))
    return "text", before, after
