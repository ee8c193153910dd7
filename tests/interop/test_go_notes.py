"""Our lines, gates, checkpoints and proofs, read by Go's own log (golang.org/x/mod/sumdb), and its note by us.

Debian: golang-go and golang-golang-x-mod-dev. Skipped where they are absent.
"""

from __future__ import annotations

import base64
import copy
import json
import os
import shutil
import sqlite3
import subprocess
from pathlib import Path
from typing import Any

import pytest
from support.ledger_story import Story, whole_story

from inalpha.audit.event import read_event
from inalpha.audit.merkle import Tree, leaf_hash
from inalpha.audit.notes import NoteError, open_note, parse_vkey

GO = shutil.which("go")
GOPATH = Path("/usr/share/gocode")
SUMDB = GOPATH / "src/golang.org/x/mod/sumdb/note"

pytestmark = pytest.mark.skipif(
    GO is None or not SUMDB.exists(), reason="needs golang-go and golang-golang-x-mod-dev"
)


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("go") / "reader"
    environment = os.environ | {"GO111MODULE": "off", "GOPATH": str(GOPATH), "GOFLAGS": ""}
    source = str(Path(__file__).with_name("main.go"))
    subprocess.run([str(GO), "build", "-o", str(target), source], env=environment, check=True, timeout=300)
    return target


@pytest.fixture(scope="module")
def question(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    story = whole_story(tmp_path_factory.mktemp("interop") / "home")
    return ask_about(story)


def ask_about(story: Story) -> dict[str, Any]:
    conn = sqlite3.connect(f"{(story.home / 'ledger.db').as_uri()}?mode=ro", uri=True)
    entries = [entry for (entry,) in conn.execute("SELECT entry FROM ev ORDER BY seq")]
    conn.close()
    leaves = [leaf_hash(entry) for entry in entries]
    tree = Tree(lambda start, end: leaves[start:end])
    notes, log, keys = [], "", {}
    for entry, leaf in zip(entries, leaves, strict=True):
        tree.append(leaf)
        event = read_event(entry)
        if event.kind == "ledger.genesis":
            log, owner = event.data["log_vkey"], event.data["owner_vkey"]
            keys["op:anna"] = owner
        elif event.kind == "key.enrol":
            keys[event.data["principal"]] = event.data["vkey"]
        notes.append({"Vkey": log, "Note": entry.decode()})
        for text in (event.gate, event.proposal):
            if text is not None:
                notes.append({"Vkey": keys[event.actor], "Note": text})
        if event.kind == "key.rotate":
            log = event.data["vkey"]
    head = (story.home / "head.checkpoint").read_text()
    notes.append({"Vkey": log, "Note": head})
    size = len(entries)
    assert int(head.split("\n")[1]) == size
    roots = {old: tree.root(old) for old in range(1, size + 1)}
    return {
        "Notes": notes,
        "Entries": [b64(entry) for entry in entries],
        "Roots": {str(old): b64(root) for old, root in roots.items()},
        "Inclusion": [
            {
                "Index": index, "Size": size, "Proof": list(map(b64, tree.inclusion(index, size))),
                "Root": b64(tree.root()),
            }
            for index in range(size)
        ],
        "Consistency": [
            {
                "Old": old, "New": size, "Proof": list(map(b64, tree.consistency(old, size))),
                "OldRoot": b64(roots[old]), "NewRoot": b64(tree.root()),
            }
            for old in range(1, size + 1)
        ],
    }  # fmt: skip


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def answer(program: Path, question: dict[str, Any]) -> dict[str, Any]:
    run = subprocess.run(
        [str(program)], input=json.dumps(question), capture_output=True, text=True, check=True, timeout=60
    )
    found: dict[str, Any] = json.loads(run.stdout)
    return found


def test_go_confirms_every_note_root_and_proof(program: Path, question: dict[str, Any]) -> None:
    counts = {name: len(items) for name, items in question.items()}
    assert counts["Notes"] > counts["Entries"] > 20
    assert answer(program, question)["refused"] == []
    print(f"confirmed by golang.org/x/mod/sumdb: {counts}")  # noqa: T201


def test_go_refuses_what_was_changed(program: Path, question: dict[str, Any]) -> None:
    spoiled = copy.deepcopy(question)
    for item in spoiled["Notes"]:
        item["Note"] = item["Note"].replace("inalpha", "1nalpha", 1)
    for item in (*spoiled["Inclusion"], *spoiled["Consistency"]):
        name = "Root" if "Root" in item else "NewRoot"
        item[name] = b64(bytes(32))
    spoiled["Roots"] = {size: b64(bytes(32)) for size in spoiled["Roots"]}
    # An old size equal to the new one is checked by its roots alone, which differ now as well.
    wanted = sum(len(spoiled[name]) for name in ("Notes", "Inclusion", "Consistency", "Roots"))
    assert len(answer(program, spoiled)["refused"]) == wanted


def test_go_signs_what_we_open(program: Path) -> None:
    found = answer(program, {})
    key = parse_vkey(found["vkey"])
    assert open_note(found["note"].encode(), [key]).text == b"go.example/log\n1\nAAAA\n"
    with pytest.raises(NoteError):
        open_note(found["note"].replace("AAAA", "AAAB").encode(), [key])
