"""Has the compiler fold a constant that fills memory."""

# ends: load memory deadline -
# escapes without: -

from inalpha import Bar, Strategy

text = (("x" * 4000) * 4000) * 4000


class Attack(Strategy):
    def on_bar(self, bar: Bar) -> None:
        pass
