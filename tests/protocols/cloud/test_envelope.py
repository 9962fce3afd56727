"""Every envelope comes back as it went; what can be read in two ways is refused."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from authproxy.protocols.cloud.envelope import (
    MAX_BODY,
    Failure,
    MalformedAnswer,
    Success,
    clean_text,
    decode,
    encode,
)

plain = st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=20)
content = st.recursive(
    st.none() | st.booleans() | st.integers() | plain,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(plain, inner, max_size=3),
    max_leaves=12,
)


@given(content)
def test_success_comes_back(response: object) -> None:
    assert decode(encode(Success(response))) == Success(response)


@given(st.integers(10000, 59999), plain, plain)
def test_failure_comes_back(code: int, message: str, detail: str) -> None:
    assert decode(encode(Failure(code, message, detail))) == Failure(code, message, detail)


@given(st.binary(max_size=200))
def test_garbage_is_malformed(body: bytes) -> None:
    with pytest.raises(MalformedAnswer):
        decode(body)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[]",
        b'"OK"',
        b"{}",
        b'{"stat":"OK"}',
        b'{"stat":"ok","response":{}}',
        b'{"stat":"MAYBE","response":{}}',
        b'{"stat":1,"response":{}}',
        b'{"stat":["OK"],"response":{}}',
        b'{"stat":"FAIL"}',
        b'{"stat":"FAIL","code":"40001"}',
        b'{"stat":"FAIL","code":true}',
        b'{"stat":"FAIL","code":4.5}',
        b'{"stat":"OK","response":{"result":"deny","result":"allow"}}',
        b'{"stat":"FAIL","stat":"OK","response":{}}',
        b'{"stat":"OK","response":NaN}',
        b'{"stat":"OK","response":Infinity}',
        b'{"stat":"OK","response":{}}x',
        b'{"stat":"OK","response":{}',
        b"<html>OK</html>",
        b'\xef\xbb\xbf{"stat":"OK","response":{}}',
        '{"stat":"OK","response":{}}'.encode("utf-16"),
        b'{"stat":"OK","response":"\xff"}',
        b'{"stat":"OK","response":"a\nb"}',
        b'{"stat":"OK","response":' + b"[" * 17 + b"]" * 17 + b"}",
        b'{"stat":"OK","response":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
        b"[" * 100_000,
        b'{"a":' * 30_000,
        b'{"stat":"OK","response":' + b"9" * 5000 + b"}",
        b'{"stat":"OK","response":"' + b"a" * MAX_BODY + b'"}',
    ],
)
def test_what_is_no_answer(body: bytes) -> None:
    with pytest.raises(MalformedAnswer):
        decode(body)


def test_many_brackets_that_are_not_deep() -> None:
    devices = [{"capabilities": ["[", "{"]}] * 100
    assert decode(encode(Success(devices))) == Success(devices)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("Success. Logging you in...", "Success. Logging you in..."),
        ("a\r\nb\0c\x1b[31m", "a b c [31m"),
        ("\u202eevil\u2066", "evil"),
        ("ünïcode 例え 😀", "ünïcode 例え 😀"),
        ("lone \ud800 half", "lone   half"),
        ("x" * 5000, "x" * 1024),
        (None, ""),
        (7, ""),
        (["a"], ""),
    ],
)
def test_clean_text(given: object, expected: str) -> None:
    assert clean_text(given) == expected


@given(st.text())
def test_clean_text_can_be_shown(text: str) -> None:
    shown = clean_text(json.loads(json.dumps(text)))
    shown.encode("utf-8")
    assert shown.isprintable() or any(character.isspace() or ord(character) > 127 for character in shown)
