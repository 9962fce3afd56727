"""Names that compare, members of members, filters in three values."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from authproxy.embedded.directory.ldif import read_ldif
from authproxy.embedded.directory.matching import matches
from authproxy.embedded.directory.tree import Tree, read_dn
from authproxy.protocols.ldap.dn import MalformedDN
from authproxy.protocols.ldap.filter import (
    And,
    Equality,
    Extensible,
    Filter,
    GreaterOrEqual,
    LessOrEqual,
    Not,
    Or,
    Present,
    Substrings,
)
from authproxy.protocols.ldap.requests import Scope

from .corp import BASE, LDIF, VPN

TREE = Tree(read_ldif(LDIF))
CHAIN = "1.2.840.113556.1.4.1941"
ALL_BITS = "1.2.840.113556.1.4.803"


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("CN=Alice, OU=People", "cn=alice,ou=PEOPLE"),
        ("CN=a\\, b,DC=x", "cn=a\\2c b, dc=x"),
        ("cn=Größe", "cn=Gr\\C3\\B6\\C3\\9Fe"),
        ("cn=a+sn=b,dc=x", "SN=B+CN=A,dc=x"),
        ("cn=a  b", "cn=A B"),
    ],
)
def test_spellings_of_one_name(one: str, other: str) -> None:
    assert read_dn(one) == read_dn(other)


@pytest.mark.parametrize("text", ["alice", "cn=a,,dc=x", "cn=a,", "=a", "cn=a\\"])
def test_no_names(text: str) -> None:
    with pytest.raises(MalformedDN):
        read_dn(text)


def test_the_root_is_above_all() -> None:
    assert len(list(TREE.within((), Scope.SUBTREE))) == 8
    assert [entry.dn for entry in TREE.within((), Scope.BASE)] == []
    assert TREE.suffixes == [BASE]


@pytest.mark.parametrize(
    ("name", "who"),
    [
        ("cn=alice doe,ou=people,dc=corp,dc=example", "alice"),
        ("alice@corp.example", "alice"),
        ("CORP\\bob", "bob"),
        ("alice", None),
        ("CORP\\", None),
        ("@", None),
        ("cn=nobody,dc=corp,dc=example", None),
    ],
)
def test_who_a_bind_names(name: str, who: str | None) -> None:
    found = TREE.account(name)
    assert (found.values("samaccountname")[0].decode() if found else None) == who


def found(wanted: Filter) -> list[str]:
    everybody = TREE.within(read_dn(f"OU=People,{BASE}"), Scope.ONE_LEVEL)
    return [entry.values("samaccountname")[0].decode() for entry in everybody if matches(wanted, entry, TREE)]


@pytest.mark.parametrize(
    ("wanted", "who"),
    [
        (Equality("sAMAccountName", b"ALICE"), ["alice"]),
        (Not(Equality("sAMAccountName", b"alice")), ["bob", "carol"]),
        (Not(Equality("mail", b"nobody")), ["alice"]),  # undefined for those without mail, and stays so
        (Present("mail"), ["alice"]),
        (And(()), ["alice", "bob", "carol"]),
        (Or(()), []),
        (Or((Equality("mail", b"x"), Equality("sAMAccountName", b"bob"))), ["bob"]),
        (Substrings("cn", b"ali", (b"e",), b"doe"), ["alice"]),
        (Substrings("cn", b"alice doe", (), b"doe"), []),  # the pieces may not overlap
        (GreaterOrEqual("logonCount", b"10"), ["carol"]),
        (LessOrEqual("logonCount", b"10"), ["alice"]),
        (Extensible(ALL_BITS, "userAccountControl", b"2"), ["bob"]),
        (Not(Extensible(ALL_BITS, "userAccountControl", b"2")), ["alice"]),
        (Extensible(CHAIN, "memberOf", VPN.encode()), ["alice", "carol"]),
        (Extensible("1.2.3", "cn", b"alice"), []),
        (Extensible(None, "sAMAccountName", b"bob"), ["bob"]),
        (Equality("description", "gröSSe".encode()), ["alice"]),
        (Present("userPassword"), []),
        (Equality("userPassword", b"builder"), []),
        (Substrings("userPassword", b"b"), []),
        (GreaterOrEqual("userPassword", b"a"), []),
    ],
)
def test_filters(wanted: Filter, who: list[str]) -> None:
    assert found(wanted) == who


def test_groups_in_a_circle_end() -> None:
    tree = Tree(read_ldif("dn: cn=a\nmember: cn=b\n\ndn: cn=b\nmember: cn=a\n"))
    (a,) = tree.within(read_dn("cn=a"), Scope.BASE)
    assert matches(Extensible(CHAIN, "memberOf", b"cn=c"), a, tree) is False


def test_a_name_that_is_there_twice() -> None:
    with pytest.raises(KeyError):
        Tree(read_ldif("dn: cn=a\ncn: a\n\ndn: CN=A\ncn: a\n"))


@given(st.text(max_size=60))
def test_any_text_is_a_name_or_none(text: str) -> None:
    with contextlib.suppress(MalformedDN):
        read_dn(text)
