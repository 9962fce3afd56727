"""Who an LDAP application's bind was, by the entry that the directory has (L10, L11, L27, R33)."""

from __future__ import annotations

from typing import Any

import pytest

from authproxy.backends.directory.identities import Identities
from authproxy.observe.log import NullLog
from authproxy.pipeline.ports import PrimaryUnavailable, RefusalKind, Refused, Verified
from authproxy.protocols.ldap.dn import Subtree

from .fakes import AD_CAPABILITIES, BASE, GROUP, ONE, PEOPLE, SERVICE, Desk, Entry, desk, person

ALICE = f"CN=alice,{PEOPLE}"
SERVICES = f"OU=Services,{BASE}"
APP = f"CN=app,{SERVICES}"


class Names:
    """A desk with an Identities of its own."""

    def __init__(self, made: Desk | None = None, **more: Any) -> None:
        self.desk = made or desk()
        fields: dict[str, Any] = {"applications": [], "groups": [], "log": NullLog()}
        self.identities = Identities(self.desk.directory, **(fields | more))

    def confirm(self, name: str, typed: str = "") -> Verified | Refused:
        network = self.desk.network
        return network.run(self.identities.confirm(name, network.seconds() + 10, typed))


@pytest.mark.parametrize("name", [ALICE, ALICE.upper(), "cn = alice , ou=people," + BASE, "alice@corp.test"])
def test_one_entry(name: str) -> None:
    assert Names().confirm(name) == Verified("alice", ALICE)


def test_nobody_s_password_is_tried() -> None:
    names = Names()
    names.confirm(ALICE)
    assert names.desk.one.user_binds() == []


@pytest.mark.parametrize(
    ("name", "cause"),
    [
        (f"CN=nobody,{PEOPLE}", "unknown_user"),
        ("CN=alice,OU=People,DC=other,DC=test", "unknown_user"),
        ("nobody@corp.test", "unknown_user"),
        ("alice", "name_not_confirmed"),
        (SERVICE, "unknown_user"),
    ],
)
def test_not_one(name: str, cause: str) -> None:
    assert Names().confirm(name) == Refused(cause)


def test_two_of_a_name_are_nobody() -> None:
    names = Names()
    names.desk.one.entries.append(
        person("alice2", dn=f"CN=alice2,{PEOPLE}", userPrincipalName=["alice@corp.test"])
    )
    assert names.confirm("alice@corp.test") == Refused("ambiguous_user")


def test_who_is_not_in_the_group() -> None:
    names = Names(desk(security_group_dn=GROUP))
    names.desk.one.entries.append(Entry(GROUP, {"objectClass": ["group"], "cn": ["vpn"]}))
    assert names.confirm(ALICE) == Refused("not_in_group", RefusalKind.NOT_IN_GROUP)


# ---- applications


@pytest.mark.parametrize(
    ("listed", "name", "found"),
    [
        (APP, APP, True),
        (APP, APP.lower().replace(",", " , "), True),
        (SERVICES, APP, True),
        (SERVICES, f"CN=app,OU=NotServices,{BASE}", False),
        (f"OU=ces,{BASE}", f"CN=app,{SERVICES}", False),
        (SERVICES, f"CN=app\\,OU\\=Services,{PEOPLE}", False),
    ],
)
def test_an_application_s_account(listed: str, name: str, found: bool) -> None:
    """L11: by whole RDNs, however they are written; it needn't be a person."""
    names = Names(applications=[Subtree(listed)])
    names.desk.one.entries += [
        Entry(APP, {"objectClass": ["applicationProcess"]}),
        Entry(f"CN=app,OU=NotServices,{BASE}", {"objectClass": ["applicationProcess"]}),
    ]
    assert isinstance(names.confirm(name), Verified) is found


def test_an_application_that_is_not_there() -> None:
    names = Names(applications=[Subtree(SERVICES)])
    assert names.confirm(f"CN=ghost,{SERVICES}") == Refused("unknown_user")


# ---- groups


def test_groups_are_told() -> None:
    made = desk()
    made.one.root = AD_CAPABILITIES
    group = Entry(GROUP, {"objectClass": ["group"], "objectSid": ["S-1"]})
    made.one.entries += [group, person("carol", inChain=[GROUP])]
    names = Names(made, groups=[GROUP])
    assert names.confirm(f"CN=carol,{PEOPLE}") == Verified("carol", f"CN=carol,{PEOPLE}", frozenset({GROUP}))
    assert names.confirm(ALICE) == Verified("alice", ALICE)


# ---- the name for the cloud


@pytest.mark.parametrize(
    ("name", "username"),
    [
        ("Alice@corp.test", "alice@corp.test"),
        ("CORP\\Alice", "corp\\alice"),
        (ALICE, "alice"),
    ],
)
def test_as_typed(name: str, username: str) -> None:
    names = Names(desk(ntlm_domain="CORP"), as_typed=True)
    assert names.confirm(name) == Verified(username, ALICE)


def test_any_domain_would_be_any_user() -> None:
    """Where a domain has no meaning to the directory, whoever types one would choose whom the cloud is asked about."""
    assert Names(as_typed=True).confirm("NEW\\alice") == Refused("name_not_confirmed")
    assert Names().confirm("NEW\\alice") == Verified("alice", ALICE)


@pytest.mark.parametrize(
    ("typed", "username"),
    [
        ("Alice@corp.test", "alice@corp.test"),
        ("corp\\alice", "corp\\alice"),
        (ALICE, "alice"),
        ("Alice Smith", None),
        ("alice@córp.test", None),
        ("CÓRP\\alice", None),
        ("corp.test/People/alice", None),
    ],
)
def test_as_typed_where_the_directory_says_who_it_means(typed: str, username: str | None) -> None:
    """Active Directory says `CORP\\alice`, whatever it was that it took for her."""
    names = Names(desk(ntlm_domain="CORP"), as_typed=True)
    expected = Refused("name_not_confirmed") if username is None else Verified(username, ALICE)
    assert names.confirm("CORP\\alice", typed) == expected


@pytest.mark.parametrize("name", ["álice@corp.test", "CORP\\álice", "alice@córp.test", "CÓRP\\alice"])
@pytest.mark.parametrize("as_typed", [True, False])
def test_an_alias_that_only_the_directory_takes(name: str, as_typed: bool) -> None:
    """R33: Active Directory takes á for a. The cloud never sees the alias."""
    names = Names(as_typed=as_typed)

    def loosely(session: Any, frame: Any, asked: Any) -> bool:
        if asked.scope == 2:
            entry = next(entry for entry in names.desk.one.entries if entry.dn == ALICE)
            session.entry(frame, entry)
            session.search(frame, type(asked)(f"CN=nobody,{PEOPLE}", asked.scope, asked.filter))
            return True
        return False

    names.desk.one.on_search = loosely
    expected = Refused("name_not_confirmed") if as_typed else Verified("alice", ALICE)
    assert names.confirm(name) == expected


def test_nobody_to_ask() -> None:
    names = Names()
    names.desk.down(ONE)
    with pytest.raises(PrimaryUnavailable):
        names.confirm(ALICE)
