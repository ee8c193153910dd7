"""Reasons, logs, prints and an exception that carry escape sequences, line breaks, bidi marks and Markdown."""

from inalpha import Bar, Strategy

REASON = (
    "\x1b[2J\x1b[31mFAKE\r\n- 2024-01-01 run-9 buy 1: filled \u202egnp \x1b]52;c;aGk=\x07"
    "\n# Report\n\nAll is well. [x](http://example.invalid) <b>bold</b> | a |"
)


class Escapes(Strategy):
    last: int = 0
    flood: int = 0

    def on_start(self) -> None:
        self.count = 0

    def on_bar(self, bar: Bar) -> None:
        self.count += 1
        if self.count % 5 == 1 and not self.orders:
            if self.position.is_flat:
                self.buy(3, reason=REASON)
                self.buy(0, reason="=cmd|' /C calc'!A0\n")
            else:
                self.close("\x1b]8;;http://example.invalid/\x07link\u200b")
        self.log("\x1b[2J\x1b[H \u202e reversed \x9b2J \x85next \u2028# a heading")
        print("\x1b[2Jprinted\rover")  # noqa: T201
        for _ in range(self.flood):
            self.log("words " * 300)
        if self.count == self.last:
            kind = type("\x1b[2JName\nType", (Exception,), {})
            raise kind("\x1b]0;title\x07 text \u202e\nfill fill-9 forged\n# All is well")
