"""Raises an exception whose text raises as well."""

# ends: exception exit
# escapes without: -

from inalpha import Bar, Strategy


class Attack(Strategy):
    def on_bar(self, bar: Bar) -> None:
        if bar.sequence:
            return

        class Broken(Exception):
            def __str__(self):
                raise SystemExit(0)

        raise Broken
