"""Uses the unbuffered file class, which is neither open() nor os.open()."""

# ends: exception
# escapes without: all

import io

from inalpha import Bar, Strategy


class Attack(Strategy):
    canary_dir: str = ""

    def on_bar(self, bar: Bar) -> None:
        if bar.sequence:
            return
        self.log(io.FileIO(f"{self.canary_dir}/secret.txt").readall().decode())
