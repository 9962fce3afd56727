"""Attributes as people write them: looked up, typed, measured; and where they go in an Accept."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from authproxy.protocols.radius.dictionary import Definition, load
from authproxy.protocols.radius.packet import Attribute
from authproxy.protocols.radius.settings import (
    Granted,
    MalformedSetting,
    Setting,
    encode_setting,
    granted_over,
    read_setting,
    silent,
    split_settings,
)

DICTIONARY = load()
CISCO = (9).to_bytes(4, "big")


def encoded(text: str) -> Attribute:
    setting = read_setting(text)
    definition = DICTIONARY.find(setting.name)
    assert definition is not None
    return encode_setting(setting, definition, DICTIONARY.values(setting.name)).attribute


@pytest.mark.parametrize(
    ("text", "type", "value"),
    [
        ("Class = admins", 25, b"admins"),
        ("class=admins", 25, b"admins"),
        ('Class = "OU=VPN; x, y"', 25, b"OU=VPN; x, y"),
        (r'Filter-Id = "say \"hi\" \\ "', 11, b'say "hi" \\ '),
        ("Class = 0x00ff10", 25, b"\x00\xff\x10"),
        ("Filter-Id = 0x00ff", 11, b"0x00ff"),
        ("Session-Timeout = 3600", 27, b"\x00\x00\x0e\x10"),
        ("Service-Type = Login-User", 6, b"\x00\x00\x00\x01"),
        ("Framed-IP-Address = 10.1.2.3", 8, b"\x0a\x01\x02\x03"),
        ("Tunnel-Type = VLAN", 64, b"\x00\x00\x00\x0d"),
        ("Tunnel-Type:1 = vlan", 64, b"\x01\x00\x00\x0d"),
        ("Tunnel-Private-Group-Id = 42", 81, b"42"),
        ("Tunnel-Private-Group-Id:1 = 42", 81, b"\x0142"),
        ("Framed-IPv6-Prefix = 2001:db8::/32", 97, b"\x00\x20" + bytes.fromhex("20010db8") + bytes(12)),
        ("Framed-Interface-Id = 0:0:0:1", 96, bytes(7) + b"\x01"),
        ("Cisco-AVPair = shell:priv-lvl=15", 26, CISCO + b"\x01\x13shell:priv-lvl=15"),
        ("ASA-Group-Policy = Ärzte", 26, (3076).to_bytes(4, "big") + b"\x19\x08\xc3\x84rzte"),
    ],
)
def test_encoded(text: str, type: int, value: bytes) -> None:
    assert encoded(text) == Attribute(type, value)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("Class", "NAME = VALUE"),
        ("Class admins", "NAME = VALUE"),
        ("Class = ", "no value"),
        ('Class = ""', "no value"),
        ('Class = "x', "quotes"),
        ('Class = "x" y', "quotes"),
        ("Class:1 = x", "no tag"),
        ("Tunnel-Type:0 = VLAN", "a tag is 1 to 31"),
        ("Tunnel-Type:32 = VLAN", "a tag is 1 to 31"),
        ("Tunnel-Type = 16777216", "3 octets"),
        ("Session-Timeout = 4294967296", "4 octets"),
        ("Session-Timeout = -1", "4 octets"),
        ("Session-Timeout = soon", "a number"),
        ("Service-Type = Root", "administrative-user"),
        ("Framed-IP-Address = 10.1.2", "IPv4"),
        ("Framed-IPv6-Prefix = 2001:db8::1/32", "IPv6 prefix"),
        ("Class = 0x0", "hexadecimal"),
        (f"Class = {'x' * 254}", "254 octets, and an attribute holds 253"),
        (f"Cisco-AVPair = {'x' * 248}", "248 octets, and an attribute holds 247"),
        (f"Tunnel-Private-Group-Id:1 = {'x' * 253}", "254 octets"),
        # R42 and the like: what a reply makes itself, or may not have.
        ("User-Password = x", "hidden"),
        ("Tunnel-Password:1 = x", "hidden"),
        ("MS-MPPE-Send-Key = x", "hidden"),
        ("Message-Authenticator = x", "no place"),
        ("EAP-Message = 0x03010004", "no place"),
        ("State = x", "no place"),
        ("Proxy-State = x", "no place"),
        ("Error-Cause = 1", "no place"),
    ],
)
def test_what_cannot_be_sent(text: str, problem: str) -> None:
    with pytest.raises(MalformedSetting, match=problem):
        encoded(text)


def test_a_type_that_nothing_is_known_of() -> None:
    with pytest.raises(MalformedSetting, match="type tlv"):
        encode_setting(Setting("Odd", "1"), Definition("Odd", None, 200, "tlv"), {})


@given(st.text())
def test_anything_is_a_setting_or_none(text: str) -> None:
    try:
        setting = read_setting(text)
    except MalformedSetting:
        return
    assert setting.name
    assert setting.value


@given(st.lists(st.sampled_from(["a = 1", 'b = "1, 2"', r'c += "x\"y, z"', "d=e=f"]), min_size=1))
def test_a_line_of_settings(parts: list[str]) -> None:
    assert split_settings(", ".join(parts)) == parts


# ---- in an Accept


def granted(text: str) -> Granted:
    setting = read_setting(text)
    definition = DICTIONARY.find(setting.name)
    assert definition is not None
    return encode_setting(setting, definition, DICTIONARY.values(setting.name))


def avpair(*texts: bytes) -> Attribute:
    return Attribute(26, CISCO + b"".join(bytes((1, len(text) + 2)) + text for text in texts))


def test_the_same_name_takes_the_place() -> None:
    sent = [Attribute(25, b"theirs"), Attribute(11, b"acl"), Attribute(25, b"more of theirs")]
    assert granted_over(sent, [granted("Class = ours"), granted("Class = too")]) == [
        Attribute(11, b"acl"),
        Attribute(25, b"ours"),
        Attribute(25, b"too"),
    ]


def test_added_stands_beside() -> None:
    sent = [Attribute(25, b"theirs")]
    assert granted_over(sent, [granted("Class += ours")]) == [*sent, Attribute(25, b"ours")]


def test_a_vendors_attribute_in_another_of_its() -> None:
    """R5: what isn't replaced keeps its octets, also where several share one attribute."""
    other = bytes((2, 3)) + b"x"
    both = Attribute(26, CISCO + b"\x01\x04ab" + other)
    foreign = Attribute(26, (429).to_bytes(4, "big") + b"\x00\x00\x00\x01odd")
    assert granted_over([both, foreign, avpair(b"theirs")], [granted("Cisco-AVPair = ours")]) == [
        Attribute(26, CISCO + other),
        foreign,
        avpair(b"ours"),
    ]


def test_nothing_granted_changes_nothing() -> None:
    sent = [Attribute(25, b"theirs"), avpair(b"a", b"b"), Attribute(26, b"\0\0\0\x09broken")]
    assert granted_over(sent, []) == sent


def test_no_words_beside_eap() -> None:
    assert silent([granted("Reply-Message = hello"), granted("Class = x")]) == [granted("Class = x")]
