"""Takes memory piece by piece and swallows the refusal."""

# ends: deadline memory
# escapes without: limits all

from inalpha import Bar, Strategy


class Attack(Strategy):
    def on_bar(self, bar: Bar) -> None:
        if bar.sequence:
            return
        kept = []
        while True:
            try:  # noqa: SIM105
                kept.append(bytearray(1 << 20))
            except MemoryError:
                pass
