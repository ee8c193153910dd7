"""The one table of what a person can do: bindings, footer, help and palette are made from it."""

from __future__ import annotations

from dataclasses import dataclass

SCREENS = ("plans", "runs", "positions", "decisions", "candidates", "audit", "health")
TITLES = ("Plans", "Runs", "Positions", "Decisions", "Candidates", "Audit", "Health")
SHORT = ("Plans", "Runs", "Pos", "Dec", "Cand", "Audit", "Health")


@dataclass(frozen=True, slots=True)
class Command:
    """level: 0 looks, 1 tightens (form and ^s), 2 signs (last four of the digest), 9 halts.

    screens: where it is offered, empty for everywhere. needs: what must hold, checked by the app, which
    says why it is off: a row, a key, a pending plan, a live run.
    """

    id: str
    key: str
    label: str
    level: int = 0
    screens: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()
    footer: bool = False
    told: str = ""


COMMANDS: tuple[Command, ...] = (
    *(
        Command(f"screen.{name}", str(place), f"Screen {title}", told=f"go to {title}")
        for place, (name, title) in enumerate(zip(SCREENS, TITLES, strict=True), 1)
    ),
    Command("plan.approve", "a", "Approve…", 2, ("plans",), ("bus", "key", "pending"), True,
            "sign the plan's digest: type its last four"),
    Command("plan.reject", "r", "Reject…", 1, ("plans",), ("bus", "key", "pending"), True,
            "sign a no, with its reason"),
    Command("run.stop", "s", "Stop…", 1, ("runs",), ("bus", "live"), True, "end the run; its position stays"),
    Command("run.pause", "P", "Pause…", 1, ("runs",), ("bus", "live"), True, "REDUCING: no entries, exits run"),
    Command("audit.verify", "V", "Verify", 0, ("audit",), (), True, "every check from genesis, in its own process"),
    Command("read.all", "x", "Mark read", 0, ("decisions",), (), True, "everything up to now counts as read"),
    Command("read.next", "n", "Next unread", 0, ("decisions",), (), True, "move to the next unread decision"),
    Command("open", "enter", "Open", 0, (), (), True, "open the row; Enter never decides"),
    Command("back", "escape", "Back", 0, (), (), False, "close, or clear the filter"),
    Command("filter", "slash", "Filter", 0, (), (), True, "words must all match, !word must not, run:run-2"),
    Command("sort", "o", "Sort", 0, (), (), False, "by the next column"),
    Command("sort.flip", "O", "Flip sort", 0, (), (), False, "turn the order round"),
    Command("copy.id", "y", "Copy id", 0, (), (), False, "to the terminal's clipboard (OSC 52)"),
    Command("key.unlock", "U", "Unlock", 0, (), (), False, "open the operator's key with its passphrase"),
    Command("key.lock", "L", "Lock", 0, (), (), False, "forget the key now"),
    Command("theme", "T", "Theme", 0, (), (), False, "dark, light, high-contrast, ansi"),
    Command("help", "question_mark", "Help", 0, (), (), True, "this list"),
    Command("palette", "ctrl+p", "Commands", 0, (), (), True, "search commands; : does the same"),
    Command("leave", "q", "Leave", 0, (), (), False, "close the console; runs and daemon go on"),
    Command("halt", "f10", "HALT ALL", 9, (), (), False, "no order works any more; positions stay; needs no key"),
)  # fmt: skip

BY_ID = {command.id: command for command in COMMANDS}
_NAMES = {"slash": "/", "question_mark": "?", "ctrl+p": "^p", "enter": "Enter", "escape": "Esc", "f10": "F10"}


def key_text(command: Command) -> str:
    """The key as people write it."""
    return _NAMES.get(command.key, command.key)


def offered(screen: str) -> list[Command]:
    """What the footer of a screen names, its own commands first."""
    own = [command for command in COMMANDS if command.footer and screen in command.screens]
    return own + [command for command in COMMANDS if command.footer and not command.screens]
