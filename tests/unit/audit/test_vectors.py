"""Published and own vectors of the audit formats. Third-party files stay outside of the repository."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from inalpha.audit import canonical, merkle, notes, sshsig
from inalpha.audit.checkpoint import open_checkpoint, parse_note
from inalpha.audit.event import Event, parse_entry
from inalpha.audit.gate import EnrolledKey, GateRefused, verify_gate, verify_proposal

OWN = Path(__file__).parents[2] / "vectors"
SHARED = Path(__file__).parents[4] / "shared" / "vectors"


def own(name: str) -> Any:
    return json.loads((OWN / name).read_text("utf-8"))


def shared(name: str) -> Any:
    path = SHARED / name
    if not path.exists():
        pytest.skip(f"third-party vectors are not in {SHARED}")
    return json.loads(path.read_text("utf-8"))


def rejected(case: dict[str, Any]) -> bool:
    return case["want"] == "reject" if "want" in case else bool(case["wantErr"])


def hashes(values: list[str] | None) -> list[bytes]:
    return [base64.b64decode(value) for value in values or []]


@pytest.mark.parametrize("case", own("canonical_json.json")["cases"], ids=lambda case: case["desc"])
def test_canonical_bytes_are_accepted_and_others_refused(case: dict[str, Any]) -> None:
    data = case["bytes"].encode("utf-8", "surrogatepass")
    if case["want"] == "ok":
        assert canonical.encode(canonical.decode(data)) == data
    else:
        with pytest.raises(canonical.CanonicalError):
            canonical.decode(data)


def test_nesting_of_33_is_refused() -> None:
    value: Any = 1
    for _ in range(33):
        value = [value]
    with pytest.raises(canonical.CanonicalError):
        canonical.encode(value)


@pytest.mark.parametrize("case", own("digests.json")["cases"], ids=lambda case: case["sha256"][:8])
def test_plan_and_mandate_digests(case: dict[str, Any]) -> None:
    assert canonical.digest(case["hdr"], case["object"]) == case["sha256"]


@pytest.mark.parametrize("case", own("sshsig.json")["cases"], ids=lambda case: case["desc"])
def test_ssh_signatures(case: dict[str, Any]) -> None:
    parsed = sshsig.parse(case["sig"])
    assert parsed.public == base64.b64decode(case["public_key_b64"])
    assert parsed.holds(case["msg"].encode(), case["ns"]) == (case["want"] == "ok")


@pytest.mark.parametrize("case", own("own_notes.json")["cases"], ids=lambda case: case["desc"])
def test_checkpoints_with_cosignatures(case: dict[str, Any]) -> None:
    keys = [notes.parse_vkey(text) for text in case["vkeys"]]
    note = case["note"].encode()
    if case["want"] == "ok":
        _, opened = open_checkpoint(note, keys)
        assert opened.cosigned == case.get("cosig_ts", {})
    else:
        with pytest.raises(notes.NoteError):
            open_checkpoint(note, keys)


class _Context:
    def __init__(self, context: dict[str, Any], seen: list[str]) -> None:
        self.origin = context["origin"]
        self._keys = [
            EnrolledKey(
                notes.parse_vkey(key["vkey"]),
                key["principal"],
                key["role"],
                key["enrolled_seq"],
                key["revoked_after"],
            )
            for key in context["keys"]
        ]
        self._roots = hashes(context["roots_b64"])
        self._seen = seen

    def keys_named(self, name: str, key_id: bytes) -> list[EnrolledKey]:
        return [key for key in self._keys if (key.key.name, key.key.id) == (name, key_id)]

    def keys_of(self, public: bytes) -> list[EnrolledKey]:
        return [key for key in self._keys if key.key.public == public]

    def root(self, size: int) -> bytes | None:
        return self._roots[size] if size < len(self._roots) else None

    def seen(self, nonce: str) -> bool:
        return nonce in self._seen


@pytest.mark.parametrize("case", own("gate_notes.json")["cases"], ids=lambda case: case["desc"])
def test_gate_notes_fail_with_the_first_code_of_the_table(case: dict[str, Any]) -> None:
    context = _Context(own("gate_notes.json")["context"], case["seen_nonces"])
    facts = case["event"]
    event = Event(
        context.origin, facts["seq"], "", 1, facts["ts"], 0, "", facts["kind"], facts["actor"], facts["data"]
    )
    verify = verify_gate if case["type"] == "gate" else verify_proposal
    try:
        verify(case["note"], event, context)
        outcome = "ok"
    except GateRefused as refused:
        outcome = refused.code
    assert outcome == case["want"]


@pytest.mark.parametrize("name", ["ledger_machine.json", "ledger_human.json"])
def test_ledger_entries_parse_chain_and_sum_to_their_roots(name: str) -> None:
    ledger = own(name)
    prev, stack = "0" * 64, list[tuple[int, bytes]]()
    assert merkle.fold(stack) == base64.b64decode(ledger["roots_b64"][0])
    for seq, item in enumerate(ledger["entries"]):
        entry = item["entry"].encode()
        signed = parse_entry(entry)
        key = notes.parse_vkey(item["log_key"])
        assert (signed.event.seq, signed.event.prev) == (seq, prev)
        assert (signed.name, signed.key_id) == (key.name, key.id)
        assert notes.verify_ed25519(key.public, signed.text, signed.signature)
        leaf = merkle.leaf_hash(entry)
        assert leaf.hex() == item["leaf_hash_hex"]
        merkle.append(stack, leaf)
        assert merkle.fold(stack) == base64.b64decode(ledger["roots_b64"][seq + 1])
        prev = leaf.hex()
    for case in ledger["consistency"]:
        merkle.verify_consistency(
            case["size1"],
            base64.b64decode(case["root1"]),
            case["size2"],
            base64.b64decode(case["root2"]),
            hashes(case["proof"]),
        )


@pytest.mark.parametrize("name", ["signed_note.json", "signed_note_sumdb.json"])
def test_signed_notes(name: str) -> None:
    for case in shared(name)["cases"]:
        try:
            notes.open_note(case["note"].encode(), [notes.parse_vkey(text) for text in case["vkeys"]])
            outcome = "ok"
        except notes.NoteError:
            outcome = "reject"
        assert outcome == case["want"], case["desc"]


def test_note_key_ids() -> None:
    for case in shared("note_keyid.json")["cases"]:
        seed = base64.b64decode(case["pkcs8_ed25519_priv_b64"])[-32:]
        public = notes.SigningKey(seed).public
        assert int.from_bytes(notes.key_id(case["name"], case["alg"], public), "big") == case["want_key_id"]


def test_checkpoint_bodies() -> None:
    for case in shared("checkpoint_parse.json")["cases"]:
        try:
            found = parse_note(case["note"].encode())
        except notes.NoteError:
            assert case["want"] == "reject", case["desc"]
            continue
        want = case["want"]
        assert (found.origin, found.size) == (want["origin"], want["size"]), case["desc"]
        assert base64.b64encode(found.root).decode() == want["root_b64"]
        assert list(found.extensions) == want["ext"]


def test_hashes_of_rfc_6962() -> None:
    for case in shared("rfc6962_hasher.json")["cases"]:
        if case["op"] == "root":
            found = merkle.root_of([bytes.fromhex(leaf) for leaf in case["leaves_hex"]])
        elif case["op"] == "leaf":
            found = merkle.leaf_hash(bytes.fromhex(case["data_hex"]))
        else:
            found = merkle.node_hash(bytes.fromhex(case["l_hex"]), bytes.fromhex(case["r_hex"]))
        assert found.hex() == case["want_hex"], case["desc"]


def test_inclusion_proofs() -> None:
    for case in shared("merkle_inclusion.json")["cases"]:
        try:
            merkle.verify_inclusion(
                case["leafIdx"],
                case["treeSize"],
                base64.b64decode(case["leafHash"]),
                hashes(case["proof"]),
                base64.b64decode(case["root"]),
            )
            refused = False
        except merkle.ProofError:
            refused = True
        assert refused == rejected(case), case["upstream_file"]


def test_consistency_proofs() -> None:
    for case in shared("merkle_consistency.json")["cases"]:
        try:
            merkle.verify_consistency(
                case["size1"],
                base64.b64decode(case["root1"]),
                case["size2"],
                base64.b64decode(case["root2"]),
                hashes(case["proof"]),
            )
            refused = False
        except merkle.ProofError:
            refused = True
        assert refused == rejected(case), case["upstream_file"]


@pytest.mark.parametrize("size", [1, 2, 7, 255, 256, 257, 600, 1025])
def test_tree_proves_what_its_verifier_accepts(size: int) -> None:
    leaves = [merkle.leaf_hash(b"%d" % index) for index in range(size)]
    tree = merkle.Tree(lambda start, end: leaves[start:end])
    for leaf in leaves:
        tree.append(leaf)
    sizes = sorted({1, 2, size // 3 or 1, size // 2 or 1, size - 1 or 1, size})
    for part in (part for part in sizes if part <= size):
        assert tree.root(part) == merkle.root_of(leaves[:part])
        merkle.verify_consistency(part, tree.root(part), size, tree.root(), tree.consistency(part, size))
        for index in {0, part // 2, part - 1}:
            merkle.verify_inclusion(index, part, leaves[index], tree.inclusion(index, part), tree.root(part))
