"""The reference strategy on other people's engines: SMA(10) against SMA(30), long only, 10 units, 10 bps.

Each engine answers (fills, final equity), positions left open marked at the last close. Peers average
floats, so equal averages may differ in the last bit; a dead band of 1e-6 stands for our exact ties.
Their data is prepared by `prepare`, outside any clock.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Sequence
from typing import Any

from inalpha.model.bar import Bar

CASH = 1_000_000
UNITS = 10
FEE = 0.001
BAND = 1e-6

Run = Callable[[], tuple[int, float]]


def frame_of(bars: Sequence[Bar]) -> Any:
    import pandas as pd

    columns = {
        name: [getattr(bar, name.lower()) for bar in bars]
        for name in ("Open", "High", "Low", "Close", "Volume")
    }
    return pd.DataFrame(columns, index=pd.to_datetime([bar.open_time_ns for bar in bars]))


def backtesting_py(bars: Sequence[Bar], *, same_close: bool = False) -> Run:
    """It decides first on the bar after the first one whose indicators are complete."""
    os.environ.setdefault("TQDM_DISABLE", "1")
    warnings.filterwarnings("ignore", module="backtesting")
    import pandas as pd
    from backtesting import Backtest
    from backtesting import Strategy as Peer

    class Cross(Peer):  # type: ignore[misc]
        def init(self) -> None:
            close = pd.Series(self.data.Close)
            self.fast = self.I(lambda: close.rolling(10).mean())
            self.slow = self.I(lambda: close.rolling(30).mean())

        def next(self) -> None:
            gap = self.fast[-1] - self.slow[-1]
            if gap > BAND and not self.position:
                self.buy(size=UNITS)
            elif gap < -BAND and self.position:
                self.position.close()

    test = Backtest(frame_of(bars), Cross, cash=CASH, commission=FEE, trade_on_close=same_close)

    def run() -> tuple[int, float]:
        stats = test.run()
        last = stats["_strategy"]
        fills = 2 * len(last.closed_trades) + len(last.trades)
        return fills, float(stats["Equity Final [$]"])

    return run


def backtrader(bars: Sequence[Bar]) -> Run:
    import backtrader as bt

    frame = frame_of(bars)

    class Cross(bt.Strategy):  # type: ignore[misc]
        def __init__(self) -> None:
            self.fast = bt.indicators.SMA(self.data.close, period=10)
            self.slow = bt.indicators.SMA(self.data.close, period=30)
            self.fills = 0

        def notify_order(self, order: Any) -> None:
            self.fills += order.status == order.Completed

        def next(self) -> None:
            gap = self.fast[0] - self.slow[0]
            if gap > BAND and not self.position:
                self.buy(size=UNITS)
            elif gap < -BAND and self.position:
                self.close()

    def run() -> tuple[int, float]:
        cerebro = bt.Cerebro(stdstats=False)
        cerebro.adddata(bt.feeds.PandasData(dataname=frame))
        cerebro.addstrategy(Cross)
        cerebro.broker.setcash(CASH)
        cerebro.broker.setcommission(commission=FEE)
        (done,) = cerebro.run()
        return done.fills, float(cerebro.broker.getvalue())

    return run


def vectorbt(bars: Sequence[Bar]) -> Run:
    """No event loop: the signals are shifted by one bar and filled at that bar's open."""
    import vectorbt as vbt

    frame = frame_of(bars)

    def run() -> tuple[int, float]:
        gap = frame.Close.rolling(10).mean() - frame.Close.rolling(30).mean()
        book = vbt.Portfolio.from_signals(
            frame.Close,
            entries=(gap > BAND).shift(1, fill_value=False),
            exits=(gap < -BAND).shift(1, fill_value=False),
            price=frame.Open,
            size=UNITS,
            fees=FEE,
            init_cash=CASH,
            freq="1min",
        )
        return int(book.orders.count()), float(book.final_value())

    return run


def nautilus_trader(bars: Sequence[Bar]) -> Run:
    """A Python strategy on bars: a market order fills at the deciding bar's close."""
    from decimal import Decimal

    from nautilus_trader.backtest.engine import BacktestEngine, BacktestEngineConfig
    from nautilus_trader.config import LoggingConfig
    from nautilus_trader.indicators import SimpleMovingAverage
    from nautilus_trader.model.currencies import USDT
    from nautilus_trader.model.data import Bar as PeerBar
    from nautilus_trader.model.data import BarType
    from nautilus_trader.model.enums import AccountType, OmsType, OrderSide
    from nautilus_trader.model.identifiers import InstrumentId, Symbol, Venue
    from nautilus_trader.model.instruments import Equity
    from nautilus_trader.model.objects import Money, Price, Quantity
    from nautilus_trader.trading.strategy import Strategy as Peer

    venue = Venue("SIM")
    name = InstrumentId(Symbol("REF"), venue)
    # A currency of eight places, as the engine rounds each fee to its currency.
    instrument = Equity(
        instrument_id=name,
        raw_symbol=Symbol("REF"),
        currency=USDT,
        price_precision=2,
        price_increment=Price.from_str("0.01"),
        lot_size=Quantity.from_int(1),
        maker_fee=Decimal(str(FEE)),
        taker_fee=Decimal(str(FEE)),
        ts_event=0,
        ts_init=0,
    )
    kind = BarType.from_str("REF.SIM-1-MINUTE-LAST-EXTERNAL")
    data = [
        PeerBar(
            kind,
            Price(bar.open, 2),
            Price(bar.high, 2),
            Price(bar.low, 2),
            Price(bar.close, 2),
            Quantity(bar.volume, 0),
            bar.close_time_ns,
            bar.close_time_ns,
        )
        for bar in bars
    ]

    class Cross(Peer):  # type: ignore[misc]
        def on_start(self) -> None:
            self.fast, self.slow = SimpleMovingAverage(10), SimpleMovingAverage(30)
            self.register_indicator_for_bars(kind, self.fast)
            self.register_indicator_for_bars(kind, self.slow)
            self.subscribe_bars(kind)
            self.fills = 0

        def on_bar(self, bar: Any) -> None:
            if not self.slow.initialized:
                return
            gap = self.fast.value - self.slow.value
            if gap > BAND and self.portfolio.is_flat(name):
                self.trade(OrderSide.BUY)
            elif gap < -BAND and self.portfolio.is_net_long(name):
                self.trade(OrderSide.SELL)

        def trade(self, side: Any) -> None:
            self.submit_order(self.order_factory.market(name, side, Quantity.from_int(UNITS)))

        def on_order_filled(self, event: Any) -> None:
            self.fills += 1

    def run() -> tuple[int, float]:
        engine = BacktestEngine(BacktestEngineConfig(logging=LoggingConfig(bypass_logging=True)))
        engine.add_venue(venue, OmsType.NETTING, AccountType.CASH, [Money(CASH, USDT)], base_currency=USDT)
        engine.add_instrument(instrument)
        engine.add_data(data)
        strategy = Cross()
        engine.add_strategy(strategy)
        engine.run()
        held = sum(float(position.signed_qty) for position in engine.cache.positions_open())
        cash = float(engine.portfolio.account(venue).balance_total(USDT))
        found = strategy.fills, cash + held * bars[-1].close
        engine.dispose()
        return found

    return run


PEERS: dict[str, Callable[[Sequence[Bar]], Run]] = {
    "backtesting": backtesting_py,
    "backtrader": backtrader,
    "vectorbt": vectorbt,
    "nautilus_trader": nautilus_trader,
}
