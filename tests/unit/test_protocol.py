"""The step protocol from the host's side: every way to spoil an answer is refused, one way is accepted."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inalpha.model.bar import Bar
from inalpha.model.instrument import Instrument
from inalpha.model.step import Intent, StepReply, StepRequest
from runners import messages
from runners.messages import ProtocolError
from runners.protocol import Conversation, Limits, OutputMeter

PID = 4711
SOURCE = b"class Mine(Strategy):\n    pass\n"


def framed(text: bytes) -> bytes:
    return len(text).to_bytes(4, "big") + text


def body_of(frame: bytes) -> dict:
    return json.loads(frame[4:])


def ready() -> Conversation:
    talk = Conversation(PID)
    talk.receive(messages.frame(messages.Ready(PID)))
    return talk


def loaded() -> Conversation:
    talk = ready()
    sent = talk.load("run-1", SOURCE, "ab", {}, Instrument("X"), "1d", 2**200)
    talk.receive(messages.frame(messages.Loaded(body_of(sent)["nonce"], "Mine", {})))
    return talk


def asked(sequence: int = 7) -> tuple[Conversation, dict]:
    """A conversation that awaits a reply, and the honest reply as a dict."""
    talk = loaded()
    sent = talk.step(StepRequest(sequence, 1, (), Bar(0, 1, 2, 3, 4, 5, 6), (0, 0), (0, 0), ()))
    intent = {
        "n": 0,
        "action": "order",
        "side": "buy",
        "quantity": "1.5",
        "limit": None,
        "stop": None,
        "type": "market",
        "tif": "GTC",
        "expires": None,
        "reduce_only": False,
        "stop_loss": None,
        "take_profit": None,
        "reason": "",
        "cancel": None,
    }
    nonce = body_of(sent)["nonce"]
    reply = {"type": "reply", "nonce": nonce, "seq": sequence, "intents": [intent], "logs": [], "error": ""}
    return talk, reply


def text_of(reply: dict) -> bytes:
    return json.dumps(reply, separators=(",", ":"), ensure_ascii=False).encode()


def accept(reply: dict, talk: Conversation) -> StepReply:
    answer = talk.receive(framed(text_of(reply)))
    assert isinstance(answer, messages.Reply)
    return messages.step_reply(answer)


def test_honest_reply_is_accepted() -> None:
    talk, reply = asked()
    assert accept(reply, talk).intents[0].quantity == "1.5"
    assert talk.outstanding is None


def test_reply_written_by_the_runner_is_accepted() -> None:
    talk, reply = asked()
    intent = Intent(0, "order", "sell", "2", type="limit", limit="10.25", reason="é")
    sent = messages.reply_frame(reply["nonce"], StepReply(7, (intent,), ("log",), ""))
    answer = talk.receive(sent)
    assert isinstance(answer, messages.Reply)
    assert messages.step_reply(answer) == StepReply(7, (intent,), ("log",), "")


def test_reply_with_other_spacing_is_accepted() -> None:
    talk, reply = asked()
    assert talk.receive(framed(json.dumps(reply, indent=2).encode())) is not None


def test_frame_one_byte_at_a_time_is_accepted() -> None:
    talk, reply = asked()
    data = framed(text_of(reply))
    answers = [talk.receive(data[i : i + 1]) for i in range(len(data))]
    assert answers[:-1] == [None] * (len(data) - 1)
    assert answers[-1] is not None


@pytest.mark.parametrize("length", [0, 65_537, 2**32 - 1])
def test_length_outside_the_limits_is_refused(length: int) -> None:
    talk, _ = asked()
    with pytest.raises(ProtocolError, match=str(length)):
        talk.receive(length.to_bytes(4, "big"))


@pytest.mark.parametrize("after", [b"\0", b"{", framed(b"{}")])
def test_anything_after_the_answer_is_refused(after: bytes) -> None:
    talk, reply = asked()
    with pytest.raises(ProtocolError, match="more than one"):
        talk.receive(framed(text_of(reply)) + after)


def test_bytes_while_nothing_is_asked_are_refused() -> None:
    for talk in (ready(), loaded()):
        with pytest.raises(ProtocolError, match="nothing was asked"):
            talk.receive(b"x")


def test_ready_of_another_process_is_refused() -> None:
    with pytest.raises(ProtocolError, match="names process"):
        Conversation(PID).receive(messages.frame(messages.Ready(PID + 1)))


def test_answer_of_another_kind_is_refused() -> None:
    talk, reply = asked()
    with pytest.raises(ProtocolError, match="does not answer"):
        talk.receive(messages.frame(messages.Pong(reply["nonce"])))


@pytest.mark.parametrize("name", ["Other", "Min", "", "Mine x", "Mine\0", "__import__"])
def test_loaded_for_another_class_is_refused(name: str) -> None:
    talk = ready()
    sent = talk.load("run-1", SOURCE, "ab", {}, Instrument("X"), "1d", 1)
    with pytest.raises(ProtocolError, match="no class of the source"):
        talk.receive(messages.frame(messages.Loaded(body_of(sent)["nonce"], name, {})))


def test_loaded_twice_is_refused() -> None:
    talk = ready()
    sent = talk.load("run-1", SOURCE, "ab", {}, Instrument("X"), "1d", 1)
    answer = messages.frame(messages.Loaded(body_of(sent)["nonce"], "Mine", {}))
    with pytest.raises(ProtocolError):
        talk.receive(answer + answer)


def test_nonce_of_an_earlier_bar_is_refused() -> None:
    talk, first = asked()
    accept(first, talk)
    talk.step(StepRequest(8, 1, (), Bar(0, 1, 2, 3, 4, 5, 6), (0, 0), (0, 0), ()))
    with pytest.raises(ProtocolError, match="nonce"):
        talk.receive(framed(text_of({**first, "seq": 8})))


@pytest.mark.parametrize("nonce", ["", "0" * 32, None, 5])
def test_wrong_nonce_is_refused(nonce: object) -> None:
    talk, reply = asked()
    with pytest.raises(ProtocolError):
        talk.receive(framed(text_of({**reply, "nonce": nonce})))


@pytest.mark.parametrize("sequence", [6, 8, -1, 7.0, 2**64, True, "7", None])
def test_wrong_sequence_is_refused(sequence: object) -> None:
    talk, reply = asked()
    with pytest.raises(ProtocolError):
        talk.receive(framed(text_of({**reply, "seq": sequence})))


REPLY_KEYS = ["type", "nonce", "seq", "intents", "logs", "error"]
INTENT_KEYS = list(asked()[1]["intents"][0])


@pytest.mark.parametrize("key", REPLY_KEYS)
def test_absent_member_is_refused(key: str) -> None:
    talk, reply = asked()
    del reply[key]
    with pytest.raises(ProtocolError):
        talk.receive(framed(text_of(reply)))


@pytest.mark.parametrize("key", INTENT_KEYS)
def test_absent_member_of_an_intent_is_refused(key: str) -> None:
    talk, reply = asked()
    del reply["intents"][0][key]
    with pytest.raises(ProtocolError):
        talk.receive(framed(text_of(reply)))


@pytest.mark.parametrize("key", ["run", "approved_by", "principal", "Nonce", ""])
def test_extra_member_is_refused_at_each_level(key: str) -> None:
    talk, reply = asked()
    with pytest.raises(ProtocolError):
        talk.receive(framed(text_of({**reply, key: "run-2"})))
    talk, reply = asked()
    reply["intents"][0][key] = "op:alice"
    with pytest.raises(ProtocolError):
        talk.receive(framed(text_of(reply)))


@pytest.mark.parametrize("twice", ['"seq":7', '"nonce":"x"', '"type":"reply"', '"intents":[]'])
def test_key_given_twice_is_refused(twice: str) -> None:
    talk, reply = asked()
    text = text_of(reply)
    with pytest.raises(ProtocolError):
        talk.receive(framed(b"{" + twice.encode() + b"," + text[1:]))


BAD_NUMBERS = [
    "NaN",
    "Infinity",
    "-Infinity",
    "1e5",
    '"1e5"',
    '"+1"',
    '" 1"',
    '"1 "',
    '"0x1"',
    '"1_000"',
    '""',
]
BAD_NUMBERS += [
    '"1234567890123"',
    '"٣"',
    '"1\\n"',
    '"1."',
    '".5"',
    '"--1"',
    "1",
    "1.5",
    "true",
    "[]",
    "{}",
    '"NaN"',
]


@pytest.mark.parametrize("field", ["quantity", "limit", "stop", "stop_loss", "take_profit"])
@pytest.mark.parametrize("number", BAD_NUMBERS)
def test_what_is_no_decimal_string_is_refused(field: str, number: str) -> None:
    talk, reply = asked()
    reply["intents"][0][field] = "@@"
    with pytest.raises(ProtocolError):
        talk.receive(framed(text_of(reply).replace(b'"@@"', number.encode())))


@pytest.mark.parametrize("number", [None, "0", "-1", "123456789012.123456789012"])
def test_numbers_that_the_kernel_judges_pass(number: str | None) -> None:
    talk, reply = asked()
    reply["intents"][0]["quantity"] = number
    assert accept(reply, talk).intents[0].quantity == number


def test_too_many_intents_are_refused() -> None:
    talk, reply = asked()
    reply["intents"] = [{**reply["intents"][0], "n": n} for n in range(17)]
    with pytest.raises(ProtocolError):
        talk.receive(framed(text_of(reply)))


def test_sixteen_intents_pass() -> None:
    talk, reply = asked()
    reply["intents"] = [{**reply["intents"][0], "n": n} for n in range(16)]
    assert len(accept(reply, talk).intents) == 16


@pytest.mark.parametrize("numbers", [[1], [0, 0], [0, 2], [-1]])
def test_intents_out_of_order_are_refused(numbers: list[int]) -> None:
    talk, reply = asked()
    reply["intents"] = [{**reply["intents"][0], "n": n} for n in numbers]
    with pytest.raises(ProtocolError, match="calls itself"):
        talk.receive(framed(text_of(reply)))


@pytest.mark.parametrize("logs", [["x"] * 33, ["x" * 2049], ["é" * 1025], ["\0"], [1], "x", None])
def test_logs_beyond_their_limits_are_refused(logs: object) -> None:
    talk, reply = asked()
    with pytest.raises(ProtocolError):
        talk.receive(framed(text_of({**reply, "logs": logs})))


def test_logs_at_their_limits_pass() -> None:
    talk, reply = asked()
    assert len(accept({**reply, "logs": ["x" * 1900] * 32}, talk).logs) == 32


@pytest.mark.parametrize(
    "damage",
    [b"\xff", b"\xed\xa0\x80", b"\\ud800", b"\0", b"\\u0000"],
    ids=["invalid utf-8", "encoded surrogate", "escaped surrogate", "raw NUL", "escaped NUL"],
)
def test_text_that_is_no_text_is_refused(damage: bytes) -> None:
    talk, reply = asked()
    reply["logs"] = ["@@"]
    with pytest.raises(ProtocolError):
        talk.receive(framed(text_of(reply).replace(b"@@", damage)))


def test_byte_order_mark_is_refused() -> None:
    talk, reply = asked()
    with pytest.raises(ProtocolError):
        talk.receive(framed(b"\xef\xbb\xbf" + text_of(reply)))


@pytest.mark.parametrize(
    "text",
    [
        b"[" * 60_000,
        b'{"a":' * 12_000,
        b'{"type":"reply","intents":' + b"[" * 60_000,
        b'"' + b"x" * 65_000 + b'"',
        b"{" + b",".join(b'"%d":0' % n for n in range(7000)) + b"}",
        b"null",
        b"7" * 60_000,
        b" " * 60_000,
    ],
)
def test_deep_wide_and_long_messages_are_refused(text: bytes) -> None:
    talk, _ = asked()
    with pytest.raises(ProtocolError) as caught:
        talk.receive(framed(text))
    assert len(str(caught.value)) < 400


def test_error_is_cut_and_empties_the_intents() -> None:
    talk, reply = asked()
    answer = accept({**reply, "error": "x" * 60_000}, talk)
    assert len(answer.error) == 500
    assert answer.intents == ()


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=200))
def test_arbitrary_bytes_never_pass(data: bytes) -> None:
    talk, _ = asked()
    try:
        assert talk.receive(framed(data) if data else b"\0") is None
    except ProtocolError:
        return


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_damaged_reply_is_refused_or_means_the_same_kind(data: st.DataObject) -> None:
    talk, reply = asked()
    text = bytearray(text_of(reply))
    position = data.draw(st.integers(0, len(text) - 1))
    text[position] = data.draw(st.integers(0, 255))
    try:
        answer = talk.receive(framed(bytes(text)))
    except ProtocolError:
        return
    assert isinstance(answer, messages.Reply)
    assert answer.nonce == reply["nonce"] and answer.seq == 7


@pytest.mark.parametrize(("step_s", "memory"), [(0.05, 128), (31, 128), (2, 63), (2, 513)])
def test_limits_outside_their_range_are_refused(step_s: float, memory: int) -> None:
    with pytest.raises(ValueError, match="allowed"):
        Limits(step_s=step_s, memory_bytes=memory << 20)


def test_output_cap_per_step() -> None:
    meter = OutputMeter(Limits())
    assert meter.add(b"x" * (64 << 10), 0.0) is None
    assert meter.add(b"x", 0.0) == "printed more than 64 KiB"


def test_output_cap_per_hour_starts_anew() -> None:
    meter = OutputMeter(Limits())
    for _ in range(32):
        meter.begin_step()
        assert meter.add(b"x" * (32 << 10), 10.0) is None
    meter.begin_step()
    assert meter.add(b"x", 11.0) == "printed more than 1 MiB in an hour"
    meter.begin_step()
    assert meter.add(b"x", 3700.0) is None


def test_output_is_shown_escaped() -> None:
    meter = OutputMeter(Limits())
    meter.add(b"a\x1b[2J\xff\nb\x00", 0.0)
    assert meter.tail == "a\\x1b[2J\\xff\nb\\x00"
