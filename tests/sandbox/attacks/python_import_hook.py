"""Answers every later import itself."""

# ends: -
# escapes without: -

import sys

from inalpha import Bar, Strategy


class Attack(Strategy):
    def on_bar(self, bar: Bar) -> None:
        if bar.sequence:
            return

        class Finder:
            def find_spec(self, name, path=None, target=None):
                while True:
                    pass

        sys.meta_path.insert(0, Finder())
        sys.path_hooks.insert(0, Finder)
