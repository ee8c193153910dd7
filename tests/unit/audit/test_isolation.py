"""I22: a runner held by less than all layers stands on record only under a waiver in force, for verifier and fold."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from support.forgery import events_of, verdicts
from support.mutation import Members, Thief
from support.rare_story import rare_story


@pytest.fixture(scope="module")
def thief(tmp_path_factory: pytest.TempPathFactory) -> Thief:
    story = rare_story(tmp_path_factory.mktemp("isolation") / "home")
    return Thief(story, events_of(story.home))


def at(thief: Thief, kind: str) -> int:
    """The last line of a kind: the story's one fenced runner, and the waiver right before it."""
    return max(n for n, line in enumerate(thief.lines) if line["kind"] == kind)


def told(thief: Thief, kind: str, **members: object) -> object:
    def change(line: Members) -> None:
        line["data"].update(members)

    return verdicts(thief.mutant(at(thief, kind), change))


def test_a_waived_level_verifies(thief: Thief) -> None:
    isolated = thief.lines[at(thief, "run.isolated")]
    assert isolated["data"]["level"] == "fenced" and verdicts(thief.entries) == (None, None)
    assert told(thief, "run.isolated", level="sealed") == (None, None)
    # A waiver for less than fenced covers fenced.
    assert told(thief, "policy.opt_out", rule="isolation.process.far") == (None, None)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda thief: told(thief, "run.isolated", level="process"),
        lambda thief: told(thief, "run.isolated", host="near"),
        lambda thief: told(thief, "run.isolated", run="run-1"),
        lambda thief: told(thief, "policy.opt_out", rule="isolation.fenced.near"),
        lambda thief: told(thief, "policy.opt_out", rule="MAX_ORDER"),
        lambda thief: told(thief, "policy.opt_out", run="run-1"),
        lambda thief: told(thief, "policy.opt_out", expires=1),
    ],
    ids=["lower level", "other host", "other run", "waived elsewhere", "another rule", "another run", "over"],
)  # fmt: skip
def test_an_unwaived_level_fails_in_both_verifiers(thief: Thief, spoil: Callable[[Thief], object]) -> None:
    found = (at(thief, "run.isolated"), "I22")
    assert spoil(thief) == (found, found)


def test_a_waiver_that_the_owner_ended_is_none(thief: Thief) -> None:
    place = at(thief, "run.isolated")
    waiver = thief.lines[place - 1]
    assert waiver["kind"] == "policy.opt_out"
    ended = {**waiver, "data": {**waiver["data"], "expires": waiver["ts"]}}
    lines = [*thief.lines[:place], ended, *thief.lines[place:]]
    assert verdicts(thief.retold(lines)) == ((place + 1, "I22"), (place + 1, "I22"))
