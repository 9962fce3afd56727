"""R7: text for the user, split between characters, without what would move the cursor."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from authproxy.protocols.radius.attributes import reply_messages


def texts(text: str, *, lines: bool = False) -> list[str]:
    """Each attribute's, which therefore ends between two characters."""
    return [value.decode("utf-8") for _, value in reply_messages(text, lines=lines)]


def test_short_text_is_one_attribute() -> None:
    assert reply_messages("Success. Logging you in...") == [(18, b"Success. Logging you in...")]


def test_no_text_no_attribute() -> None:
    assert reply_messages("") == []
    assert reply_messages("\x00\x1b") == []


@pytest.mark.parametrize("character", ["x", "ü", "€", "🙂"])
@pytest.mark.parametrize("before", ["", "a", "ab", "abc"])
def test_600_characters(character: str, before: str) -> None:
    text = before + character * 600
    pieces = texts(text)
    assert "".join(pieces) == text
    assert all(len(piece.encode()) <= 253 for piece in pieces)
    assert all(len(piece.encode()) > 249 for piece in pieces[:-1])


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("one\r\ntwo\nthree\rfour", "one two three four"),
        ("nul\0 esc\x1b[31m bell\x07 del\x7f csi\x9b", "nul esc[31m bell del csi"),
        ("tab\there", "tab here"),
        ("bidi \u202egnp.exe\u202c zero\u200bwidth", "bidi gnp.exe zerowidth"),
        ("lone \ud800 surrogate", "lone  surrogate"),
        ("Füße, 日本語", "Füße, 日本語"),
    ],
)
def test_controls_go(text: str, shown: str) -> None:
    assert "".join(texts(text)) == shown


def test_a_menu_keeps_its_lines() -> None:
    menu = "Enter a passcode or select one:\r\n\r\n 1. Push\n 2. Phone\x07"
    assert texts(menu, lines=True) == ["Enter a passcode or select one:\n\n 1. Push\n 2. Phone"]


@given(st.text(max_size=900), st.booleans())
def test_any_text(text: str, lines: bool) -> None:
    for piece in texts(text, lines=lines):
        assert 0 < len(piece.encode()) <= 253
        for character in piece:
            assert unicodedata.category(character) not in {"Cc", "Cf", "Cs"} or (lines and character == "\n")
