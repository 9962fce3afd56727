"""Distinguished names: what is the same, what is below, and what only looks so (L11, L26)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ldap3.utils.dn import parse_dn as ldap3_parse_dn

from authproxy.protocols.ldap.dn import DN, Ava, MalformedDN, Subtree, escape_value, parse_dn

types = st.sampled_from(["CN", "cn", "OU", "dc", "uid", "2.5.4.3", "x-attr"])
values = st.binary(max_size=12) | st.text(max_size=12).map(lambda text: text.encode("utf-8", "surrogatepass"))
dns = st.lists(st.lists(st.builds(Ava, types, values), min_size=1, max_size=2).map(tuple), max_size=4).map(
    lambda rdns: DN(tuple(rdns))
)


@given(dns)
def test_round_trip(dn: DN) -> None:
    again = parse_dn(str(dn))
    assert again.rdns == dn.rdns
    assert again == dn


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("CN=svc,OU=x", "cn = svc , ou=x"),
        ("CN=svc,OU=x", "CN=SVC,OU=X"),
        ("CN=svc,OU=x", r"CN=\73vc,OU=x"),
        ("CN=svc,OU=x", "2.5.4.3=svc,OID.2.5.4.11=x"),
        ("CN=svc,OU=x", "commonName=svc,organizationalUnitName=x"),
        ("CN=svc", "CN=#0403737663"),
        ("CN=a+UID=b,DC=x", "uid=b+cn=a,dc=x"),
        ("CN=a  b", "CN= a b "),
        (r"CN=Comma\, Inc", r"CN=Comma\2c Inc"),
        ("CN=\u00e4", "CN=a\u0308"),
        ("", "  "),
    ],
)
def test_the_same(one: str, other: str) -> None:
    assert parse_dn(one) == parse_dn(other)
    assert hash(parse_dn(one)) == hash(parse_dn(other))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("CN=svc,OU=x", "CN=svc2,OU=x"),
        ("CN=svc,OU=x", "OU=x,CN=svc"),
        (r"CN=a\,b", "CN=a,CN=b"),
        (r"CN=a\+OU=b", "CN=a+OU=b"),
        ("CN=straße", "CN=strasse"),
        ("CN=a", "UID=a"),
        (r"CN=\#0403737663", "CN=#0403737663"),
        ("CN=#020101", r"CN=\02\01\01"),
        ("CN=#04", "CN=#0400"),
    ],
)
def test_not_the_same(one: str, other: str) -> None:
    assert parse_dn(one) != parse_dn(other)


@pytest.mark.parametrize(
    ("dn", "base", "within"),
    [
        ("CN=a,OU=svc,DC=x", "OU=svc,DC=x", True),
        ("OU=svc,DC=x", "ou=SVC, dc=x", True),
        ("CN=a,OU=notsvc,DC=x", "OU=svc,DC=x", False),
        ("DC=x", "OU=svc,DC=x", False),
        (r"CN=a\,OU=svc,DC=x", "OU=svc,DC=x", False),  # the comma is the name's
        ("CN=a+OU=svc,DC=x", "OU=svc,DC=x", False),
        ("CN=a,DC=y", "DC=x", False),
        ("CN=a", "", True),
        ("", "", True),
    ],
)
def test_within(dn: str, base: str, within: bool) -> None:
    assert parse_dn(dn).is_within(parse_dn(base)) is within
    assert (dn in Subtree(base)) is within


@given(dns, dns)
def test_a_subtree_is_what_is_within(dn: DN, base: DN) -> None:
    """However the shortcut for names written alike cuts."""
    for text in (str(dn), f"{dn},{base}".strip(",")):
        if not text.endswith("\\"):
            assert (text in Subtree(str(base))) == parse_dn(text).is_within(base)


def test_a_malformed_name_is_in_no_subtree() -> None:
    assert "<GUID=1234>" not in Subtree("DC=x")
    assert "alice" not in Subtree("")


@given(dns, dns)
def test_what_is_put_below_is_within(below: DN, base: DN) -> None:
    whole = parse_dn(",".join(filter(None, (str(below), str(base)))))
    assert whole.is_within(base)
    assert base.is_within(whole) == (not below.rdns)


@pytest.mark.parametrize(
    ("text", "position"),
    [
        ("alice", 0),
        ("CN=a,", 5),
        ("CN=a,,DC=x", 5),
        ("=a", 0),
        ("CN=a;DC=x", 4),
        (r"CN=a\zz", 4),
        ("CN=a\\", 4),
        ('CN="a"', 3),
        ("CN=#0", 3),
        ("CN=#zz", 3),
        ("CN=#04017 ,DC=x", 3),
        ("<GUID=1234>", 0),
        ("CN=a\0", 4),
        ("alice@corp.test", 0),
        ("CORP\\alice", 0),
    ],
)
def test_errors_say_where(text: str, position: int) -> None:
    with pytest.raises(MalformedDN) as caught:
        parse_dn(text)
    assert caught.value.position == position


@given(st.text(max_size=40) | st.text('cn=,+\\#" a0;', max_size=20))
def test_any_text_is_a_dn_or_an_error(text: str) -> None:
    try:
        made = parse_dn(text)
    except MalformedDN:
        return
    assert parse_dn(str(made)) == made


@given(values)
def test_escaped_values_are_never_syntax(value: bytes) -> None:
    assert parse_dn(f"cn={escape_value(value)},dc=x").rdns == ((Ava("cn", value),), (Ava("dc", b"x"),))


@pytest.mark.parametrize(
    "value", ["#a", " a", "a ", "a,b", "a+b", 'a"b', "a\\b", "a<b>", "a;b", "", "\0", "@,"]
)
def test_hostile_values(value: str) -> None:
    """Where ldap3's own escaping has gaps (a lone NUL, an empty string, an @)."""
    assert parse_dn(f"cn={escape_value(value.encode())},dc=x").rdns[0] == (Ava("cn", value.encode()),)


@given(st.lists(st.text("ab c,+=\u00e4", min_size=1, max_size=6), min_size=1, max_size=3))
def test_another_library_sees_the_same_parts(names: list[str]) -> None:
    text = ",".join(f"cn={escape_value(name.encode())}" for name in names)
    assert [attribute for attribute, _, _ in ldap3_parse_dn(text)] == ["cn"] * len(names)
