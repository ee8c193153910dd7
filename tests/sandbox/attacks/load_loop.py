"""Never ends its own module."""

# ends: deadline
# escapes without: -

from inalpha import Bar, Strategy

while True:
    pass


class Attack(Strategy):
    def on_bar(self, bar: Bar) -> None:
        pass
