"""Never comes back from on_stop."""

# ends: -
# escapes without: -

from inalpha import Bar, Strategy


class Attack(Strategy):
    def on_bar(self, bar: Bar) -> None:
        pass

    def on_stop(self) -> None:
        while True:
            pass
