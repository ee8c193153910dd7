"""Watches when another run works, by its processor time."""

# ends: exception
# escapes without: all

from inalpha import Bar, Strategy


class Attack(Strategy):
    victim_pid: int = 0

    def on_bar(self, bar: Bar) -> None:
        if bar.sequence:
            return
        text = open(f"/proc/{self.victim_pid}/stat").read()  # noqa: SIM115
        self.log("ESCAPED: " + text[:80])
