"""The proof of a fill, for every way in which a fill comes about, and of none that was spliced together."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from support.attacks import Export, load_verifier
from support.ledger_story import Story
from support.rare_story import rare_story

from inalpha.audit.canonical import encode
from inalpha.audit.prove import prove_fill
from inalpha.ledger.readers import open_reader

# What the story tells of its fills: who approved, and what else is in the proof.
FILLS = {
    "fill-1": ("op:anna", "a person for a run"),
    "fill-4": ("system:live_runner", "a bracket's stop"),
    "fill-5": ("system:live_runner", "a run on a remote host"),
    "fill-8": ("system:live_runner", "a refusal that was waived"),
    "fill-10": ("op:anna", "a person for an agent's proposal"),
    "fill-11": ("system:live_runner", "filled at the deciding close"),
    "fill-12": ("system:live_runner", "the guard after the run's end"),
}


@dataclass
class Scene:
    story: Story
    bundles: dict[str, dict[str, Any]]


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Scene:
    story = rare_story(tmp_path_factory.mktemp("prove") / "home")
    reader = open_reader(story.home)
    names = [name for (name,) in reader.execute("SELECT fill FROM fill")]
    bundles = {name: json.loads(prove_fill(story.home, reader, name)) for name in names}
    reader.close()
    return Scene(story, bundles)


def check(scene: Scene, bundle: dict[str, Any]) -> Any:
    return load_verifier().check_bundle(encode(bundle) + b"\n", scene.story.genesis)


def refusal(scene: Scene, bundle: dict[str, Any]) -> str:
    verifier = load_verifier()
    with pytest.raises((verifier.Broken, verifier.Malformed)) as raised:
        check(scene, bundle)
    return str(getattr(raised.value, "check", ""))


@pytest.mark.parametrize("fill", FILLS)
def test_fill_is_proven_however_it_came_about(scene: Scene, fill: str) -> None:
    found = check(scene, scene.bundles[fill])
    assert (found["fill"], found["approved_by"]) == (fill, FILLS[fill][0])


def test_every_fill_of_the_story_is_proven(scene: Scene) -> None:
    assert len(scene.bundles) == 12
    assert all(check(scene, bundle)["fill"] == name for name, bundle in scene.bundles.items())


def roles(bundle: dict[str, Any]) -> list[str]:
    return [item["role"] for item in bundle["items"]]


def without(bundle: dict[str, Any], role: str) -> dict[str, Any]:
    return {**bundle, "items": [item for item in bundle["items"] if item["role"] != role]}


def spliced(bundle: dict[str, Any], other: dict[str, Any], role: str) -> dict[str, Any]:
    """Another fill's line in the place of this one's."""
    taken = [item for item in other["items"] if item["role"] == role]
    items = [*without(bundle, role)["items"], *taken]
    return {
        **bundle,
        "items": sorted(items, key=lambda item: json.loads(item["entry"].split("\n")[1])["seq"]),
    }


def test_every_line_is_needed(scene: Scene) -> None:
    for bundle in scene.bundles.values():
        for role in set(roles(bundle)) - {"key"}:
            refusal(scene, without(bundle, role))


def test_lines_of_another_fill_prove_nothing(scene: Scene) -> None:
    """Each part of a proof exchanged for the same part of another fill's, where that is another line."""
    tried = 0
    for bundle in scene.bundles.values():
        for other in list(scene.bundles.values())[::3]:
            for role in ("plan", "risk", "approve", "execute", "fill", "decision", "start", "step", "waiver"):
                changed = spliced(bundle, other, role)
                if role in roles(bundle) and role in roles(other) and changed["items"] != bundle["items"]:
                    if role in ("fill", "step") and _is_same_plan(bundle, other):
                        continue  # fills of one order and its legs: the rest is the same proof
                    refusal(scene, changed)
                    tried += 1
    assert tried > 150


def _is_same_plan(left: dict[str, Any], right: dict[str, Any]) -> bool:
    def plan(bundle: dict[str, Any]) -> str:
        return next(item["entry"] for item in bundle["items"] if item["role"] == "plan")

    return plan(left) == plan(right)


def _of_another_rule(data: dict[str, Any]) -> None:
    data["rule"] = "MAX_OPEN"


def _for_another_run(data: dict[str, Any]) -> None:
    data["run"] = "run-2"


def _over(data: dict[str, Any]) -> None:
    data["expires"] = 1


@pytest.mark.parametrize("change", [_of_another_rule, _for_another_run, _over])
def test_waiver_must_be_of_this_rule_and_run_and_time(
    scene: Scene, change: Callable[[dict[str, Any]], None]
) -> None:
    """The story's own check, on lines as they are after parsing: signatures would name the edit before."""
    verifier = load_verifier()
    lines = {item["role"]: verifier.Line(item["entry"].encode()) for item in scene.bundles["fill-8"]["items"]}
    told = (lines["waiver"], lines["risk"], lines["approve"], "run-1")
    verifier.check_waiver(*told)
    change(lines["waiver"].data)
    with pytest.raises(verifier.Broken):
        verifier.check_waiver(*told)


def test_export_and_proofs_are_the_same_bytes_each_time(scene: Scene) -> None:
    reader = open_reader(scene.story.home)
    for name, bundle in scene.bundles.items():
        assert json.loads(prove_fill(scene.story.home, reader, name)) == bundle
    reader.close()
    assert Export.of(scene.story.home).data == Export.of(Path(scene.story.home)).data
