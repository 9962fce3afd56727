"""The menu of a challenge and what its answers mean."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from authproxy.pipeline.factor import NoFactor
from authproxy.pipeline.ports import Device, FactorCall
from authproxy.pipeline.prompt import PromptFormat, menu, prompt, understand
from authproxy.secret import Secret

NAMED = Device("DP1", "phone", frozenset({"auto", "push", "sms", "phone"}), "iOS (XXX-0100)")
TABLET = Device("DP2", "phone", frozenset({"auto", "push"}), "Tablet <b>")
TOKEN = Device("DT1", "token")
BOTH = (TOKEN, NAMED, TABLET)


def test_console() -> None:
    assert prompt("alice", menu(BOTH), PromptFormat.CONSOLE) == (
        "Second factor for alice. Enter a passcode or choose:\n"
        " 1. Push to iOS (XXX-0100)\n"
        " 2. Push to Tablet <b>\n"
        " 3. Phone call to iOS (XXX-0100)\n"
        " 4. SMS passcodes to iOS (XXX-0100)\n"
        "Passcode or option (1-4): "
    )


def test_html_is_escaped() -> None:
    text = prompt("<i>alice", menu((TABLET,)), PromptFormat.HTML)
    assert text == (
        "Second factor for &lt;i&gt;alice. Enter a passcode or choose:<br> 1. Push to Tablet &lt;b&gt;<br>"
        "Passcode or option (1): "
    )


def test_short_and_shorter() -> None:
    assert prompt("alice", menu(BOTH), PromptFormat.SHORT) == (
        "Enter a passcode or one of push1, push2, phone1, sms1: "
    )
    many = tuple(Device(f"D{n}", "phone", frozenset({"push", "phone", "sms"}), "x" * 40) for n in range(5))
    assert prompt("alice", menu(many), PromptFormat.CONSOLE).startswith("Enter a passcode or one of push1")
    more = many * 4
    assert prompt("alice", menu(more), PromptFormat.CONSOLE) == "Enter a passcode, push, phone or sms: "
    assert prompt("alice", menu((TOKEN,)), PromptFormat.CONSOLE) == "Enter passcode: "


@given(
    st.text(max_size=253),
    st.lists(st.text(max_size=300), max_size=30),
    st.sampled_from(PromptFormat),
)
def test_always_fits_one_reply_message(user: str, names: list[str], form: PromptFormat) -> None:
    devices = [Device(f"D{n}", "phone", frozenset({"push"}), name) for n, name in enumerate(names)]
    assert len(prompt(user, menu(devices), form).encode("utf-8", "surrogatepass")) <= 253


@pytest.mark.parametrize(
    ("answer", "factor", "device"),
    [
        (b"1", "push", "DP1"),
        (b"2", "push", "DP2"),
        (b" 3 ", "phone", "DP1"),
        (b"4", "sms", "DP1"),
        (b"push", "push", "DP1"),
        (b"Push2", "push", "DP2"),
        (b"auto", "auto", "auto"),
    ],
)
def test_answers_that_name_a_factor(answer: bytes, factor: str, device: str) -> None:
    assert understand(Secret(answer), BOTH) == FactorCall(factor, device)


@pytest.mark.parametrize(
    "answer", [b"123456", b"000000", b"not a passcode", b"pushing", b"\xff\xfe", b"0123456789"]
)
def test_everything_else_is_a_passcode(answer: bytes) -> None:
    call = understand(Secret(answer), BOTH)
    assert isinstance(call, FactorCall)
    assert call.factor == "passcode"
    assert call.passcode == Secret(answer)


@pytest.mark.parametrize("answer", [b"", b"  ", b"0", b"5", b"99", b"push3", b"sms2", b"x" * 2001])
def test_answers_that_ask_for_nothing(answer: bytes) -> None:
    assert isinstance(understand(Secret(answer), BOTH), NoFactor)
