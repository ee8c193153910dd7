"""Never comes back from on_start."""

# ends: deadline
# escapes without: -

import itertools

from inalpha import Bar, Strategy


class Attack(Strategy):
    def on_start(self) -> None:
        for _ in itertools.count():
            pass

    def on_bar(self, bar: Bar) -> None:
        pass
