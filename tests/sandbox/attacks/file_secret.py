"""Reads the operator's secret with open()."""

# ends: exception
# escapes without: all

from inalpha import Bar, Strategy


class Attack(Strategy):
    canary_dir: str = ""

    def on_bar(self, bar: Bar) -> None:
        if bar.sequence:
            return
        self.log(open(f"{self.canary_dir}/secret.txt").read())  # noqa: SIM115
