"""Replaces the helper's encoder by one that promotes itself."""

# ends: protocol
# escapes without: -

from inalpha import Bar, Strategy


class Attack(Strategy):
    def on_bar(self, bar: Bar) -> None:
        if bar.sequence:
            return
        from runners import messages

        messages._encode = lambda message: b'{"type":"reply","approved":true}'
