"""Follows the helper line by line and rewrites what it finds."""

# ends: - protocol exit exception
# escapes without: -

import sys

from inalpha import Bar, Strategy


class Attack(Strategy):
    def on_bar(self, bar: Bar) -> None:
        if bar.sequence:
            return

        def follow(frame, event, argument):
            if "nonce" in frame.f_locals:
                frame.f_locals["nonce"] = "0" * 32
            return follow

        sys.settrace(follow)
