"""A whole run over stored bars: the same kernel step as paper trading, fed without a clock."""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from inalpha.kernel.gateway import gateway_for
from inalpha.kernel.guard import Guard
from inalpha.kernel.kernel import Kernel, Runner
from inalpha.kernel.records import Command, Decision, Fill, JournalEntry, OrderEnd, StepResult
from inalpha.kernel.spec import RunSpec
from inalpha.model.allowance import BAR_BYTES, DAY_BYTES
from inalpha.model.bar import Bar, utc_from_ns
from inalpha.model.money import text_from_e8
from inalpha.model.order import OrderState
from inalpha.model.principals import DAEMON
from inalpha.model.risk import Refusal, RiskCheck
from inalpha.research.account import AccountSource, OwnAccount
from inalpha.research.outcomes import reasons, without_fills
from inalpha.risk.reconcile import FillFold, mismatch

Progress = Callable[[int, int], None]
_PROGRESS_EVERY = 1000


@dataclass(slots=True)
class OrderRecord:
    """One row of orders.csv. Texts are decimal; order is `<bar>:<n>`, with `:stop_loss` for a leg.

    refusals: every one that denied the order, or its fill.
    """

    order: str
    time_ns: int
    side: str
    type: str
    quantity: str
    limit: str
    stop: str
    tif: str
    state: str
    code: str
    reason: str
    refusals: tuple[Refusal, ...] = ()


@dataclass(slots=True)
class BacktestResult:
    """Everything a report needs. The arrays hold one value per consumed bar.

    refusals: the first one of each code that a risk control gave. dropped: bytes of words not kept, by date.
    """

    spec: RunSpec
    bars: Sequence[Bar]
    head: str = ""
    error: str = ""
    fills: list[Fill] = field(default_factory=list)
    orders: dict[str, OrderRecord] = field(default_factory=dict)
    denials: Counter[str] = field(default_factory=Counter)
    refusals: dict[str, Refusal] = field(default_factory=dict)
    locked: Counter[str] = field(default_factory=Counter)  # orders that each lock rule refused
    exits: Counter[str] = field(default_factory=Counter)
    logs: list[tuple[int, str]] = field(default_factory=list)
    dropped: Counter[str] = field(default_factory=Counter)
    warnings: list[str] = field(default_factory=list)
    times_ns: array[int] = field(default_factory=lambda: array("q"))
    cash_e8: array[int] = field(default_factory=lambda: array("q"))
    position_lots: array[int] = field(default_factory=lambda: array("q"))
    close_ticks: array[int] = field(default_factory=lambda: array("q"))
    equity_e8: array[int] = field(default_factory=lambda: array("q"))
    gaps: int = 0
    missing_bars: int = 0

    @property
    def final_equity_e8(self) -> int:
        return self.equity_e8[-1] if self.equity_e8 else self.spec.opening_cash_e8


def run_backtest(
    spec: RunSpec,
    bars: Sequence[Bar],
    runner: Runner,
    risk: RiskCheck,
    account: AccountSource | None = None,
    progress: Progress | None = None,
    *,
    journal: Callable[[JournalEntry], None] | None = None,
    lines: Callable[[bytes], None] | None = None,
    guard: Guard | None = None,
) -> BacktestResult:
    """Feed every bar and end the run; journal or lines as for the kernel.

    A strategy's exception ends it early, as `error` in the result. The runner's own errors (a deadline, a
    killed sandbox) pass through; the journal then holds every bar before.
    """
    source = account or OwnAccount(spec.opening_cash_e8)
    result = BacktestResult(spec, bars)
    if journal is None and lines is None:
        lines = _forget
    kernel = Kernel(spec, risk, gateway_for(spec.approval), journal=journal, lines=lines, guard=guard)
    total, fold = len(bars), FillFold(spec.opening_cash_e8)
    try:
        for bar in bars:
            if kernel.last_bar is not None:
                command = source.admit(kernel.last_bar, bar)
                if command is not None:
                    _take_ends(result, kernel.command(command, source.context()).ended)
                    result.warnings.append(f"halted before bar {bar.sequence}: {command.reason}")
            request = kernel.begin(bar, bar.close_time_ns, source.context())
            source.begin(kernel)
            step = kernel.finish(kernel.ask(request, runner), source.context())
            _take(result, step)
            if step.fills:
                result.error = _reconcile(fold, step, spec)
                if result.error:
                    break
            command = source.mark(kernel, step)
            if command is not None:
                _take_ends(result, kernel.command(command, source.context()).ended)
                state = command.state.value if command.state else ""
                result.warnings.append(f"{state} from bar {bar.sequence} on: {command.reason}")
            if step.error:
                result.error = step.error
                break
            if progress is not None and bar.sequence % _PROGRESS_EVERY == 0:
                progress(bar.sequence, total)
    finally:
        kernel.chain.flush()
    if kernel.last_bar is not None:
        end = Command("end", kernel.now_ns, actor=DAEMON, code="RUN_ENDED")
        _take_ends(result, kernel.command(end, source.context()).ended)
    result.head = kernel.head
    _warn(result)
    if progress is not None:
        progress(total, total)
    return result


def _reconcile(fold: FillFold, step: StepResult, spec: RunSpec) -> str:
    """C1: the book against the sum of its fills; what differs, or "". A book beyond belief ends the run."""
    instrument = spec.instrument
    fold.take(instrument, ((f.side, f.quantity_lots, f.price_ticks, f.fee_e8) for f in step.fills))
    why = mismatch(step.position_lots, step.cash_e8, fold, instrument)
    return "" if why is None else f"{why.code}: {why.message}"


def _forget(lines: bytes) -> None:
    """No journal was asked for; the head still covers every line."""


def _take(result: BacktestResult, step: StepResult) -> None:
    bar = step.bar
    result.times_ns.append(bar.close_time_ns)
    result.cash_e8.append(step.cash_e8)
    result.position_lots.append(step.position_lots)
    result.close_ticks.append(bar.close_ticks)
    result.equity_e8.append(step.equity_e8)
    if step.logs:
        result.logs.extend((bar.sequence, text) for text in step.logs)
    if step.dropped:
        result.dropped[f"{utc_from_ns(bar.close_time_ns - 1_000):%Y-%m-%d}"] += step.dropped
    if step.decisions:
        for decision in step.decisions:
            _take_decision(result, decision, bar.close_time_ns)
    if step.fills:
        result.fills.extend(step.fills)
        for fill in step.fills:
            if fill.position_lots == 0:
                result.exits[fill.reason or "(no reason)"] += 1
    if step.ended:
        _take_ends(result, step.ended)


def _take_decision(result: BacktestResult, decision: Decision, time_ns: int) -> None:
    order, raw, instrument = decision.order, decision.raw, result.spec.instrument
    if decision.code:
        result.denials[decision.code] += 1
        if decision.outcome == "risk_rejected":
            result.refusals.setdefault(decision.code, decision.refusals[0])
            if decision.code == "LOCKED":
                result.locked[decision.refusals[0].control] += 1
    state = decision.outcome if not decision.code else "denied"
    if order is None:
        row = OrderRecord(
            decision.intent,
            time_ns,
            raw.side or "",
            raw.type or "",
            raw.quantity or "",
            raw.limit or "",
            raw.stop or "",
            raw.tif,
            state,
            decision.code,
            raw.reason,
            decision.refusals,
        )
    else:
        row = OrderRecord(
            decision.intent,
            time_ns,
            order.side.text,
            order.type.value,
            instrument.quantity_text(order.quantity_lots),
            "" if order.limit_ticks is None else instrument.price_text(order.limit_ticks),
            "" if order.stop_ticks is None else instrument.price_text(order.stop_ticks),
            order.time_in_force.value,
            state,
            decision.code,
            order.reason,
            decision.refusals,
        )
    result.orders[decision.intent] = row


def _take_ends(result: BacktestResult, ends: Sequence[OrderEnd]) -> None:
    for end in ends:
        row = result.orders.get(end.intent)
        if row is None:
            continue
        if end.child is None:
            row.state, row.code = end.state.value, end.code
            row.refusals = end.refusals or row.refusals
        elif end.state is OrderState.FILLED or end.code:
            _take_leg(result, row, end)


def _take_leg(result: BacktestResult, entry: OrderRecord, end: OrderEnd) -> None:
    side = "sell" if entry.side == "buy" else "buy"
    kind = "stop" if end.child == "stop_loss" else "limit"
    leg = f"{end.intent}:{end.child}"
    result.orders[leg] = OrderRecord(
        leg,
        entry.time_ns,
        side,
        kind,
        entry.quantity,
        "",
        "",
        "GTC",
        end.state.value,
        end.code,
        end.child or "",
    )


def _warn(result: BacktestResult) -> None:
    spec = result.spec
    if not result.fills:
        result.warnings.append(without_fills(result))
    result.warnings.extend(reasons(result))
    hard_to_believe = sum(bool(fill.warning) for fill in result.fills)
    if hard_to_believe:
        result.warnings.append(f"{hard_to_believe} fills took more than 2.5 % of their bar's volume")
    if result.position_lots and result.position_lots[-1]:
        quantity = spec.instrument.quantity_text(result.position_lots[-1])
        result.warnings.append(f"the run ends with {quantity} {spec.symbol}, marked at the last close")
    lowest = min(result.cash_e8, default=0)
    if lowest < 0:
        result.warnings.append(
            f"the book went down to {text_from_e8(lowest)}: an exit filled beyond its cash, and entries are refused"
            " since (BOOK_NEGATIVE)"
        )
    if result.dropped:
        days = len(result.dropped)
        result.warnings.append(
            f"dropped {result.dropped.total():,} bytes of the strategy's words on {next(iter(result.dropped))}"
            + (f" and {days - 1} later days" if days > 1 else "")
            + f": a bar keeps {BAR_BYTES >> 10} KiB of reasons and of logs, a day {DAY_BYTES >> 10} KiB"
        )
    if spec.slippage.kind == "none":
        result.warnings.append("no slippage is modelled")
