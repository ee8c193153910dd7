"""Chains operators until the compiler's own stack is in danger."""

# ends: load signal
# escapes without: -

from inalpha import Bar, Strategy

VALUE = eval("-" * 200_000 + "1")


class Attack(Strategy):
    def on_bar(self, bar: Bar) -> None:
        pass
