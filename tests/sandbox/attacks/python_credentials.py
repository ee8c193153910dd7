"""Searches for keys, sessions and modules that hold authority."""

# ends: - deadline
# escapes without: -

import gc
import sys

from inalpha import Bar, Strategy


class Attack(Strategy):
    def on_bar(self, bar: Bar) -> None:
        if bar.sequence:
            return
        wanted = (
            "nacl",
            "aiomqtt",
            "inalpha.ledger",
            "inalpha.bus",
            "inalpha.daemon",
            "inalpha.audit",
            "runners.host",
        )
        held = [name for name in sys.modules if name.startswith(wanted)]
        level, seen = list(sys.modules.values()), set()
        for _ in range(4):
            level = [part for part in gc.get_referents(*level) if id(part) not in seen]
            seen.update(map(id, level))
            held += [
                type(o).__name__ for o in level if type(o).__name__ in ("SigningKey", "Signer", "BusClient")
            ]
        if held:
            self.log(f"ESCAPED: {held[:5]}")
