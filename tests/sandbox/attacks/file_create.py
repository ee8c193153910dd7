"""Leaves a file behind."""

# ends: exception
# escapes without: all

from inalpha import Bar, Strategy


class Attack(Strategy):
    canary_dir: str = ""

    def on_bar(self, bar: Bar) -> None:
        if bar.sequence:
            return
        open(f"{self.canary_dir}/out/left.txt", "w").write("here")  # noqa: SIM115
