"""Takes four gigabytes at once."""

# ends: memory
# escapes without: limits all

from inalpha import Bar, Strategy


class Attack(Strategy):
    def on_bar(self, bar: Bar) -> None:
        if bar.sequence:
            return
        block = bytearray(4 << 30)
        self.log(f"ESCAPED: {len(block)} bytes")
