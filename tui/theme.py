"""Roles of text and what each theme makes of them. A colour only repeats what glyph and word say."""

from __future__ import annotations

import os
from collections.abc import Mapping

from rich.style import Style
from textual.theme import Theme

ROLES = (
    "",
    "dim",
    "strong",
    "title",
    "good",
    "bad",
    "warn",
    "accent",
    "rule",
    "frame",
    "tab",
    "key",
    "cursor",
)

_FORMS = {
    "dark": ("#c9d1d9", "#8b949e", "#4cc26a", "#ff7b72", "#e3b341", "#6cb6ff", "#3d444d", "#11161d", "#1c2430",
             "#0d1117"),
    "light": ("#1f2328", "#59636e", "#116329", "#b3202b", "#7d5200", "#0550ae", "#c4cbd2", "#eef1f4", "#dde7f3",
              "#ffffff"),
    "high-contrast": ("#ffffff", "#d0d0d0", "#5cff8f", "#ff8a8a", "#ffe14d", "#8fd3ff", "#a0a0a0", "#000000",
                      "#303060", "#000000"),
}  # fmt: skip


def _coloured(form: tuple[str, ...]) -> dict[str, Style]:
    text, dim, good, bad, warn, accent, rule, _, cursor, back = form
    return {
        "": Style(color=text),
        "dim": Style(color=dim),
        "strong": Style(color=text, bold=True),
        "title": Style(color=dim, bold=True),
        "good": Style(color=good),
        "bad": Style(color=bad, bold=True),
        "warn": Style(color=warn, bold=True),
        "accent": Style(color=accent),
        "rule": Style(color=rule),
        "frame": Style(color=dim),
        "tab": Style(color=back, bgcolor=accent, bold=True),
        "key": Style(color=accent, bold=True),
        "cursor": Style(bgcolor=cursor, bold=True),
    }


PLAIN: dict[str, Style] = {
    "": Style(),
    "dim": Style(dim=True),
    "strong": Style(bold=True),
    "title": Style(bold=True, dim=True),
    "good": Style(),
    "bad": Style(bold=True, reverse=True),
    "warn": Style(bold=True),
    "accent": Style(),
    "rule": Style(dim=True),
    "frame": Style(),
    "tab": Style(reverse=True, bold=True),
    "key": Style(bold=True),
    "cursor": Style(reverse=True),
}
ANSI: dict[str, Style] = PLAIN | {
    "good": Style(color="green"),
    "bad": Style(color="red", bold=True),
    "warn": Style(color="yellow", bold=True),
    "accent": Style(color="cyan"),
    "key": Style(color="cyan", bold=True),
}

PLAIN_LOOK = "plain"
STYLES: Mapping[str, Mapping[str, Style]] = {
    **{name: _coloured(form) for name, form in _FORMS.items()},
    "ansi": ANSI,
    PLAIN_LOOK: PLAIN,
}
TERMINALS = (PLAIN_LOOK, "ansi")  # looks in the terminal's own colours
NAMES = ("dark", "light", "high-contrast", "ansi")


def themes() -> list[Theme]:
    """Our palettes as Textual themes, for inputs and panels."""
    return [
        Theme(
            name=f"inalpha-{name}", primary=form[5], secondary=form[1], accent=form[5], warning=form[4],
            error=form[3], success=form[2], foreground=form[0], background=form[9], surface=form[9],
            panel=form[7], dark=name != "light",
        )
        for name, form in _FORMS.items()
    ]  # fmt: skip


def first_theme() -> str:
    """NO_COLOR selects the uncoloured one."""
    return PLAIN_LOOK if os.environ.get("NO_COLOR") else os.environ.get("INALPHA_THEME", "dark")
