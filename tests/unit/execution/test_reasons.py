"""A strategy's words and their commitments: told, committed once, matched again, and not comparable once erased."""

from __future__ import annotations

from inalpha.execution.reasons import MAX_REASON, Reasons, names_in
from inalpha.model.bar import Bar
from inalpha.model.step import Intent, OrderEvent, StepReply, StepRequest


def saying(*reasons: str) -> StepReply:
    return StepReply(0, tuple(Intent(n, "order", "buy", "1", reason=text) for n, text in enumerate(reasons)))


def said(reply: StepReply) -> list[str]:
    return [intent.reason for intent in reply.intents]


def asking(*reasons: str) -> StepRequest:
    events = tuple(OrderEvent("filled", "0:0", 0, reason=text) for text in reasons)
    return StepRequest(0, 0, events, Bar(0, 1, 1, 1, 1, 1, 0), (0, 0), (0, 0), ())


def test_equal_words_share_a_commitment_once_they_are_durable() -> None:
    reasons = Reasons()
    first, fresh = reasons.commit(saying("up", "", "up", "down"))
    up, empty, again, down = said(first)
    assert up == again != down and empty == "" and len(up) == 64
    assert {text for _, text in fresh.values()} == {"up", "down"}
    # Not learnt: the transaction was rolled back, so the next answer needs its own.
    assert said(reasons.commit(saying("up"))[0]) != [up]
    reasons.learn(fresh)
    assert reasons.commit(saying("up")) == (saying(up), {})
    reasons.forget(up)
    assert said(reasons.commit(saying("up"))[0]) != [up]


def test_the_strategy_is_told_its_own_words() -> None:
    reasons = Reasons()
    (name,) = said(reasons.commit(saying("up"))[0])
    assert reasons.told(asking(name, "rule")) == asking("up", "rule")


def test_asked_again_other_words_differ_and_the_same_fit() -> None:
    live = Reasons()
    recorded, fresh = live.commit(saying("up", "down"))
    again = Reasons(fresh)
    assert again.match(saying("up", "down"), recorded) == recorded
    assert again.match(saying("up", "other"), recorded) != recorded
    assert again.match(saying("up"), recorded) == saying("up")  # an intent less: the kernel will differ
    assert again.told(asking(said(recorded)[1])) == asking("down")


def test_erased_words_fit_anything_and_the_strategy_still_hears_them() -> None:
    recorded, fresh = Reasons().commit(saying("up", "down"))
    up, down = said(recorded)
    again = Reasons({up: fresh[up]})
    assert again.match(saying("up", "whatever"), recorded) == recorded
    assert again.told(asking(down)) == asking("whatever")
    assert again.match(saying("down", "whatever"), recorded) != recorded


def test_words_as_long_as_a_reason_may_be() -> None:
    reply, fresh = Reasons().commit(saying("x" * (MAX_REASON + 9)))
    assert [text for _, text in fresh.values()] == ["x" * MAX_REASON]
    assert Reasons(fresh).match(saying("x" * (MAX_REASON + 9)), reply) == reply


def test_names_are_found_in_a_journals_outputs() -> None:
    name = "ab" * 32
    assert names_in([f'{{"reply":{{"intents":[{{"reason":"{name}"}}]}}}}', '{"reason":"ab"}']) == {name}
