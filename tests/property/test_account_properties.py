"""Several runs of one account over random markets, orders, rules and halts, stepped side by side as the daemon does.

What is asserted is reckoned here from fills and orders alone, never asked of the account that is under test:
whoever may exit can exit, no exit goes through zero, no entry's fill takes the account's cash below zero, and gross
exposure passes no limit when an order begins to work.
"""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from support.bench import ScriptedRunner, make_bar, make_spec

from inalpha.daemon.accounts import Accounts
from inalpha.kernel.gateway import gateway_for
from inalpha.kernel.kernel import Kernel
from inalpha.kernel.records import Command, JournalEntry, StepResult
from inalpha.kernel.replay import rebuild
from inalpha.kernel.trades import GUARD_N
from inalpha.model.instrument import Instrument
from inalpha.model.money import E8
from inalpha.model.order import OrderState
from inalpha.model.states import HaltState
from inalpha.risk.engine import RiskEngine
from inalpha.risk.guard import PositionGuard
from inalpha.risk.rules import Rules, parse_rules

CASH = 100_000 * E8
BARS = 9
ACCOUNT = "a"
# What may end an exit: it was needless, its own time or author ended it, or nothing may trade at all.
EXIT_ENDS = {
    "",
    "POSITION_CLOSED",
    "NOTHING_TO_REDUCE",
    "OCO",
    "EXPIRED",
    "IOC_UNFILLED",
    "STRATEGY",
    "HALTED",
}

MOVE = st.sampled_from([1.0, 1.0, 1.01, 0.99, 1.04, 0.96, 1.09, 0.91, 0.76, 1.35])
QUANTITY = st.sampled_from(["40", "150", "240", "400", "500"])
LEVEL = st.none() | st.sampled_from(["70", "90", "97", "103", "110", "140"])
ENTRY = st.fixed_dictionaries({"side": st.just("buy"), "quantity": QUANTITY})
EXIT = st.fixed_dictionaries(
    {"side": st.just("sell"), "quantity": QUANTITY | st.just("1"), "reduce_only": st.booleans()}
)
BRACKET = st.fixed_dictionaries(
    {
        "side": st.just("buy"),
        "quantity": QUANTITY,
        "stop_loss": st.none() | st.sampled_from(["60", "80"]),
        "take_profit": st.none() | st.sampled_from(["130", "170"]),
    }
)
ANY = st.fixed_dictionaries(
    {
        "side": st.sampled_from(["buy", "sell"]),
        "quantity": QUANTITY,
        "limit": LEVEL,
        "stop": LEVEL,
        "tif": st.sampled_from(["GTC", "GTC", "DAY"]),
        "reduce_only": st.booleans(),
    }
)
INTENT = ENTRY | ENTRY | EXIT | BRACKET | ANY
SCRIPT = st.lists(st.lists(INTENT, max_size=2), min_size=BARS, max_size=BARS).map(
    lambda asked: dict(enumerate(asked))
)
RULES = """schema = 1
[controls.max_order]
equity_pct = {order}
[controls.max_position]
symbol_pct = {symbol}
gross_pct = 100
[controls.direction]
long_only = {long_only}
[controls.position_guard]
hard_stop_pct = {stop}
[controls.price_collar]
pct = {collar}
[controls.daily_loss]
pct = 100
[controls.drawdown]
pct = 100
"""


@dataclass
class Run:
    name: str
    kernel: Kernel
    runner: ScriptedRunner
    prices: list[tuple[int, int, int, int]]
    entries: list[JournalEntry]
    committed: int = 1
    results: list[StepResult] = field(default_factory=list)


class Desk:
    """One account and its runs; begins and commits as the daemon's actors do, voided steps included."""

    def __init__(
        self, scripts: list[Any], moves: list[list[float]], rules: Rules, *, allow_short: bool
    ) -> None:
        self.rules, self.allow_short = rules, allow_short
        self.accounts = Accounts()
        self.accounts.open_account(ACCOUNT, CASH, rules)
        self.halt = HaltState.ACTIVE
        self.cash = CASH
        self.voided = 0
        self.runs = []
        for at, script in enumerate(scripts):
            name = f"run-{at}"
            spec = make_spec(run=name, symbol=f"S{at}", instrument=Instrument(f"S{at}"), timeframe="1d",
                             opening_cash_e8=CASH, allow_short=allow_short)  # fmt: skip
            self.accounts[ACCOUNT].open_book(name, spec.symbol)
            made: list[JournalEntry] = []
            kernel = Kernel(spec, RiskEngine(rules), gateway_for("machine"), journal=made.append,
                            guard=PositionGuard(rules))  # fmt: skip
            self.runs.append(Run(name, kernel, ScriptedRunner(script), _path(moves[at]), made))

    def bar(self, number: int, begin_order: list[int], commit_order: list[int]) -> None:
        asked = {at: self._begin(self.runs[at], number) for at in begin_order if at < len(self.runs)}
        for at in commit_order:
            if at in asked:
                self._commit(self.runs[at], number, asked[at])

    def set_halt(self, state: HaltState) -> None:
        self.halt = state
        self.accounts.set_halt("all", state)
        for run in self.runs:
            kind = "resume" if state is HaltState.ACTIVE else "halt"
            command = Command(kind, run.kernel.now_ns, state=state)
            result = run.kernel.command(command, self.accounts.context(ACCOUNT, run.name))
            run.committed = len(run.entries)
            self.accounts.claim(ACCOUNT, run.name, run.kernel.claim)
            self._check_ends(run, result.ended)

    def _begin(self, run: Run, number: int) -> Any:
        bar = make_bar(run.prices[number], number, "1d")
        with self.accounts.lock:
            request = run.kernel.begin(bar, bar.close_time_ns, self.accounts.context(ACCOUNT, run.name))
            self.accounts.begin(ACCOUNT, run.name, run.kernel.mark(), run.kernel.claim)
        return request

    def _commit(self, run: Run, number: int, request: Any) -> None:
        for _ in range(3):
            result = run.kernel.finish(run.runner.step(request), self.accounts.context(ACCOUNT, run.name))
            if self.accounts.affords(ACCOUNT, run.name, CASH, result.fills):
                break
            self.voided += 1
            self.accounts.void(ACCOUNT, run.name)
            kept = run.entries[: run.committed]
            run.entries.clear()
            run.entries.extend(kept)
            spec = run.kernel.spec
            run.kernel = rebuild(spec, RiskEngine(self.rules), kept, guard=PositionGuard(self.rules))
            run.kernel.chain._entries = (
                run.entries.append
            )  # the rebuilt kernel goes on in the run's own journal
            request = self._begin(run, number)
        else:
            raise AssertionError("a step was voided three times")
        run.committed = len(run.entries)
        run.results.append(result)
        self.accounts.mark(ACCOUNT, run.name, run.kernel.mark(result.closed), run.kernel.claim)
        self._check(run, result)

    def _check(self, run: Run, result: StepResult) -> None:
        before = run.results[-2].position_lots if len(run.results) > 1 else 0
        held = before
        for fill in result.fills:
            notional = fill.price_ticks * fill.quantity_lots * 10**6  # a tick of 0.01, a lot of 1
            self.cash -= int(fill.side) * notional + fill.fee_e8
            after = held + int(fill.side) * fill.quantity_lots
            if fill.reduce_only:
                assert held * int(fill.side) < 0 and after * held >= 0, (held, fill)
            else:
                assert self.cash >= 0, (self.cash, fill)
            held = after
        assert held == result.position_lots
        self._check_ends(run, result.ended)
        entered = False
        for decision in result.decisions:
            order = decision.order
            if order is None:
                continue
            has_legs = order.stop_loss_ticks is not None or order.take_profit_ticks is not None
            against = held * int(order.side) < 0
            exits = against and (order.reduce_only or (not has_legs and order.quantity_lots <= abs(held)))
            if exits and not self.allow_short and self.halt.severity < HaltState.HALTED.severity:
                assert decision.outcome == "working", (run.name, result.bar.sequence, decision)
            if decision.outcome == "working" and not order.reduce_only:
                assert self.halt is HaltState.ACTIVE
                entered = True
        if entered and not self.allow_short:
            self._check_gross()

    def _check_gross(self) -> None:
        """Positions at their last closes and every working entry at its limit, stop or last close."""
        gross, equity = 0, self.cash
        for run in self.runs:
            if not run.results:
                continue
            close = run.results[-1].bar.close_ticks * 10**6
            committed = run.results[-1].position_lots
            gross, equity = gross + abs(committed) * close, equity + committed * close
        for name, book in self.accounts[ACCOUNT].books.items():
            gross += book.claim.buys_e8 + book.claim.sells_e8
            assert name and book.claim.sells_e8 == 0
        assert gross <= equity, (gross, equity)

    def _check_ends(self, run: Run, ends: Any) -> None:
        tags = {fill.intent: fill.reduce_only for past in run.results for fill in past.fills}
        for past in run.results:
            for decision in past.decisions:
                if decision.order is not None:
                    tags[decision.intent] = decision.order.reduce_only
        for end in ends:
            is_exit = end.child is not None or tags.get(end.intent, False)
            if is_exit and end.state is not OrderState.FILLED:
                # The guard's own plan under HALTED ends when the guard may act again, or has nothing to do any more.
                is_planned = end.intent.endswith(f":{GUARD_N}") and end.code in ("HARD_STOP", "GUARD_QUIET")
                assert is_planned or end.code in EXIT_ENDS, end


def _path(moves: list[float]) -> list[tuple[int, int, int, int]]:
    """Opens gap by each move from the close before; closes drift by a tenth of it."""
    close, found = 10_000, []
    for move in moves:
        opened = max(500, int(close * move))
        close = max(500, int(opened * (1 + (move - 1) / 10)))
        found.append((opened, max(opened, close) + 30, min(opened, close) - 30, close))
    return found


@settings(max_examples=120, deadline=None)
@given(
    scripts=st.lists(SCRIPT, min_size=2, max_size=4),
    moves=st.lists(st.lists(MOVE, min_size=BARS, max_size=BARS), min_size=4, max_size=4),
    orders=st.lists(
        st.tuples(st.permutations(range(4)), st.permutations(range(4))), min_size=BARS, max_size=BARS
    ),
    halts=st.dictionaries(
        st.integers(0, BARS - 1), st.sampled_from(["REDUCING", "HALTED", "ACTIVE"]), max_size=3
    ),
    sizes=st.tuples(*(st.sampled_from(found) for found in ((10, 60, 100), (25, 100), (5, 90), (5, 50)))),
    allow_short=st.booleans(),
)
def test_exits_run_and_no_limit_leaks(
    scripts: list[Any],
    moves: list[list[float]],
    orders: list[Any],
    halts: dict[int, str],
    sizes: tuple[int, int, int, int],
    allow_short: bool,
) -> None:
    order, symbol, stop, collar = sizes
    text = RULES.format(
        order=order, symbol=symbol, stop=stop, collar=collar, long_only=str(not allow_short).lower()
    )
    desk = Desk(scripts, moves, parse_rules(text), allow_short=allow_short)
    for number in range(BARS):
        desk.bar(number, *orders[number])
        if number in halts:
            desk.set_halt(HaltState(halts[number]))


def test_many_runs_that_spend_all_the_cash_at_once() -> None:
    """Four runs that buy twice on most bars, through gaps: seeded, as shrinking examples seldom crowd an account."""
    codes: Counter[str] = Counter()
    for seed in range(120):
        chance = random.Random(seed)
        desk = Desk(
            [_crowd(chance) for _ in range(4)],
            [[chance.choice([1.0, 1.01, 1.04, 0.96, 1.09]) for _ in range(BARS)] for _ in range(4)],
            parse_rules(
                RULES.format(order=100, symbol=100, stop=chance.choice([5, 90]), collar=50, long_only="true")
            ),
            allow_short=False,
        )
        for number in range(BARS):
            desk.bar(number, chance.sample(range(4), 4), chance.sample(range(4), 4))
        for run in desk.runs:
            for result in run.results:
                codes.update(decision.code for decision in result.decisions)
                codes.update(end.code for end in result.ended)
    # A property that holds because nothing presses against it is none.
    assert min(codes["MAX_POSITION"], codes["ACCOUNT_CASH"], codes["POSITION_CLOSED"], codes[""]) > 5, codes


def _crowd(chance: random.Random) -> dict[int, list[dict[str, Any]]]:
    script = {}
    for number in range(BARS):
        script[number] = [
            {
                "side": "buy",
                "quantity": chance.choice(["240", "400", "500"]),
                **chance.choice([{}, {"stop_loss": "60"}]),
            }
            for _ in range(chance.randint(0, 2))
        ]
        if chance.random() < 0.25:
            script[number].append(
                {"side": "sell", "quantity": chance.choice(["100", "5000"]), "reduce_only": True}
            )
    return script


def test_a_begun_entry_whose_cash_a_cover_took_is_begun_again_and_cancelled() -> None:
    """Short 400 at 100 holds 80,000 of 140,000; its cover at 320 costs 128,000 while a purchase of 55,000 is begun."""
    rules = parse_rules(RULES.format(order=100, symbol=100, stop=90, collar=50, long_only="false"))
    short = {
        0: [{"side": "sell", "quantity": "400"}],
        1: [{"side": "buy", "quantity": "400", "reduce_only": True}],
    }
    scripts = [short, {1: [{"side": "buy", "quantity": "550"}]}]
    flat = [1.0] * BARS
    desk = Desk(scripts, [[1.0, 1.0, 3.2, *flat[3:]], flat], rules, allow_short=True)
    desk.bar(0, [0, 1], [0, 1])
    desk.bar(1, [0, 1], [0, 1])
    desk.bar(2, [1, 0], [0, 1])
    assert desk.voided == 1
    assert [(end.intent, end.code) for end in desk.runs[1].results[2].ended] == [("1:0", "ACCOUNT_CASH")]
    assert desk.cash == desk.accounts[ACCOUNT].cash_e8 > 0
