"""The manual's table of promises, attacked: who may have changed what, and who would notice.

From one honest export each attack makes another, as well packed and signed as its attacker can. It is then
verified with the genesis hash alone, with a kept checkpoint as well, and with a witness's note as well. Where
the table says "detected" nothing may pass; where it says "not", the printed counts show how much did.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from support.attacks import Export, members_of, pack, repack
from support.forgery import long_story

from inalpha.audit import witness
from inalpha.audit.checkpoint import parse_note
from inalpha.audit.event import read_event
from inalpha.audit.keys import load_signer
from inalpha.audit.notes import Signer
from inalpha.ledger.readers import open_reader

SEED = 41
SHORT, LONG = 36, 1350
GENESIS, KEPT, WITNESS = "genesis", "+ checkpoint", "+ witness"


@dataclass
class Scene:
    """The honest export, what the auditor kept, and what the thief stole: the current log key."""

    export: Export
    entries: list[bytes]
    kept: bytes
    policy: str
    cosigned_size: int
    thief: Signer
    rotation: int
    last_gate_base: int
    chooser: random.Random

    def place(self, low: int, high: int) -> int:
        return self.chooser.randrange(low, high)


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Scene:
    root = tmp_path_factory.mktemp("attacks")
    story = long_story(root / "home")
    story.open()
    vkey = witness.create(root / "bob", "bob", story.ledger.origin, story.genesis).text
    story.gated("key.enrol", {"principal": None, "role": "witness", "sponsor": None, "vkey": vkey})
    data = {"code": "X", "command": "y", "count": 1, "principal": "op:anna"}
    for number in range(20):
        story.do(lambda txn, n=number: txn.line("refusal", "system:daemon", data | {"count": n}))
    reader = open_reader(story.home)
    (story.home / "head.checkpoint").write_bytes(_signed_head(story))
    note = witness.cosign(root / "bob", witness.make_request(story.home, reader, 1), 1_780_002_000)
    reader.close()
    size = parse_note(note).size
    cosign = {"note": note.decode(), "size": size, "witness": vkey.split("+")[0]}
    story.do(lambda txn: txn.line("witness.cosign", "system:daemon", cosign))
    for number in range(20):
        story.do(lambda txn, n=number: txn.line("refusal", "system:daemon", data | {"count": n}))
    story.close()
    export = Export.of(story.home)
    entries = entries_of(export)
    events = [read_event(entry) for entry in entries]
    rotation = max(event.seq for event in events if event.kind == "key.rotate")
    bases = [_base(event.gate) for event in events if event.gate]
    policy = members_of(export.data)["policy"].decode()
    thief = load_signer(story.home / "log.key", events[0].log)
    return Scene(
        export, entries, members_of(export.data)["checkpoint"], policy, size, thief, rotation, max(bases),
        random.Random(SEED),
    )  # fmt: skip


def _signed_head(story) -> bytes:  # type: ignore[no-untyped-def]
    from inalpha.audit.checkpoint import Checkpoint

    ledger = story.ledger
    signer = story.do(lambda txn: txn.tail.signer)
    return Checkpoint(ledger.origin, ledger.size, ledger.root).sign(signer)


def _base(gate: str | None) -> int:
    from inalpha.audit.gate import GATE_HEADER, parse

    return int(parse(str(gate), GATE_HEADER).base_size or 0)


def entries_of(export: Export) -> list[bytes]:
    from support.attacks import load_verifier

    verifier, members = load_verifier(), members_of(export.data)
    size = parse_note(members["checkpoint"]).size
    return [
        entry for name in verifier.tile_names("entries", size) for entry in verifier.entries_of(members[name])
    ]


# --- attackers: each answers the bytes of another export ---------------------------------------------


def damage(scene: Scene, entries: list[bytes], low: int, high: int) -> tuple[list[bytes], int]:
    """One edit, deletion, repetition or swap between two places, and the first line that it touched."""
    at = scene.place(low, high)
    act = scene.place(0, 4)
    if act == 0:
        entry = bytearray(entries[at])
        entry[scene.place(0, len(entry))] ^= 1 << scene.place(0, 8)
        return [*entries[:at], bytes(entry), *entries[at + 1 :]], at
    if act == 1:
        return entries[:at] + entries[at + 1 :], at
    if act == 2:
        return [*entries[: at + 1], *entries[at:]], at + 1
    at = min(at, len(entries) - 2)
    return [*entries[:at], entries[at + 1], entries[at], *entries[at + 2 :]], at


def keyless(scene: Scene) -> Export:
    """Edits and packs everything anew, but can sign nothing."""
    entries, _ = damage(scene, scene.entries, 0, len(scene.entries))
    return repack(scene.export, entries, None)


def tail_cut(scene: Scene) -> Export:
    """Lines taken from the end, the signed head left as it was."""
    return repack(scene.export, scene.entries[: scene.place(1, len(scene.entries))], None)


def rewritten(scene: Scene, at: int) -> list[bytes]:
    """The line at a place told otherwise, and all later ones chained and signed again with the stolen key."""
    return resigned(scene, at, lambda text: retold(text, scene))


def resigned(scene: Scene, at: int, change: Callable[[bytes], bytes]) -> list[bytes]:
    from inalpha.audit.merkle import leaf_hash

    found = list(scene.entries[:at])
    for seq in range(at, len(scene.entries)):
        text = scene.entries[seq].split(b"\n\n")[0] + b"\n"
        text = change(text) if seq == at else text
        before = b'"prev":"' + leaf_hash(scene.entries[seq - 1]).hex().encode()
        text = text.replace(before, b'"prev":"' + leaf_hash(found[-1]).hex().encode())
        found.append(scene.thief.note(text))
    return found


def retold(text: bytes, scene: Scene) -> bytes:
    """Other content of the right form: the line becomes a refusal that never was."""
    import json

    members = json.loads(text.split(b"\n")[1])
    members |= {"kind": "refusal", "actor": "system:daemon"}
    members["data"] = {"code": "LIE", "command": "z", "count": scene.place(0, 10**6), "principal": "op:anna"}
    for name in ("gate", "gate2", "proposal"):
        members.pop(name, None)
    body = json.dumps(members, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return text.split(b"\n")[0] + b"\n" + body.encode() + b"\n"


def thief_below(scene: Scene) -> Export:
    at = scene.place(1, max(scene.rotation, scene.last_gate_base))
    return repack(scene.export, rewritten(scene, at), scene.thief)


def ordinary(scene: Scene) -> list[int]:
    """Lines whose retelling breaks no invariant, above everything that a person or an old key covers."""
    start = max(scene.rotation, scene.last_gate_base, _last_gate(scene)) + 1
    return [at for at in range(start, len(scene.entries)) if b'"kind":"refusal"' in scene.entries[at]]


def _last_gate(scene: Scene) -> int:
    return max(at for at, entry in enumerate(scene.entries) if b'"gate":' in entry)


def thief_above(scene: Scene) -> Export:
    """Rewrites recent lines below the cosigned size; drops the cosignature that would contradict."""
    places = [at for at in ordinary(scene) if at < scene.cosigned_size]
    at = scene.chooser.choice(places)
    return without_cosignature(scene, rewritten(scene, at))


def without_cosignature(scene: Scene, entries: list[bytes]) -> Export:
    """The line that would contradict them becomes something else."""
    cosign = next(seq for seq, entry in enumerate(entries) if b'"kind":"witness.cosign"' in entry)
    short = Scene(**{**scene.__dict__, "entries": entries})
    return repack(scene.export, resigned(short, cosign, lambda text: retold(text, scene)), scene.thief)


def invented_approval(scene: Scene) -> Export:
    """An approval by a person: its gate moved to another line, or its line told again, with the stolen key."""
    import json

    gated = [at for at, entry in enumerate(scene.entries) if at and b'"gate":' in entry]
    source, at = scene.chooser.choice(gated), scene.chooser.choice(ordinary(scene))

    def change(text: bytes) -> bytes:
        old = json.loads(scene.entries[source].split(b"\n")[1])
        members = json.loads(text.split(b"\n")[1])
        members |= {"kind": old["kind"], "actor": old["actor"], "data": old["data"], "gate": old["gate"]}
        if scene.place(0, 2) and "sha256" in members["data"]:
            members["data"]["sha256"] = "e" * 64
        body = json.dumps(members, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        return text.split(b"\n")[0] + b"\n" + body.encode() + b"\n"

    return repack(scene.export, resigned(scene, at, change), scene.thief)


def older(scene: Scene) -> Export:
    """An honest export of fewer lines, its head signed with the stolen key."""
    low = max(scene.rotation, scene.last_gate_base, _last_gate(scene)) + 1
    places = [at for at in range(low, scene.cosigned_size) if at in ordinary(scene)]
    return repack(scene.export, scene.entries[: scene.chooser.choice(places) + 1], scene.thief)


def dated(scene: Scene, us_before_last: int) -> Export:
    """A covered line dated so long before the one above it, all later lines signed again."""
    at = scene.chooser.choice([at for at in ordinary(scene) if at < scene.cosigned_size])
    earlier = read_event(scene.entries[at - 1]).ts - us_before_last
    ts = read_event(scene.entries[at]).ts

    def change(text: bytes) -> bytes:
        return text.replace(b'"ts":%d,' % ts, b'"ts":%d,' % earlier)

    return without_cosignature(scene, resigned(scene, at, change))


def backdated(scene: Scene) -> Export:
    """Within the order of the lines nothing but a signature from outside knows the time."""
    return dated(scene, 0)


def out_of_order(scene: Scene) -> Export:
    return dated(scene, scene.place(1, 10**9))


def second_history(scene: Scene) -> Export:
    """Another person gets another history of as many lines, told otherwise from some moment on."""
    at = scene.chooser.choice([at for at in ordinary(scene) if at + 3 < scene.cosigned_size])
    entries = rewritten(scene, at)
    for later in [later for later in ordinary(scene) if at < later < at + 3]:
        entries = rewritten(Scene(**{**scene.__dict__, "entries": entries}), later)
    return without_cosignature(scene, entries)


ROWS: dict[str, tuple[Callable[[Scene], Export], frozenset[str]]] = {
    "no key: edit, delete, repeat, reorder": (keyless, frozenset({GENESIS, KEPT, WITNESS})),
    "tail cut, head left": (tail_cut, frozenset({GENESIS, KEPT, WITNESS})),
    "thief: below rotation or gate": (thief_below, frozenset({GENESIS, KEPT, WITNESS})),
    "thief: later lines": (thief_above, frozenset({KEPT, WITNESS})),
    "two histories for two people": (second_history, frozenset({KEPT, WITNESS})),
    "thief: approval moved or replayed": (invented_approval, frozenset({GENESIS, KEPT, WITNESS})),
    "thief: backdated within the order": (backdated, frozenset({KEPT, WITNESS})),
    "thief: backdated before the last line": (out_of_order, frozenset({GENESIS, KEPT, WITNESS})),
    "older export": (older, frozenset({KEPT, WITNESS})),
}


def verdicts(scene: Scene, forged: Export) -> dict[str, bool]:
    """Per column whether the auditor notices. The witness is asked for its note of the size it signed."""
    asked = next(note for name, note in members_of(scene.export.data).items()
                 if name == f"checkpoints/{scene.cosigned_size}")  # fmt: skip
    return {
        GENESIS: forged.verify()["first_bad"] is not None,
        KEPT: forged.verify(kept=scene.kept)["first_bad"] is not None,
        WITNESS: forged.verify(policy=scene.policy, kept=asked)["first_bad"] is not None,
    }


def run_matrix(scene: Scene, count: int) -> Counter[tuple[str, str]]:
    """Attack count times over all rows; every promised detection is asserted."""
    scene.chooser.seed(SEED)
    noticed: Counter[tuple[str, str]] = Counter()
    for number in range(count):
        row = list(ROWS)[number % len(ROWS)]
        act, promised = ROWS[row]
        forged = act(scene)
        if forged.data == scene.export.data:
            continue
        noticed[row, "attacks"] += 1
        for column, seen in verdicts(scene, forged).items():
            assert seen or column not in promised, (row, column, SEED, number)
            noticed[row, column] += seen
    print(f"seed {SEED}")  # noqa: T201
    for row in ROWS:
        total = noticed[row, "attacks"]
        cells = "  ".join(f"{column} {noticed[row, column]}/{total}" for column in (GENESIS, KEPT, WITNESS))
        print(f"{row:40} {cells}")  # noqa: T201
    return noticed


def test_honest_export_passes_every_auditor(scene: Scene) -> None:
    assert verdicts(scene, scene.export) == {GENESIS: False, KEPT: False, WITNESS: False}
    assert scene.export.verify(policy=scene.policy)["anchored"] == scene.cosigned_size


@pytest.fixture(scope="module")
def noticed(scene: Scene) -> Counter[tuple[str, str]]:
    return run_matrix(scene, SHORT)


@pytest.mark.parametrize("column", [GENESIS, KEPT, WITNESS])
@pytest.mark.parametrize("row", ROWS)
def test_cell_of_the_table(noticed: Counter[tuple[str, str]], row: str, column: str) -> None:
    """Where it says "detected", every attack was; the table's "not" is honest too: none was."""
    attacks, promised = noticed[row, "attacks"], column in ROWS[row][1]
    assert attacks >= 3
    assert noticed[row, column] == (attacks if promised else 0)


def test_damaged_genesis_is_named_not_stumbled_over(scene: Scene) -> None:
    for at in (0, 30, 200, 800):
        entry = bytearray(scene.entries[0])
        entry[at] ^= 1
        assert repack(scene.export, [bytes(entry), *scene.entries[1:]], None).verify()["first_bad"] == 0


def test_quorum_of_two_is_not_met_by_one(scene: Scene) -> None:
    other = scene.policy.replace(
        "group witnesses any w1", f"{_second_witness(scene)}\ngroup witnesses all w1 w2"
    )
    assert scene.export.verify(policy=scene.policy)["first_bad"] is None
    assert "quorum" in str(scene.export.verify(policy=other)["reason"])


def _second_witness(scene: Scene) -> str:
    from inalpha.audit.notes import COSIGNATURE, SigningKey, VerifierKey

    key = VerifierKey("inalpha.local/ledger/x/witness/eve", COSIGNATURE, SigningKey(b"e" * 32).public)
    return f"witness w2 {key.text}"


def test_altered_cosignature_time_is_refused(scene: Scene) -> None:
    from inalpha.audit.notes import b64decode, b64encode

    members = members_of(scene.export.data)
    name = f"checkpoints/{scene.cosigned_size}"
    lines = members[name].decode().split("\n")
    word = lines[-2].split(" ")[-1]
    raw = bytearray(b64decode(word))
    raw[11] ^= 1
    members[name] = members[name].replace(word.encode(), b64encode(bytes(raw)).encode())
    assert scene.export.with_data(pack(members)).verify()["first_bad"] is not None


@pytest.mark.campaign
def test_a_thousand_attacks_are_noticed_where_promised(scene: Scene) -> None:
    noticed = run_matrix(scene, LONG)
    assert sum(count for (_, column), count in noticed.items() if column == "attacks") >= 1000
    assert Path(scene.export.path).exists()
