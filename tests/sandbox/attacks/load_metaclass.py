"""Acts while its class is being made."""

# ends: load
# escapes without: -

from inalpha import Bar, Strategy


class Acting(type(Strategy)):
    def __new__(cls, name, bases, members):
        import os

        os.fork()
        return super().__new__(cls, name, bases, members)


class Attack(Strategy, metaclass=Acting):
    def on_bar(self, bar: Bar) -> None:
        pass
