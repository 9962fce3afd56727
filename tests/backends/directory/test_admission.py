"""Whether a directory would still let in who had the right password before a reload (F3)."""

from __future__ import annotations

import pytest

from authproxy.backends.directory.admission import DirectoryAdmission
from authproxy.backends.radius.admission import RadiusAdmission
from authproxy.pipeline.ports import Admission, PrimaryUnavailable
from authproxy.protocols.ldap.dn import Subtree

from .fakes import BASE, GROUP, ONE, PEOPLE, SERVICE, Desk, Entry, desk, person

ALICE = f"CN=alice,{PEOPLE}"


def earlier() -> DirectoryAdmission:
    return DirectoryAdmission(desk().directory)


def still(made: Desk, dn: str = ALICE, username: str = "alice", before: Admission | None = None) -> bool:
    admission = DirectoryAdmission(made.directory, [Subtree(f"OU=Services,{BASE}")])
    question = admission.still(before or earlier(), username, dn, made.network.seconds() + 10)
    return made.network.run(question)


def grouped(*member_of: str) -> Desk:
    made = desk(security_group_dn=GROUP)
    made.one.entries[1].attributes["memberOf"] = list(member_of)
    made.one.entries.append(Entry(GROUP, {"objectClass": ["group"], "cn": ["vpn"]}))
    return made


@pytest.mark.parametrize("dn", [ALICE, ""])
def test_a_group_that_is_required_now(dn: str) -> None:
    """By the DN, or after a restart by the name, which is all that a State has room for."""
    assert still(grouped(GROUP), dn)
    assert not still(grouped(), dn)


def test_who_is_not_found_any_more() -> None:
    assert still(desk())
    assert not still(desk(search_dn=f"OU=Elsewhere,{BASE}"))
    assert not still(desk(), f"CN=nobody,{PEOPLE}")
    assert not still(desk(), "", "nobody")


def test_a_name_that_the_directory_only_takes_for_hers() -> None:
    made = desk()
    made.one.entries[1] = person("álice", dn=ALICE, sAMAccountName=["alice", "álice"])
    assert not still(made, "", "alice")


def test_no_password_is_tried() -> None:
    made = desk()
    assert still(made)
    assert made.one.user_binds() == []


def test_an_application_s_own_account() -> None:
    """It need not be a person, nor in the group, at a login either."""
    assert still(grouped(), f"CN=app,OU=Services,{BASE}", "app")


def test_a_name_that_no_directory_has_confirmed() -> None:
    assert not still(desk(), "", "alice", RadiusAdmission(frozenset({("10.0.0.9", 1812)})))


def test_nobody_answers() -> None:
    made = desk()
    made.down(ONE)
    with pytest.raises(PrimaryUnavailable):
        still(made)


def test_which_are_the_same() -> None:
    directory = desk().directory
    assert DirectoryAdmission(directory) == DirectoryAdmission(directory, [Subtree(SERVICE)])
    assert DirectoryAdmission(directory) != DirectoryAdmission(desk().directory)
