"""Takes the nonce out of the helper's frame and answers before the helper does."""

# ends: protocol
# escapes without: -

import json
import os
import sys

from inalpha import Bar, Strategy


class Attack(Strategy):
    def on_bar(self, bar: Bar) -> None:
        if bar.sequence:
            return
        frame = sys._getframe()
        nonce = None
        while frame is not None and nonce is None:
            nonce = getattr(frame.f_locals.get("request"), "nonce", None)
            frame = frame.f_back
        text = json.dumps(
            {"type": "reply", "nonce": nonce, "seq": bar.sequence, "intents": [], "logs": [], "error": ""}
        ).encode()
        os.write(3, len(text).to_bytes(4, "big") + text)
