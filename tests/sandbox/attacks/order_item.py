"""Orders an object that posts as numpy's and hands over a text of its choosing."""

# ends: - exception protocol
# escapes without: -

from inalpha import Bar, Strategy


class Attack(Strategy):
    def on_bar(self, bar: Bar) -> None:
        if bar.sequence:
            return

        class Posing:
            def item(self):
                return "1\n2"

        self.buy(Posing())
