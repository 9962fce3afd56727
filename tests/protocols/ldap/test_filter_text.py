"""Filters as text: RFC 4515's examples, round trips, and errors that say where."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ldap3.operation.search import compile_filter
from ldap3.operation.search import parse_filter as ldap3_parse_filter
from ldap3.utils.conv import escape_filter_chars
from pyasn1.codec.ber import encoder

from authproxy.protocols.ldap.filter import (
    MAX_DEPTH,
    And,
    Approximate,
    Equality,
    Extensible,
    Filter,
    GreaterOrEqual,
    LessOrEqual,
    Not,
    Or,
    Present,
    Substrings,
    encode_filter,
)
from authproxy.protocols.ldap.filter_text import MalformedFilter, escape, format_filter, parse_filter

from .strategies import filters, octets

EXAMPLES = [
    ("(cn=Babs Jensen)", Equality("cn", b"Babs Jensen")),
    ("(!(cn=Tim Howes))", Not(Equality("cn", b"Tim Howes"))),
    (
        "(&(objectClass=Person)(|(sn=Jensen)(cn=Babs J*)))",
        And(
            (Equality("objectClass", b"Person"), Or((Equality("sn", b"Jensen"), Substrings("cn", b"Babs J"))))
        ),
    ),
    ("(o=univ*of*mich*)", Substrings("o", b"univ", (b"of", b"mich"))),
    ("(seeAlso=)", Equality("seeAlso", b"")),
    ("(cn:caseExactMatch:=Fred Flintstone)", Extensible("caseExactMatch", "cn", b"Fred Flintstone")),
    ("(cn:=Betty Rubble)", Extensible(None, "cn", b"Betty Rubble")),
    ("(sn:dn:2.4.6.8.10:=Barney)", Extensible("2.4.6.8.10", "sn", b"Barney", True)),
    ("(o:dn:=Ace Industry)", Extensible(None, "o", b"Ace Industry", True)),
    ("(:1.2.3:=Wilma)", Extensible("1.2.3", None, b"Wilma")),
    ("(:DN:2.4.6.8.10:=Dino)", Extensible("2.4.6.8.10", None, b"Dino", True)),
    (r"(o=Parens R Us \28for all\29)", Equality("o", b"Parens R Us (for all)")),
    (r"(cn=*\2A*)", Substrings("cn", None, (b"*",))),
    (r"(filename=C:\5cMyFile)", Equality("filename", b"C:\\MyFile")),
    (r"(bin=\00\00\00\04)", Equality("bin", b"\0\0\0\4")),
    (r"(sn=Lu\c4\8di\c4\87)", Equality("sn", "Lučić".encode())),
    ("(uid=*)", Present("uid")),
    ("(a>=1)", GreaterOrEqual("a", b"1")),
    ("(a<=1)", LessOrEqual("a", b"1")),
    ("(a~=1)", Approximate("a", b"1")),
    ("(&)", And(())),
    ("(|)", Or(())),
    ("(userCertificate;binary=*)", Present("userCertificate;binary")),
    (" ( & (a=1) ( ! ( b=2) ) ) ", And((Equality("a", b"1"), Not(Equality("b", b"2"))))),
    (
        "(memberOf:1.2.840.113556.1.4.1941:=CN=vpn,DC=corp,DC=test)",
        Extensible("1.2.840.113556.1.4.1941", "memberOf", b"CN=vpn,DC=corp,DC=test"),
    ),
]


@pytest.mark.parametrize(("text", "expected"), EXAMPLES)
def test_examples(text: str, expected: Filter) -> None:
    assert parse_filter(text) == expected


@given(filters)
def test_round_trip(wanted: Filter) -> None:
    text = format_filter(wanted)
    assert parse_filter(text) == wanted
    assert "\0" not in text


@pytest.mark.parametrize(
    ("text", "position", "says"),
    [
        ("", 0, "expected (, but the text ends"),
        ("cn=a", 0, "expected ("),
        ("(cn=a", 5, "expected )"),
        ("(cn=a))", 6, "more follows"),
        ("(&(a=1)(b=2)", 12, "expected )"),
        ("(&(a=1)b=2)", 7, "expected )"),
        ("(!(a=1)(b=2))", 7, "expected )"),
        ("(=a)", 1, "attribute's name"),
        ("(cn)", 3, "one of ="),
        (r"(cn=a\zz)", 5, "two hexadecimal digits"),
        (r"(cn=a\2)", 5, "two hexadecimal digits"),
        (r"(cn=a\*)", 5, "two hexadecimal digits"),
        ("(cn=a(b)", 5, "expected )"),
        ("(cn=a**b)", 6, "two asterisks"),
        ("(cn>=a*)", 6, "expected )"),
        ("(:=a)", 1, "attribute's name"),
        ("(:dn:=a)", 4, "matching rule"),
        ("(!)", 2, "expected ("),
        ("(cn=a\0)", 5, "expected )"),
        ("(" * 60, 0, "expected"),
    ],
)
def test_errors_say_where(text: str, position: int, says: str) -> None:
    with pytest.raises(MalformedFilter) as caught:
        parse_filter(text)
    assert says in str(caught.value)
    if position:
        assert caught.value.position == position
    assert str(caught.value).startswith(f"character {caught.value.position + 1}: ")


def test_depth() -> None:
    for depth in (MAX_DEPTH - 1, MAX_DEPTH, 100_000):
        text = "(!" * depth + "(a=1)" + ")" * depth
        if depth < MAX_DEPTH:
            parse_filter(text)
        else:
            with pytest.raises(MalformedFilter, match="nested deeper"):
                parse_filter(text)


@given(st.text(max_size=60) | st.text("()&|!=*\\:<>~ab1 ", max_size=30))
def test_any_text_is_a_filter_or_an_error(text: str) -> None:
    try:
        made = parse_filter(text)
    except MalformedFilter:
        return
    assert parse_filter(format_filter(made)) == made


@given(octets)
def test_escaped_values_are_never_syntax(value: bytes) -> None:
    """L26, and ldap3's escaping as a second opinion on what has to be escaped."""
    assert parse_filter(f"(uid={escape(value)})") == Equality("uid", value)
    assert parse_filter(f"(uid={escape_filter_chars(value)})") == Equality("uid", value)


@pytest.mark.parametrize("name", ["*", "a*)(uid=*", ")(|(a=*", "\0", r"\2a", "cn=a,b@x", "álice", "("])
def test_hostile_names(name: str) -> None:
    assert parse_filter(f"(&(uid={escape(name.encode())}))") == And((Equality("uid", name.encode()),))


@pytest.mark.parametrize("text", [text for text, _ in EXAMPLES if text not in ("(&)", "(|)", "(seeAlso=)")])
def test_another_library_writes_the_same_octets(text: str) -> None:
    plain = text.strip().replace(" ( ", "(").replace(" ) ", ")").replace("( &", "(&").replace(" )", ")")
    theirs = encoder.encode(
        compile_filter(ldap3_parse_filter(plain, None, False, None, None, False).elements[0])
    )
    # ldap3 writes `dnAttributes` FALSE, which is the default, and TRUE as 1; RFC 4511 §5.1 wants none and 255.
    theirs = theirs.replace(b"\x84\x01\x00", b"").replace(b"\x84\x01\x01", b"\x84\x01\xff")
    assert theirs[2:] == encode_filter(parse_filter(text))[2:]
