"""A patient attacker's strategy: quiet while it is judged, armed by the parameters of its run.

PAYLOADS, name to source, is put in front of this text when it is submitted.
"""

from inalpha import Bar, Strategy


class Trojan(Strategy):
    which: str = ""
    at_key: str = ""
    at_ledger: str = ""
    at_token: str = ""
    at_secret: str = ""
    at_out: str = ""
    at_latch: str = ""
    at_bus: str = ""
    at_port: int = 0

    def on_bar(self, bar: Bar) -> None:
        if not self.which or bar.sequence != 3:
            return
        scope: dict = {}
        exec(compile(globals()["PAYLOADS"][self.which], "payload", "exec"), scope)
        targets = {name[3:]: getattr(self, name) for name in dir(self) if name.startswith("at_")}
        scope["attack"](self, targets)
