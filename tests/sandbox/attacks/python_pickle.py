"""Has pickle start a shell."""

# ends: - exception
# escapes without: all

import os
import pickle

from inalpha import Bar, Strategy


class Attack(Strategy):
    canary_dir: str = ""

    def on_bar(self, bar: Bar) -> None:
        if bar.sequence:
            return

        class Bomb:
            def __reduce__(self):
                return os.system, (command,)

        command = f"echo here > {self.canary_dir}/out/left"
        pickle.loads(pickle.dumps(Bomb()))
