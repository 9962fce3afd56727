"""R33: one reading of a name, or none."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from authproxy.pipeline.username import (
    MalformedUsername,
    account,
    canonical,
    folded,
    is_anonymous,
    may_stand_for,
    read_username,
    reads_two_ways,
)


@pytest.mark.parametrize(
    ("octets", "name"),
    [
        (b"alice", "alice"),
        (b" Alice ", "alice"),
        ("Ünïcode".encode(), "ünïcode"),
        (unicodedata.normalize("NFD", "ünïcode").encode(), "ünïcode"),
        (b"CORP\\Alice", "corp\\alice"),
        (b"Alice@Corp.Example", "alice@corp.example"),
        (b"o'brien", "o'brien"),
    ],
)
def test_canonical(octets: bytes, name: str) -> None:
    assert read_username(octets).canonical == name


@pytest.mark.parametrize(
    "octets",
    [
        b"",
        b"   ",
        b"a" * 254,
        b"\xff\xfe",
        b"al\x00ice",
        b"al\nice",
        b"al\x1bice",
        "al\u202eice".encode(),
        "al\u200bice".encode(),
        "al\u2028ice".encode(),
        b"al\x7fice",
        *[
            f"al{letter}ice".encode()
            for letter in "\u034f\u115f\u1160\u17b4\u17b5\u180b\u180f\u3164\ufe00\ufe0f\uffa0\U000e0100"
        ],
    ],
)
def test_refused(octets: bytes) -> None:
    with pytest.raises(MalformedUsername) as refused:
        read_username(octets)
    assert "ice" not in str(refused.value)


@given(st.binary(max_size=300))
def test_reads_or_refuses(octets: bytes) -> None:
    try:
        name = read_username(octets)
    except MalformedUsername:
        return
    assert canonical(name.canonical) == name.canonical


@pytest.mark.parametrize("name", ["", "@corp.example", "anonymous", "anonymous@corp.example", "anon"])
def test_anonymous(name: str) -> None:
    assert is_anonymous(name)


@pytest.mark.parametrize(
    "name",
    ["alice", "alice@anon", "corp\\anonymous", "anon/alice", "@corp/alice", "anon%alice", "alice@", "anon1"],
)
def test_a_name_that_a_server_could_take_another_out_of_is_not_anonymous(name: str) -> None:
    assert not is_anonymous(name)


@pytest.mark.parametrize(
    ("outside", "inside"),
    [
        ("anonymous", "alice"),
        ("@corp.example", "alice@corp.example"),
        ("alice", "alice"),
        ("alice", "corp\\alice"),
        ("alice@corp.example", "alice"),
        ("corp\\alice", "alice@corp.example"),
    ],
)
def test_outside_a_tunnel(outside: str, inside: str) -> None:
    assert may_stand_for(outside, inside)


@pytest.mark.parametrize(
    ("outside", "inside"),
    [
        ("bob", "alice"),
        ("alice2", "alice"),
        ("alice", "anonymous"),
        ("corp\\alice", "other\\alice"),
        ("alice@corp.example", "alice@other.example"),
        ("corp\\bob", "corp\\alice"),
        ("alice@corp.example", "corp.example@alice"),
    ],
)
def test_a_name_outside_that_is_anothers(outside: str, inside: str) -> None:
    assert not may_stand_for(outside, inside)


@pytest.mark.parametrize(
    "name",
    [
        "alice",
        "ALICE",
        "\u00e1lice",
        "a\u0301lice",
        "\uff21\uff2c\uff29\uff23\uff25",
        "\u24d0lic\u0117",
        "al\u0488ice",
    ],
)
def test_what_a_loose_directory_takes_a_name_for(name: str) -> None:
    assert folded(name) == "alice"
    assert account(canonical(f"CORP\\{name}@corp.example")) == "alice"


@pytest.mark.parametrize(
    ("name", "its_account"),
    [
        ("corp\\alice", "alice"),
        ("corp/alice", "alice"),
        ("alice@corp.example", "alice"),
        ("alice%corp.example", "alice"),
        ("forest/corp\\alice%x@y", "alice"),
        ("host/pc1.corp.example", "pc1.corp.example"),
        ("corp/", "corp/"),
        ("@corp", "@corp"),
        ("a!b", "a!b"),
    ],
)
def test_what_the_forms_of_a_name_have_in_common(name: str, its_account: str) -> None:
    assert account(name) == its_account
    assert not reads_two_ways(name)


@pytest.mark.parametrize("name", ["alice@x\\bob", "alice@x/bob", "alice%x/bob", "y/alice%x\\bob@z"])
def test_a_name_of_two(name: str) -> None:
    assert reads_two_ways(name)


@given(st.text())
def test_folding_is_done_at_once(name: str) -> None:
    assert folded(folded(name)) == folded(name)
    assert folded(canonical(name)) == folded(name)
