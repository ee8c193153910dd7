"""Asks for an action that does not exist."""

# ends: protocol
# escapes without: -

import os

from inalpha import Bar, Strategy


class Attack(Strategy):
    def on_bar(self, bar: Bar) -> None:
        if bar.sequence:
            return

        def change(body):
            return body.replace(b'"action":"order"', b'"action":"approve"')

        real = os.write

        def write(fd, data):
            if fd != 3:
                return real(fd, data)
            body = change(data[4:])
            sent = len(body).to_bytes(4, "big") + body
            while sent:
                sent = sent[real(fd, sent) :]
            return len(data)

        os.write = write

        self.buy("1")
