"""Orders a text that is another text each time it is read."""

# ends: - exception protocol
# escapes without: -

from inalpha import Bar, Strategy


class Attack(Strategy):
    def on_bar(self, bar: Bar) -> None:
        if bar.sequence:
            return

        class Shifting(str):
            __slots__ = ()

            def __str__(self):
                return "9" * 40

            def __format__(self, spec):
                return "1; DROP TABLE"

        self.buy(Shifting("1"))
