"""Replaces the loader's checks while it is being loaded."""

# ends: - load exception protocol exit
# escapes without: -

import inspect

from inalpha import Bar, Strategy

inspect.isgeneratorfunction = inspect.iscoroutinefunction = lambda thing: False


class Attack(Strategy):
    def on_bar(self, bar: Bar):
        yield bar
