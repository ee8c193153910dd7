"""Prints codes that would rewrite the operator's terminal."""

# ends: -
# escapes without: -

from inalpha import Bar, Strategy


class Attack(Strategy):
    def on_bar(self, bar: Bar) -> None:
        if bar.sequence:
            return
        print("\x1b]0;renamed\x07\x1b[2J\x1b[31m all is well")  # noqa: T201
