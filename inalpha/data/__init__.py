"""Real daily bars that come with the product; ORIGIN.md says from where and what was done to them."""

from __future__ import annotations

from pathlib import Path

_FOLDER = Path(__file__).parent


def bundled_names() -> list[str]:
    """Names of the bundled files without their suffix, such as `GOOG-1d`."""
    return sorted(path.stem for path in _FOLDER.glob("*.csv"))


def bundled(name: str) -> Path:
    """Path of a bundled file by its name or its symbol (`GOOG`). Raises KeyError naming what there is."""
    names = bundled_names()
    found = [known for known in names if name in (known, known.split("-")[0], f"{known}.csv")]
    if not found:
        raise KeyError(f"no bundled data {name!r}; there are: {', '.join(names)}")
    return _FOLDER / f"{found[0]}.csv"
