"""Reads the names of all local sockets, the broker's among them."""

# ends: exception
# escapes without: all

from inalpha import Bar, Strategy


class Attack(Strategy):
    abstract_name: str = ""

    def on_bar(self, bar: Bar) -> None:
        if bar.sequence:
            return
        table = open("/proc/net/unix").read()  # noqa: SIM115
        if self.abstract_name in table:
            self.log("ESCAPED: found the listener")
