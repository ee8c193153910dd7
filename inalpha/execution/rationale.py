"""What a rationale may be: read by the person who decides, so nothing in it may hide or pretend."""

from __future__ import annotations

import re

from inalpha.model.errors import Refused

AGENT_LEAST, AGENT_MOST = 20, 2000  # characters
MOST_BYTES = 4000
# Control characters but tab and newline, bidirectional and zero-width ones, lone surrogates, tags.
HIDING = re.compile(
    r"[\x00-\x08\x0b-\x1f\x7f-\x9f\xad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"
    r"\ud800-\udfff\U000e0000-\U000e007f]"
)


def check_rationale(text: str, principal: str) -> None:
    """Raises Refused("RATIONALE"): empty or too long, an agent's too short, or with a character that hides."""
    found = HIDING.search(text)
    if found is not None:
        raise _refused(
            f"character {found.start() + 1} is U+{ord(found.group()):04X}, which a reader cannot see"
        )
    if not text.strip():
        raise _refused("it is empty")
    if len(text.encode()) > MOST_BYTES:
        raise _refused(f"it has more than {MOST_BYTES} bytes")
    if principal.startswith("agent:") and not AGENT_LEAST <= len(text.strip()) <= AGENT_MOST:
        raise _refused(f"an agent's has {AGENT_LEAST} to {AGENT_MOST} characters")


def _refused(why: str) -> Refused:
    return Refused("RATIONALE", f"not a rationale: {why}.", "--rationale TEXT")
