"""The verifier and what guards the writer, one verdict: a member of a line changed by a thief with every key.

Also where a change is allowed: then both accept it.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator

import pytest
from support.forgery import events_of, verdicts
from support.mutation import Change, Members, Thief, changes
from support.rare_story import rare_story

from inalpha.audit.schema import kinds

SEED, SAMPLE = 11, 100
Case = tuple[int, str, Change, bool]


@pytest.fixture(scope="module")
def thief(tmp_path_factory: pytest.TempPathFactory) -> Thief:
    story = rare_story(tmp_path_factory.mktemp("rare") / "home")
    return Thief(story, events_of(story.home))


def cases(thief: Thief, per_kind: int) -> Iterator[Case]:
    """Every change of the first lines of each kind."""
    seen: Counter[str] = Counter()
    for at, line in enumerate(thief.lines):
        seen[line["kind"]] += 1
        if seen[line["kind"]] <= per_kind:
            for name, change, again in changes(thief.lines, at):
                yield at, f"{line['kind']} at {at}: {name}{' digested again' * again}", change, again


def differing(thief: Thief, chosen: list[Case]) -> tuple[list[object], Counter[str]]:
    found: list[object] = []
    checks: Counter[str] = Counter()
    for at, name, change, again in chosen:
        ours, theirs = verdicts(thief.mutant(at, change, again=again))
        checks[ours[1] if ours else "allowed"] += 1
        if ours != theirs:
            found.append((name, ours, theirs))
    return found, checks


def test_the_story_holds_every_kind_of_line_and_both_accept_it(thief: Thief) -> None:
    assert {line["kind"] for line in thief.lines} == set(kinds())
    assert verdicts(thief.entries) == (None, None)


def test_both_verifiers_name_the_same_line_and_check(thief: Thief) -> None:
    every = list(cases(thief, 1))
    found, _ = differing(thief, random.Random(SEED).sample(every, SAMPLE))
    assert found == []


def restructured(lines: list[Members]) -> Iterator[tuple[str, list[Members]]]:
    """Lines left out, told twice, moved and cut off, at every place."""
    for at in range(1, len(lines)):
        name = f"{lines[at]['kind']} at {at}"
        yield f"{name} left out", lines[:at] + lines[at + 1 :]
        yield f"{name} told twice", [*lines[: at + 1], *lines[at:]]
        yield f"{name} before the one above", [*lines[: at - 1], lines[at], lines[at - 1], *lines[at + 1 :]]
        yield f"{name} once more at the end", [*lines, lines[at]]
        yield f"cut before {name}", lines[:at]


def differing_stories(thief: Thief, chosen: list[tuple[str, list[Members]]]) -> list[object]:
    found: list[object] = []
    for name, lines in chosen:
        ours, theirs = verdicts(thief.retold(lines))
        if ours != theirs:
            found.append((name, ours, theirs))
    return found


def test_both_verifiers_judge_other_orders_of_the_lines_alike(thief: Thief) -> None:
    every = list(restructured(thief.lines))
    assert differing_stories(thief, random.Random(SEED).sample(every, SAMPLE // 3)) == []


@pytest.mark.campaign
def test_both_verifiers_judge_every_order_of_the_lines_alike(thief: Thief) -> None:
    every = list(restructured(thief.lines))
    print(f"{len(every)} other orders")  # noqa: T201
    assert differing_stories(thief, every) == []


@pytest.mark.campaign
def test_both_verifiers_name_the_same_line_and_check_everywhere(thief: Thief) -> None:
    chosen = list(cases(thief, 1))
    found, checks = differing(thief, chosen)
    print(f"{len(chosen)} changes, {checks['allowed']} of them allowed by both: {dict(checks)}")  # noqa: T201
    assert found == []
