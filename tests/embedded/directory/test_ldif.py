"""LDIF: what the file may hold, and what it says about the rest."""

from __future__ import annotations

import base64
import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from authproxy.embedded.directory.ldif import LdifEntry, MalformedLdif, read_ldif


def test_values_are_text_base64_or_continued() -> None:
    text = "version: 1\n\ndn: cn=a\ncn:: YQ==\ndescription: one\n  two\n# no\n word\nCN: b\nempty:\n"
    (entry,) = read_ldif(text)
    assert entry == LdifEntry(
        "cn=a", (("cn", (b"a", b"b")), ("description", (b"one two",)), ("empty", (b"",)))
    )


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("cn: a", "line 1: an entry begins with dn"),
        (" dn: cn=a", "line 1: continues nothing"),
        ("dn: cn=a\nwhat", "line 2: neither"),
        ("dn: cn=a\ncn:: ***", "line 2: cn: not Base64"),
        ("dn: cn=a\njpegPhoto:< file:///etc/passwd", "line 2: values from files"),
        ("dn: cn=a\nchangetype: delete", "line 2: changetype"),
        ("dn:: /w==\ncn: a", "line 1: dn: not UTF-8"),
        ("version: 2\n\ndn: cn=a\ncn: a", "line 1: only version 1"),
    ],
)
def test_mistakes_are_named_by_line(text: str, problem: str) -> None:
    with pytest.raises(MalformedLdif, match=problem):
        read_ldif(text)


NAMES = st.sampled_from(["cn", "sn", "description", "userPassword"])


@given(st.lists(st.tuples(NAMES, st.binary(max_size=40)), min_size=1, max_size=8))
def test_any_octets_come_through(pairs: list[tuple[str, bytes]]) -> None:
    lines = ["dn: cn=x"]
    for name, value in pairs:
        encoded = f"{name}:: {base64.b64encode(value).decode()}"
        lines += [encoded[:30], *(f" {encoded[at : at + 20]}" for at in range(30, len(encoded), 20))]
    (entry,) = read_ldif("\n".join(lines))
    for name, values in entry.attributes:
        assert list(values) == [value for key, value in pairs if key == name]


@given(st.text(max_size=200))
def test_garbage_raises_its_one_error(text: str) -> None:
    with contextlib.suppress(MalformedLdif):
        read_ldif(text)
