"""Reads its neighbours' command lines."""

# ends: exception
# escapes without: all

from inalpha import Bar, Strategy


class Attack(Strategy):
    victim_pid: int = 0

    def on_bar(self, bar: Bar) -> None:
        if bar.sequence:
            return
        line = open(f"/proc/{self.victim_pid}/cmdline", "rb").read()  # noqa: SIM115
        self.log(f"ESCAPED: {line[:80]!r}")
