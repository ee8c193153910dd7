"""An erased text is in no file of the home: not in a line, a journal, a log, a write-ahead log or a free page."""

from __future__ import annotations

import json
from pathlib import Path

from support.installation import Installation, first_bars

REASONS = ("crossed-upwards-zebra", "crossed-downwards-okapi")
WORDS = {
    "candidate.submit": "rationale-walrus, for once",
    "candidate.promote": "promoted-because-lynx",
    "halt.set": "halted-because-heron",
    "halt.resume": "resumed-because-ibis",
    "plan.create": REASONS[0],
}


def holding(home: Path, word: str) -> list[str]:
    """Every file with the word's bytes in it."""
    files = [path for path in home.rglob("*") if path.is_file() and not path.name.endswith(".py")]
    return sorted(str(path.relative_to(home)) for path in files if word.encode() in path.read_bytes())


def commits(home: Installation, kind: str) -> list[str]:
    lines = [json.loads(line) for line in home("audit", "log", "--kind", kind, "--json").splitlines()]
    data = [line["data"].get("body", line["data"]) for line in lines]
    return [item.get("rationale_commit") or item["reason_commit"] for item in data]


def strategy(root: Path) -> Path:
    """One that gives reasons, reads them back, and would trade otherwise did it not find them.

    The words stand in pieces in its source, which is kept for ever.
    """
    file = root / "spoken.py"
    file.write_text("""from inalpha import Bar, Strategy


class Spoken(Strategy):
    def on_start(self) -> None:
        self.seen, self.heard = 0, ""

    def on_bar(self, bar: Bar) -> None:
        self.seen += 1
        if self.seen % 5 == 1 and self.position.is_flat:
            self.buy(2, reason="-".join(["crossed", "upwards", "zebra"]))
        elif self.seen % 5 == 3 and self.position.is_long:
            known = self.heard == "-".join(["crossed", "upwards", "zebra"])
            self.sell(2 if known else 1, reason="-".join(["crossed", "downwards", "okapi"]))

    def on_order_event(self, event: object) -> None:
        self.heard = event.reason
""")
    return file


def test_erased_texts_are_in_no_file_of_the_home(tmp_path: Path) -> None:
    home = Installation(tmp_path / "home")
    genesis = home.init()["genesis"]
    home.start()
    try:
        home("agent", "add", "claude")
        bars = first_bars("GOOG-1d.csv", 320, tmp_path / "gate.csv")
        found = home.json("candidate", "submit", str(strategy(tmp_path)), "--agent", "claude", "--rationale",
                          WORDS["candidate.submit"], "--bars", str(bars))  # fmt: skip
        assert found["state"] == "passed", found
        home("candidate", "promote", found["candidate"], "--reason", WORDS["candidate.promote"])
        home("halt", "--all", "--reason", WORDS["halt.set"])
        home("resume", "all", "--reason", WORDS["halt.resume"])
        run = home.run(found["candidate"], first_bars("GOOG-1d.csv", 40, tmp_path / "a.csv"))
        home("run", "wait", run, "--timeout", "60")
        assert {item["reason"] for item in home.items("fills", "--run", run)} == set(REASONS)
        assert {item["reason"] for item in home.items("decisions", "--run", run)} == set(REASONS)
        assert all(item["quantity"] == "2" for item in home.items("fills", "--run", run))
        home.stop()
        home.start()  # texts at rest survive a start
        assert {item["reason"] for item in home.items("fills", "--run", run)} == set(REASONS)
        assert home.json("replay", run)["divergence"] is None
        before = {kind: holding(home.home, word) for kind, word in WORDS.items()}
        assert all("blobs.db" in " ".join(files) for files in before.values()), before

        for kind in WORDS:
            for commit in set(commits(home, kind)):
                home("blob", "erase", commit, "--reason", "asked for")
        left = {word: holding(home.home, word) for word in (*WORDS.values(), REASONS[1])}
        assert not any(left.values()), left
        fills = home.items("fills", "--run", run)
        assert fills and {item["reason"] for item in fills} == {""}
        home.stop()
        assert not any(holding(home.home, word) for word in WORDS.values())
        home("audit", "verify", "--genesis", genesis)
        assert home.json("replay", run)["divergence"] is None
    finally:
        home.stop()
