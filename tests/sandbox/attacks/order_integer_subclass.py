"""Orders an integer that lies about its size."""

# ends: - exception protocol
# escapes without: -

from inalpha import Bar, Strategy


class Attack(Strategy):
    def on_bar(self, bar: Bar) -> None:
        if bar.sequence:
            return

        class Lying(int):
            def __lt__(self, other):
                return True

            def __gt__(self, other):
                return True

            def __str__(self):
                return "1e99"

        self.buy(Lying(10**30))
