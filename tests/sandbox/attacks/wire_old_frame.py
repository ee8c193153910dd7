"""Answers every request with its first reply."""

# ends: protocol
# escapes without: -

import os

from inalpha import Bar, Strategy

kept: list[bytes] = []


class Attack(Strategy):
    def on_bar(self, bar: Bar) -> None:
        if bar.sequence:
            return

        def change(body):
            kept.append(body)
            return kept[0]

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
