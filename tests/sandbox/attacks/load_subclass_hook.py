"""Acts when somebody derives from its helper class."""

# ends: load
# escapes without: -

import os

from inalpha import Bar, Strategy


class Base:
    def __init_subclass__(cls) -> None:
        os.fork()


class Attack(Base, Strategy):
    def on_bar(self, bar: Bar) -> None:
        pass
