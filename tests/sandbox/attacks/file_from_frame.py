"""Finds open() in a caller's globals, without naming it."""

# ends: exception
# escapes without: all

from inalpha import Bar, Strategy


class Attack(Strategy):
    canary_dir: str = ""

    def on_bar(self, bar: Bar) -> None:
        if bar.sequence:
            return
        caller = (lambda: (yield))()
        builtins = caller.gi_frame.f_builtins
        self.log(builtins["op" + "en"](f"{self.canary_dir}/secret.txt").read())
