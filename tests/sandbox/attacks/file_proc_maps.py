"""Reads its own memory map, to defeat address randomisation."""

# ends: exception
# escapes without: all

from inalpha import Bar, Strategy


class Attack(Strategy):
    def on_bar(self, bar: Bar) -> None:
        if bar.sequence:
            return
        self.log("ESCAPED: " + open("/proc/self/maps").read(80))  # noqa: SIM115
