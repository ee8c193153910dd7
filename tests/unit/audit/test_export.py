"""Exports: the same bytes each time, accepted by the standalone verifier, refused after any edit."""

from __future__ import annotations

import json
import random
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from types import ModuleType

import pytest
from support.attacks import Export, load_verifier, members_of, pack
from support.ledger_story import Story, whole_story

from inalpha.audit.export import export_ledger
from inalpha.audit.prove import prove_fill
from inalpha.audit.schema import gate_subjects, proposal_subjects, specification
from inalpha.ledger.readers import open_reader
from inalpha.verifier.build import build

SEED = 20260


@pytest.fixture(scope="module")
def honest(tmp_path_factory: pytest.TempPathFactory) -> Story:
    return whole_story(tmp_path_factory.mktemp("export") / "home")


@pytest.fixture(scope="module")
def exported(honest: Story) -> Export:
    return Export.of(honest.home)


@pytest.fixture(scope="module")
def verifier() -> ModuleType:
    return load_verifier()


def test_same_size_and_cosignatures_give_the_same_bytes(honest: Story, tmp_path: Path) -> None:
    copy = tmp_path / "elsewhere"
    shutil.copytree(honest.home, copy)
    assert Export.of(honest.home).data == Export.of(copy).data


def test_zip_is_stored_sorted_and_dated_1980(exported: Export) -> None:
    with zipfile.ZipFile(exported.path) as archive:
        assert archive.testzip() is None
        infos = archive.infolist()
    assert [info.filename for info in infos] == sorted(info.filename for info in infos)
    assert {(info.compress_type, info.date_time) for info in infos} == {(0, (1980, 1, 1, 0, 0, 0))}
    assert {"checkpoint", "policy", "report.json", "verify.py"} <= {info.filename for info in infos}


def test_standalone_verifier_runs_alone(exported: Export, tmp_path: Path) -> None:
    script = tmp_path / "verify.py"
    script.write_bytes(members_of(exported.data)["verify.py"])
    run = subprocess.run(
        [sys.executable, "-I", str(script), str(exported.path), "--genesis", exported.genesis, "--json"],
        capture_output=True, text=True, cwd=tmp_path, check=False,
    )  # fmt: skip
    assert run.returncode == 0, run.stdout + run.stderr
    found = json.loads(run.stdout)
    assert found["size"] == 34
    assert found["unanchored_since"] == 8
    assert b"inalpha" not in b"".join(line for line in build().splitlines() if b"import " in line)


@pytest.mark.parametrize(
    ("options", "code"),
    [
        ((), 0),
        (("--require-anchor",), 6),
        (("--genesis", "0" * 64), 6),
        (("--genesis", "zz"), 2),
        (("--policy", "/nonexistent"), 2),
        (("--version",), 0),
    ],
)
def test_exit_codes(exported: Export, verifier: ModuleType, options: tuple[str, ...], code: int) -> None:
    words = [str(exported.path), "--genesis", exported.genesis, *options]
    try:
        assert verifier.main(words) == code
    except SystemExit as ended:
        assert ended.code == code


def test_kept_checkpoint_anchors_and_a_longer_one_refuses(exported: Export) -> None:
    note = members_of(exported.data)["checkpoint"]
    found = exported.verify(kept=note)
    assert (found["first_bad"], found["unanchored_since"]) == (None, None)
    assert exported.verify(kept=note.replace(b"\n34\n", b"\n35\n"))["first_bad"] is not None


def test_any_flipped_byte_of_the_file_is_refused(exported: Export) -> None:
    chooser = random.Random(SEED)
    print(f"seed {SEED}")  # noqa: T201
    own = exported.data.index(build())
    for _ in range(120):
        at = chooser.randrange(own)
        data = bytearray(exported.data)
        data[at] ^= chooser.randrange(1, 256)
        assert exported.with_data(bytes(data)).verify()["first_bad"] is not None, at


def test_bytes_beside_the_members_are_refused(exported: Export) -> None:
    for data in (exported.data + b"\0", b"\0" + exported.data, exported.data[:-1], b"", b"PK"):
        assert exported.with_data(data).verify()["first_bad"] == 0


def test_missing_or_surplus_members_are_refused(exported: Export) -> None:
    whole = members_of(exported.data)
    for name in whole:
        if name.startswith("checkpoints/"):
            continue  # what was published once is nowhere counted; only a kept copy tells
        less = {key: value for key, value in whole.items() if key != name}
        assert exported.with_data(pack(less)).verify()["first_bad"] is not None, name
    assert exported.with_data(pack(whole | {"notes.txt": b"hello"})).verify()["first_bad"] is not None
    assert exported.with_data(pack(whole)).verify()["first_bad"] is None


def test_false_claims_are_refused(exported: Export) -> None:
    whole = members_of(exported.data)
    whole["report.json"] = whole["report.json"].replace(b'"fills":2', b'"fills":3')
    assert "I13" in str(exported.with_data(pack(whole)).verify()["reason"])


def test_tables_of_both_verifiers_are_the_specification(verifier: ModuleType) -> None:
    wanted = {kind: entry["data"] for kind, entry in specification()["kinds"].items()}
    objects = specification()["objects"]
    wanted |= {"mandate": objects["mandate"], "body": objects["plan body"], "feed": objects["mandate.feed"]}
    assert wanted == verifier.FORMS
    assert {kind: tuple(names) for kind, names in verifier.GATE_SUBJECTS.items()} == dict(gate_subjects())
    assert {kind: tuple(names) for kind, names in verifier.PROPOSAL_SUBJECTS.items()} == dict(
        proposal_subjects()
    )


def test_interrupted_export_leaves_nothing(honest: Story, tmp_path: Path) -> None:
    target = tmp_path / "out.zip"

    def interrupt(done: int, total: int) -> None:
        raise AssertionError("a short ledger shows no progress")

    export_ledger(honest.home, open_reader(honest.home), target, progress=interrupt)
    target.unlink()
    code = (
        "import os, signal, inalpha.audit.bundle as b\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"  # a background shell has it ignored
        "pieces = b.zip_pieces\n"
        "def slow(members):\n"
        "    for n, piece in enumerate(pieces(members)):\n"
        "        yield piece\n"
        "        if n == 5: os.kill(os.getpid(), signal.SIGINT)\n"
        "b.zip_pieces = slow\n"
        "from inalpha.cli.main import main\n"
        f"main(['--home', {str(honest.home)!r}, 'audit', 'export', {str(target)!r}])\n"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert run.returncode == 75, run.stderr
    assert list(tmp_path.iterdir()) == []


def test_lost_blob_refuses_the_export(honest: Story, tmp_path: Path) -> None:
    from inalpha.model.errors import IntegrityError

    copy = tmp_path / "home"
    shutil.copytree(honest.home, copy)
    (copy / "blobs.db").write_bytes((Story(tmp_path / "other").create().home / "blobs.db").read_bytes())
    with pytest.raises(IntegrityError, match="missing"):
        export_ledger(copy, open_reader(copy), tmp_path / "x.zip")
    assert not (tmp_path / "x.zip").exists()


def test_proof_of_a_fill_is_checked_without_the_ledger(honest: Story, verifier: ModuleType) -> None:
    bundle = prove_fill(honest.home, open_reader(honest.home), "fill-1")
    found = verifier.check_bundle(bundle, honest.genesis)
    assert (found["fill"], found["price"], found["approved_by"]) == (
        "fill-1",
        "65000.25",
        "system:live_runner",
    )
    with pytest.raises(verifier.Broken, match="genesis"):
        verifier.check_bundle(bundle, "0" * 64)


def refused(verifier: ModuleType, bundle: bytes, genesis: str) -> bool:
    try:
        verifier.check_bundle(bundle, genesis)
    except (verifier.Broken, verifier.Malformed):
        return True
    return False


def test_proof_is_refused_after_an_edit(honest: Story, verifier: ModuleType) -> None:
    bundle = prove_fill(honest.home, open_reader(honest.home), "fill-2")
    chooser = random.Random(SEED)
    print(f"seed {SEED}")  # noqa: T201
    for _ in range(400):
        at = chooser.randrange(len(bundle))
        edited = bytearray(bundle)
        edited[at] ^= chooser.randrange(1, 256)
        assert refused(verifier, bytes(edited), honest.genesis), at
    items = json.loads(bundle)["items"]
    for number in range(len(items)):
        less = json.loads(bundle)
        del less["items"][number]
        # Keys of agents and of later epochs may be superfluous; what tells the story may not.
        if items[number]["role"] != "key":
            text = (
                json.dumps(less, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode() + b"\n"
            )
            assert refused(verifier, text, honest.genesis), items[number]["role"]


@pytest.mark.campaign
def test_proof_is_refused_after_every_edit_of_one_byte(honest: Story, verifier: ModuleType) -> None:
    bundle = prove_fill(honest.home, open_reader(honest.home), "fill-1")
    for at in range(len(bundle)):
        edited = bytearray(bundle)
        edited[at] ^= 1 << (at % 8)
        assert refused(verifier, bytes(edited), honest.genesis), at
    print(f"{len(bundle)} edits refused")  # noqa: T201
