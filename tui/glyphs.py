"""The ascii form of every glyph we draw: one table, applied when a line is painted."""

from __future__ import annotations

SPARK = "▁▂▃▄▅▆▇█"

_PAIRS = {
    "│": "|", "┆": "|", "↳": ">", "⇥": ">", "─": "-", "┌": "+", "┐": "+", "└": "+", "┘": "+", "├": "+", "┤": "+",
    "✓": "+", "✗": "x", "●": "*", "○": "o", "◐": "%", "◑": "%", "▶": ">", "▸": ">", "…": "~", "→": ">", "←": "<",
    "▲": "^", "▼": "v", "≈": "~", "·": ".", "“": '"', "”": '"', "░": ".", "∞": "8", "×": "x",
    "┃": "#", "╷": ".", "╵": "'", "╻": "#", "╹": "#", "╽": "#", "╿": "#",
    **dict(zip(SPARK, "_.,-=+*#", strict=True)),
}  # fmt: skip


def _braille(code: int) -> str:
    """A dot pattern by the height of its dots: top, middle or bottom."""
    bits = code - 0x2800
    if not bits:
        return " "
    rows = (0x09, 0x12, 0x24, 0xC0)
    heights = [row for row, mask in enumerate(rows) for _ in range((bits & mask).bit_count())]
    return "'-_."[min(round(sum(heights) / len(heights)), 2)]


ASCII = str.maketrans(_PAIRS | {chr(code): _braille(code) for code in range(0x2800, 0x2900)})


def to_ascii(text: str) -> str:
    """Only the glyphs that are ours; letters of names and reasons stay as they are."""
    return text.translate(ASCII)
