"""Orders a quantity whose text never ends computing."""

# ends: deadline
# escapes without: -

from inalpha import Bar, Strategy


class Attack(Strategy):
    def on_bar(self, bar: Bar) -> None:
        if bar.sequence:
            return

        class Endless(str):
            __slots__ = ()

            def __str__(self):  # noqa: PLE0307
                while True:
                    pass

        self.buy("1", reason=Endless("x"))
        raise ValueError(Endless("x"))
