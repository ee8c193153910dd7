"""Runs one strategy object: events, indicators, on_bar, and the reply. What lives inside a runner.

An exception of the author's empties the bar's intents and travels as text; nothing else of it crosses.
"""

from __future__ import annotations

import traceback
from collections.abc import Iterable, Mapping

from inalpha.model.bar import Bar
from inalpha.model.instrument import Instrument
from inalpha.model.step import MAX_INTENTS, StepReply, StepRequest
from inalpha.strategy.base import Strategy
from inalpha.strategy.params import apply_params
from inalpha.strategy.session import Session

_MAX_ERROR = 500


class StrategyDriver:
    """Call start, then warm (any times), then step per bar, then stop. Satisfies the kernel's Runner."""

    def __init__(
        self,
        cls: type[Strategy],
        params: Mapping[str, object],
        instrument: Instrument,
        timeframe: str,
        seed: int,
    ) -> None:
        self.timeframe = timeframe
        self.strategy = cls.__new__(cls)
        merged = apply_params(cls, self.strategy, params)
        self._session = Session(merged, instrument, seed)
        self.strategy._session = self._session
        # Plain attributes: they are read several times per bar.
        self.strategy.position = self._session.position
        self.strategy.account = self._session.account
        self.strategy.clock = self._session.clock
        self.strategy.__init__()  # type: ignore[misc]
        self._remember = self._session.memory.bars.append
        self._source = cls.__module__

    def start(self) -> None:
        """on_start; the author's exceptions pass through to the loader's caller."""
        self.strategy.on_start()

    def warm(self, bars: Iterable[Bar]) -> None:
        """Bars that feed indicators and history, never on_bar."""
        for bar in bars:
            self._session.take_bar(bar)

    def step(self, request: StepRequest) -> StepReply:
        """Events of this step, then on_bar."""
        session = self._session
        bar = request.bar
        moment = session.moment
        moment.bar = bar
        moment.position = request.position
        moment.account = request.account
        try:
            self._remember(bar)
            for update in session.updates:
                update(bar)
            if request.events:
                self._deliver(request)
            if request.orders or session._orders:
                session.take_orders(request.orders)
            self.strategy.on_bar(bar)
        except (Exception, SystemExit) as error:
            return self._failed(request.seq, error)
        if not session.intents and not session.logs:
            return StepReply(request.seq)
        return self._reply(request.seq)

    def stop(self) -> tuple[str, ...]:
        """on_stop and what it logged. An exception becomes its last line."""
        self._session.stopping = True
        try:
            self.strategy.on_stop()
        except (Exception, SystemExit) as error:
            self._session.log(describe_error(error, self._source))
        return self._take_logs()

    def _deliver(self, request: StepRequest) -> None:
        session, strategy = self._session, self.strategy
        if type(strategy).on_order_event is Strategy.on_order_event:
            for event in request.events:
                session.move_order(event, request.orders)
            return
        for event in request.events:
            strategy.on_order_event(session.event(event, request.orders))

    def _reply(self, sequence: int) -> StepReply:
        intents = tuple(self._session.intents)
        self._session.intents.clear()
        if len(intents) > MAX_INTENTS:
            error = f"TooManyIntents: {len(intents)} on one bar, at most {MAX_INTENTS} (line 0)"
            return StepReply(sequence, (), self._take_logs(), error)
        return StepReply(sequence, intents, self._take_logs())

    def _failed(self, sequence: int, error: BaseException) -> StepReply:
        self._session.intents.clear()
        return StepReply(sequence, (), self._take_logs(), describe_error(error, self._source))

    def _take_logs(self) -> tuple[str, ...]:
        logs = tuple(self._session.logs)
        self._session.logs.clear()
        return logs


def describe_error(error: BaseException, filename: str) -> str:
    """`Type: text (line N)`: N is the innermost line of the strategy's own file, 0 where there is none."""
    line = error.lineno or 0 if isinstance(error, SyntaxError) else 0
    for frame in traceback.extract_tb(error.__traceback__):
        if frame.filename == filename:
            line = frame.lineno or line
    try:
        text = str(error)
    except Exception:
        text = "(its text could not be read)"
    return f"{type(error).__name__}: {text[:_MAX_ERROR]} (line {line})"
