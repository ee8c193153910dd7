"""A strategy drawn from a number: which indicators it watches, which orders it places, how it ends them."""

from random import Random

from inalpha import ATR, EMA, RSI, SMA, Bar, Donchian, Strategy

KINDS = ("market", "market", "limit", "stop", "stop_limit", "bracket", "target", "ioc", "day", "gtd")


class Genome(Strategy):
    genome: int = 0

    def on_start(self) -> None:
        dice = Random(self.genome)
        self.signals = [
            self.indicator(made)
            for made in dice.sample(
                [
                    SMA(dice.randint(2, 12)),
                    EMA(dice.randint(2, 12)),
                    RSI(dice.randint(3, 9)),
                    Donchian(5),
                    ATR(4),
                ],
                dice.randint(1, 3),
            )
        ]
        self.kinds = [dice.choice(KINDS) for _ in range(dice.randint(1, 4))]
        self.eager = dice.random()
        self.reach = dice.choice([0.002, 0.01, 0.03])
        self.size = dice.choice(["1", "3", "0.5", "7.9"])
        self.patience = dice.randint(1, 6)
        self.talks = dice.random() < 0.3

    def on_order_event(self, event) -> None:
        if self.talks:
            self.log(f"{event.kind} {event.code} {event.price}")

    def on_bar(self, bar: Bar) -> None:
        score = sum(self._vote(signal, bar) for signal in self.signals)
        for order in self.orders:
            if bar.sequence - int(order.id.partition(":")[0]) > self.patience:
                self.cancel(order)
        if len(self.orders) > 1 or self.random.random() > self.eager:
            return
        if score > 0 and not self.position.is_long:
            self._enter(self.random.choice(self.kinds), bar)
        elif score < 0 and self.position.is_long:
            self.close(reason="the signals turned") if self.random.random() < 0.7 else self._leave(bar)

    def _vote(self, signal, bar: Bar) -> int:
        if not signal.ready:
            return 0
        value = signal.value
        if isinstance(value, float):
            level = 50.0 if isinstance(signal, RSI) else bar.close
            return 1 if value < level else -1
        return 1 if bar.sequence % 3 else -1

    def _enter(self, kind: str, bar: Bar) -> None:
        below, above = bar.close * (1 - self.reach), bar.close * (1 + self.reach)
        size = self.size
        if kind == "market":
            self.buy(size, reason="market")
        elif kind == "limit":
            self.buy(size, limit=below, reason="limit")
        elif kind == "stop":
            self.buy(size, stop=above)
        elif kind == "stop_limit":
            self.buy(size, stop=above, limit=above * 1.004)
        elif kind == "bracket":
            self.buy(size, stop_loss=below, take_profit=above, reason="bracket")
        elif kind == "target":
            self.target(float(size) + bar.sequence % 3)
        elif kind == "ioc":
            self.buy(size, limit=bar.close, tif="IOC")
        elif kind == "day":
            self.buy(size, limit=below, tif="DAY")
        else:
            self.buy(
                size, limit=below, tif="GTD", expires=bar.close_time + (bar.close_time - bar.open_time) * 3
            )

    def _leave(self, bar: Bar) -> None:
        self.sell(self.size, stop=bar.close * (1 - self.reach), reduce_only=True)
