"""A login at the directory, as a conversation: who is looked up, what is tried, what is said."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest

from authproxy.backends.directory.settings import AuthType, Transport
from authproxy.backends.lockout import LockoutRules
from authproxy.backends.tls import Trust
from authproxy.observe.log import NullLog
from authproxy.pipeline.ports import PrimaryUnavailable, RefusalKind, Refused, Verified
from authproxy.protocols.ldap.controls import PasswordPolicy, PolicyError, encode_password_policy
from authproxy.protocols.ldap.filter import Equality
from authproxy.protocols.ldap.responses import BindResponse, Result, SearchResultDone
from authproxy.secret import Secret

from .fakes import AD_CAPABILITIES, BASE, GROUP, PEOPLE, Desk, Entry, ad_refusal, desk, person

ALICE = Verified("alice", f"CN=alice,{PEOPLE}")


@dataclass
class Said(NullLog):
    """What was logged."""

    events: list[tuple[str, dict[str, object]]] = field(default_factory=list)

    def info(self, event: str, /, **fields: object) -> None:
        self.events.append((event, fields))

    warn = error = info

    def names(self) -> list[str]:
        return [event for event, _ in self.events]


def active_directory(**changes: Any) -> Desk:
    made = desk(**changes)
    for fake in (made.one, made.two):
        fake.root = AD_CAPABILITIES | {"configurationNamingContext": [f"CN=Configuration,{BASE}"]}
        partitions = f"CN=Partitions,CN=Configuration,{BASE}"
        for netbios, context in (("CORP", BASE), ("EMEA", f"DC=emea,{BASE}")):
            dns = context.replace("DC=", "").replace(",", ".")
            fake.entries.append(
                Entry(
                    f"CN={netbios},{partitions}",
                    {
                        "objectClass": ["crossRef"],
                        "nETBIOSName": [netbios],
                        "nCName": [context],
                        "dnsRoot": [dns],
                    },
                )
            )
    return made


def test_the_right_password() -> None:
    made = desk()
    assert made.verify() == ALICE
    assert made.one.user_binds() == [(f"CN=alice,{PEOPLE}", b"right")]


@pytest.mark.parametrize(
    ("username", "password", "cause"),
    [
        ("alice", b"wrong", "bad_password"),
        ("nobody", b"right", "unknown_user"),
        ("svc", b"svc-pw", "unknown_user"),
    ],
)
def test_refused(username: str, password: bytes, cause: str) -> None:
    assert desk().verify(username, password) == Refused(cause)


def test_a_password_is_tried_once() -> None:
    """R27: each wrong one moves the lock-out counter."""
    made = desk()
    made.verify(password=b"wrong")
    assert len(made.one.user_binds()) == 1


def test_an_empty_password_reaches_nobody() -> None:
    """R25, in the file that would send it: this directory says yes to it."""
    made = desk()
    assert made.verify(password=b"") == Refused("empty_password")
    assert made.network.attempts == []


def test_octets_stay_octets() -> None:
    """R24: a password is not text."""
    made = desk()
    made.one.entries[1].password = b"p\xe4ss\xffw\x01rd "
    assert made.verify(password=b"p\xe4ss\xffw\x01rd ") == ALICE
    assert made.verify(password=b"p\xe4ss\xffw\x01rd") == Refused("bad_password")


@pytest.mark.parametrize(
    "typed",
    [
        "alice",
        "ALICE",
        "alice@corp.test",
        "CORP\\alice",
        "corp.test\\Alice",
        f"cn=alice, ou=people,{BASE}",
        "\\alice",
    ],
)
def test_forms_of_a_name(typed: str) -> None:
    assert active_directory().verify(typed) == ALICE


@pytest.mark.parametrize(
    "typed", ["OTHER\\alice", "EMEA\\alice", "emea.corp.test\\alice", "alice@emea.corp.test"]
)
def test_another_domains_alice(typed: str) -> None:
    made = active_directory()
    assert made.verify(typed) == Refused("unknown_user")
    assert made.one.user_binds() == []


def test_two_domains_have_an_alice_each() -> None:
    made = active_directory()
    made.one.entries.append(person("alice", b"emeas", dn=f"CN=alice,OU=People,DC=emea,{BASE}"))
    assert made.verify("EMEA\\alice", b"emeas") == Verified("alice", f"CN=alice,OU=People,DC=emea,{BASE}")
    assert made.verify("CORP\\alice") == ALICE
    assert made.verify("alice") == Refused("ambiguous_user")


def test_a_principal_name_that_no_attribute_holds() -> None:
    """Active Directory takes account name and domain for one."""
    made = active_directory()
    made.one.entries[1].attributes["userPrincipalName"] = []
    assert made.verify("alice@corp.test") == ALICE
    assert made.verify("alice@emea.corp.test") == Refused("unknown_user")


def test_an_explicit_principal_name_wins() -> None:
    """bob may be called alice@corp.test; then alice is not."""
    made = active_directory()
    made.one.entries[1].attributes["userPrincipalName"] = []
    made.one.entries[2].attributes["userPrincipalName"] = ["alice@corp.test"]
    assert made.verify("alice@corp.test", b"bobs") == Verified("bob", f"CN=bob,{PEOPLE}")


def test_mail_addresses_as_user_names() -> None:
    made = desk(username_attribute="uid", at_attribute="mail")
    made.one.entries.append(person("carol", uid=["carol@corp.test"], mail=["c@corp.test"]))
    expected = Verified("carol@corp.test", f"CN=carol,{PEOPLE}")
    assert made.verify("carol@corp.test") == expected
    assert made.verify("c@corp.test") == expected


def test_a_domain_means_nothing_outside_active_directory() -> None:
    assert desk().verify("ANY\\alice") == ALICE
    assert desk(ntlm_domain="CORP").verify("ANY\\alice") == Refused("unknown_user")
    assert desk(ntlm_domain="CORP").verify("corp\\alice") == ALICE


@pytest.mark.parametrize(
    "typed",
    ["*", "a*", "alice)(uid=*", ")(|(sAMAccountName=*", "\\2a", "alic\\65", "cn=alice,x@y", "(", "alice*"],
)
def test_hostile_names_are_values(typed: str) -> None:
    """L26: nothing typed is ever syntax."""
    made = desk()
    assert made.verify(typed) == Refused("unknown_user")
    assert made.one.user_binds() == []


def test_two_entries_are_nobody() -> None:
    """L27: not the first one."""
    log = Said()
    made = Desk(log=log)
    made.one.entries.append(person("alice", dn=f"CN=alice2,{PEOPLE}"))
    assert made.verify() == Refused("ambiguous_user")
    assert made.one.user_binds() == []
    assert "directory.name_ambiguous" in log.names()


def test_many_entries_are_nobody() -> None:
    made = desk()
    made.one.entries += [person("alice", dn=f"CN=alice{number},{PEOPLE}") for number in range(9)]
    assert made.verify() == Refused("ambiguous_user")


@pytest.mark.parametrize("dn", ["CN=alice,DC=elsewhere", "", f"CN=alice\\,{BASE}", "alice"])
def test_an_entry_from_elsewhere_is_nobody(dn: str) -> None:
    """L27: a DN that isn't below the base, least of all the empty one, which would bind as nobody and succeed."""
    made = desk()
    stray = person("alice", dn=dn)

    def stray_entry(session: Any, frame: Any, asked: Any) -> bool:
        if asked.scope != 2:
            return False
        session.entry(frame, stray)
        session.say(frame, SearchResultDone(Result(0)))
        return True

    made.one.on_search = stray_entry
    assert made.verify() == Refused("unknown_user")
    assert made.one.user_binds() == []


def test_an_entry_typed_by_its_dn_must_be_inside() -> None:
    made = desk(search_dn=PEOPLE)
    assert made.verify(f"CN=svc,{BASE}", b"svc-pw") == Refused("unknown_user")
    assert [asked.base for asked in made.one.searches] == [""]  # it isn't even looked at
    assert made.verify(f"CN=alice,{PEOPLE}") == ALICE


def test_the_directory_names_the_user() -> None:
    """R33: what was typed is for looking up; what the entry says is who it was."""
    made = desk(username_attribute="uid", at_attribute="mail")
    made.one.entries.append(person("x", uid=["ÁLICE"], mail=["al@corp.test"], dn=f"CN=x,{PEOPLE}"))
    assert made.verify("al@corp.test") == Verified("álice", f"CN=x,{PEOPLE}")


@pytest.mark.parametrize("values", [[], ["alice", "alicia"], ["ali\u202ece"], [" "], ["a" * 300]])
def test_an_entry_without_one_plain_name_is_nobody(values: list[str]) -> None:
    made = desk(username_attribute="uid", at_attribute="mail")
    made.one.entries.append(person("x", uid=values, mail=["x@corp.test"]))
    assert made.verify("x@corp.test") == Refused("username_attribute")
    assert made.one.user_binds() == []


def test_people_only() -> None:
    made = desk()
    made.one.entries[1].attributes["objectClass"] = ["device"]
    assert made.verify() == Refused("unknown_user")


def test_an_own_filter() -> None:
    made = desk(ldap_filter=Equality("departmentNumber", b"7"))
    assert made.verify() == Refused("unknown_user")
    made.one.entries[1].attributes["departmentNumber"] = ["7"]
    assert made.verify() == ALICE


# ---- what the directory says to a bind


@pytest.mark.parametrize(
    ("result", "cause"),
    [
        (ad_refusal("532"), "expired"),
        (ad_refusal("533"), "disabled"),
        (ad_refusal("701"), "account_expired"),
        (ad_refusal("773"), "must_change"),
        (ad_refusal("775"), "locked"),
        (ad_refusal("530"), "time_restricted"),
        (ad_refusal("531"), "workstation_restricted"),
        (Result(53, "no"), "unwilling_to_perform"),
        (Result(19, "Exceed password retry limit. Please try later."), "locked"),
        (Result(50), "insufficient_access_rights"),
        (Result(48), "inappropriate_authentication"),
        (Result(4711), "result_4711"),
    ],
)
def test_causes(result: Result, cause: str) -> None:
    """L16: expired and must change say that the password is right, and are no success all the same."""
    made = desk()
    made.one.entries[1].refusal = result
    assert made.verify() == Refused(cause)


@pytest.mark.parametrize("code", [1, 2, 3, 10, 11, 12, 14, 51, 52, 54, 80])
def test_no_verdict(code: int) -> None:
    """A server that didn't look at the password has not refused it."""
    made = desk()
    made.one.entries[1].refusal = Result(code)
    with pytest.raises(PrimaryUnavailable):
        made.verify()


@pytest.mark.parametrize(("code", "todo"), [(7, "auth_type"), (8, "ldaps"), (13, "starttls")])
def test_the_administrator_has_to_act(code: int, todo: str) -> None:
    log = Said()
    made = Desk(log=log)
    made.one.entries[1].refusal = Result(code)
    for _ in range(2):
        with pytest.raises(PrimaryUnavailable, match=todo):
            made.verify()
    assert log.names().count("directory.unusable") == 1


def test_a_password_that_must_be_changed_first_is_no_login() -> None:
    """slapd says success and means it isn't; Active Directory says 773."""
    made = desk()
    made.one.entries[1].controls = (
        encode_password_policy(PasswordPolicy(error=PolicyError.CHANGE_AFTER_RESET)),
    )
    assert made.verify() == Refused("must_change")


def test_grace_logins_are_logins() -> None:
    log = Said()
    made = Desk(log=log)
    made.one.entries[1].controls = (encode_password_policy(PasswordPolicy(grace_logins=2)),)
    assert made.verify() == ALICE
    assert ("directory.grace_login", {"section": "ad_client", "entry": ALICE.dn, "left": 2}) in log.events


def test_a_policy_explains_a_refusal() -> None:
    made = desk()
    made.one.entries[1].refusal = Result(49)
    made.one.entries[1].controls = (encode_password_policy(PasswordPolicy(error=PolicyError.ACCOUNT_LOCKED)),)
    assert made.verify() == Refused("locked")


# ---- referrals (L25)


def test_references_are_not_followed() -> None:
    made = desk()
    made.one.references = ("ldap://evil.test/DC=corp,DC=test",)
    assert made.verify() == ALICE
    assert {host for host, _ in made.network.attempts} == {"10.0.0.1"}


@pytest.mark.parametrize("operation", ["on_search", "on_bind"])
def test_a_referral_is_no_answer(operation: str) -> None:
    made = desk()

    def refer(session: Any, frame: Any, asked: Any) -> bool:
        if operation == "on_search" and asked.scope != 2:
            return False
        if operation == "on_bind" and asked.name.startswith("CN=svc"):
            return False
        kind = SearchResultDone if operation == "on_search" else BindResponse
        session.say(frame, kind(Result(10, referral=("ldap://evil.test/",))))
        return True

    setattr(made.one, operation, refer)
    with pytest.raises(PrimaryUnavailable, match="referral"):
        made.verify()
    assert {host for host, _ in made.network.attempts} == {"10.0.0.1"}


# ---- groups


def in_group(made: Desk, **attributes: list[str]) -> Desk:
    made.one.entries[1].attributes |= attributes
    return made


def test_a_direct_member() -> None:
    made = in_group(desk(security_group_dn=GROUP), memberOf=[GROUP.upper()])
    assert made.verify() == ALICE


@pytest.mark.parametrize("ad", [True, False])
def test_not_in_group(ad: bool) -> None:
    made = (active_directory if ad else desk)(security_group_dn=GROUP)
    made.one.entries.append(Entry(GROUP, {"objectClass": ["group"], "objectSid": ["S-1"]}))
    assert made.verify() == Refused("not_in_group", RefusalKind.NOT_IN_GROUP)


def test_who_isnt_in_the_group_is_told_nothing_before_the_password_is_right() -> None:
    """The same conversation, octet for octet, as for who is: no oracle for group members."""
    group = Entry(GROUP, {"objectClass": ["group"]})
    outside, inside = desk(security_group_dn=GROUP), in_group(desk(security_group_dn=GROUP), memberOf=[GROUP])
    for made in (outside, inside):
        made.one.entries.append(group)
        assert made.verify(password=b"wrong") == Refused("bad_password")
    assert outside.one.searches == inside.one.searches
    assert outside.one.binds == inside.one.binds


def test_active_directory_works_out_nested_groups() -> None:
    made = in_group(active_directory(security_group_dn=GROUP), inChain=[GROUP])
    assert made.verify() == ALICE


def test_the_primary_group() -> None:
    """It stands in no memberOf, so the rule doesn't see it."""
    made = in_group(active_directory(security_group_dn=GROUP), tokenGroups=["S-1-5-21-513"])
    made.one.entries.append(Entry(GROUP, {"objectClass": ["group"], "objectSid": ["S-1-5-21-513"]}))
    assert made.verify() == ALICE
    made.one.entries[1].attributes["tokenGroups"] = ["S-1-5-21-514"]
    assert made.verify() == Refused("not_in_group", RefusalKind.NOT_IN_GROUP)


def group(name: str, *members: str, **more: list[str]) -> Entry:
    return Entry(
        f"CN={name},OU=Groups,{BASE}", {"objectClass": ["groupOfNames"], "member": list(members), **more}
    )


def walked(*groups: Entry) -> Verified | Refused:
    made = desk(security_group_dn=GROUP)
    made.one.root = {"namingContexts": [BASE]}
    made.one.entries += groups
    return made.verify()


def nested(depth: int) -> list[Entry]:
    """alice is in g0, g0 in g1, and so on; the last is in vpn."""
    chain = [group("g0", ALICE.dn)]
    chain += [group(f"g{number}", f"CN=g{number - 1},OU=Groups,{BASE}") for number in range(1, depth)]
    return [*chain, group("vpn", f"CN=g{depth - 1},OU=Groups,{BASE}")]


@pytest.mark.parametrize("depth", [1, 2, 5])
def test_walking_up_nested_groups(depth: int) -> None:
    assert walked(*nested(depth)) == ALICE


def test_a_walk_too_long_ends() -> None:
    assert isinstance(walked(*nested(30)), Refused)


def test_a_walk_in_circles_ends() -> None:
    loop = [
        group("a", f"CN=b,OU=Groups,{BASE}", ALICE.dn),
        group("b", f"CN=a,OU=Groups,{BASE}"),
        group("vpn"),
    ]
    assert walked(*loop) == Refused("not_in_group", RefusalKind.NOT_IN_GROUP)


@pytest.mark.parametrize(
    "listed", [{"member": [ALICE.dn]}, {"uniqueMember": [ALICE.dn]}, {"memberUid": ["alice"]}]
)
def test_kinds_of_groups(listed: dict[str, list[str]]) -> None:
    assert walked(Entry(GROUP, {"objectClass": ["top"], **listed})) == ALICE


def test_a_group_that_isnt_there_keeps_everybody_out_and_is_said() -> None:
    made = desk(security_group_dn=GROUP)

    def no_such_object(session: Any, frame: Any, asked: Any) -> bool:
        if asked.base != GROUP:
            return False
        session.say(frame, SearchResultDone(Result(32)))
        return True

    made.one.on_search = no_such_object
    with pytest.raises(PrimaryUnavailable, match="no such group"):
        made.verify()


def test_an_error_in_the_group_search_lets_nobody_in() -> None:
    made = desk(security_group_dn=GROUP)

    def refuse(session: Any, frame: Any, asked: Any) -> bool:
        if asked.base != GROUP:
            return False
        session.say(frame, SearchResultDone(Result(50)))
        return True

    made.one.on_search = refuse
    with pytest.raises(PrimaryUnavailable):
        made.verify()


# ---- the service account


def test_a_refused_service_account_isnt_tried_until_it_is_locked() -> None:
    log = Said()
    made = Desk(log=log, changes={"service_password": Secret(b"old")})
    for _ in range(5):
        with pytest.raises(PrimaryUnavailable, match="service account was refused: bad_password"):
            made.verify()
    assert len(made.one.binds) == 1
    assert made.directory.health().service_account == "bad_password"
    assert not made.directory.health().ready
    made.network.advance(30)
    with pytest.raises(PrimaryUnavailable):
        made.verify()
    assert len(made.one.binds) == 2
    assert log.names().count("directory.service_account_refused") == 2


def test_ten_logins_at_once_try_it_once() -> None:
    made = desk(service_password=Secret(b"old"))
    outcomes = [made.network.begin(made.asked()) for _ in range(10)]
    made.network.wait_for(lambda: all(outcomes))
    assert len(made.one.binds) == 1


def test_a_service_account_that_is_mended_works_again() -> None:
    made = desk()
    made.one.entries[0].refusal = ad_refusal("775")
    with pytest.raises(PrimaryUnavailable):
        made.verify()
    made.one.entries[0].refusal = None
    made.network.advance(30)
    assert made.verify() == ALICE
    assert made.directory.health().ready


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"hosts": ()}, "host"),
        ({"service_password": Secret(b"")}, "service_account_password"),
        ({"service_name": ""}, "service_account_username"),
        ({"search_dn": "corp.test"}, "character 1"),
        ({"security_group_dn": "vpn"}, "character 1"),
    ],
)
def test_settings_that_cannot_work(changes: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        desk(**changes)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({}, "readable"),
        ({"auth_type": AuthType.NTLM2}, "nothing but NTLM"),
        ({"transport": Transport.LDAPS, "trust": Trust(verify=False)}, "anybody"),
        (
            {"transport": Transport.STARTTLS, "trust": Trust(verify_hostname=False)},
            "whoever has a certificate",
        ),
        ({"transport": Transport.LDAPS}, ""),
    ],
)
def test_what_is_unprotected_is_said_at_the_start(changes: dict[str, Any], says: str) -> None:
    log = Said()
    made = Desk(log=log, changes=changes)
    made.directory.start()
    said = [str(fields["todo"]) for event, fields in log.events if event == "directory.unprotected"]
    assert len(said) == bool(says)
    assert says in "".join(said)


def test_unix_groups_know_names_as_they_are_written() -> None:
    """memberUid compares with case; the canonical name has none."""
    made = desk(security_group_dn=GROUP)
    made.one.entries.append(person("Carol"))
    made.one.entries.append(Entry(GROUP, {"objectClass": ["posixGroup"], "memberUid": ["Carol"]}))

    asked: list[Any] = []

    def remember(session: Any, frame: Any, request: Any) -> bool:
        asked.append(request)
        return False

    made.one.on_search = remember
    assert made.verify("carol") == Verified("carol", f"CN=Carol,{PEOPLE}")
    assert Equality("memberUid", b"Carol") in asked[-1].filter.parts


def test_secrets_dont_print() -> None:
    made = desk()
    assert "svc-pw" not in repr(made.settings)


# ---- trying it before anybody logs in


def examined(made: Desk) -> tuple[str, tuple[str, ...], bool]:
    (report,) = made.network.run(made.directory.examine(10))
    return report.problem, report.warnings, report.active_directory


def test_all_well() -> None:
    assert examined(with_base(active_directory())) == ("", (), True)


def with_base(made: Desk) -> Desk:
    made.one.entries.append(Entry(BASE, {"objectClass": ["domain"]}))
    return made


def test_a_wrong_service_password_is_a_problem() -> None:
    problem, _, _ = examined(desk(service_password=Secret(b"old")))
    assert "service account was refused: bad_password" in problem


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"search_dn": f"OU=nowhere,{BASE}"}, "search_dn"),
        ({"security_group_dn": GROUP}, "security_group_dn"),
        ({"groups": (GROUP,)}, f"attributes, group {GROUP}"),
    ],
)
def test_what_isnt_there_is_a_problem(changes: dict[str, Any], says: str) -> None:
    problem, _, _ = examined(with_base(active_directory(**changes)))
    assert problem.startswith(says)


def test_options_of_another_directory_are_doubtful() -> None:
    foreign = with_base(desk())
    for entry in foreign.one.entries:
        entry.attributes.pop("sAMAccountName", None)
    _, warnings, active = examined(foreign)
    assert not active
    assert any("for OpenLDAP set it to uid" in warning for warning in warnings)
    # Whatever it is, its entries have the attribute.
    assert not any("username_attribute" in warning for warning in examined(with_base(desk()))[1])
    _, warnings, _ = examined(with_base(active_directory(username_attribute="uid")))
    assert "no entry below search_dn has it" in warnings[0]


@pytest.mark.parametrize(
    ("threshold", "most", "told"), [("5", 4, False), ("4", 4, True), ("0", 0, False), ("10", 0, True)]
)
def test_a_limit_that_does_not_keep_accounts_open(threshold: str, most: int, told: bool) -> None:
    """A10: the domain says at how many wrong passwords it locks an account."""
    made = active_directory(lockout=LockoutRules(most))
    made.one.entries.append(Entry(BASE, {"objectClass": ["domain"], "lockoutThreshold": [threshold]}))
    _, warnings, _ = examined(made)
    assert [f"locks an account at {threshold}" in warning for warning in warnings] == [True] * told


def test_nobody_there_is_a_problem() -> None:
    made = desk()
    made.network.listening.clear()
    problem, _, _ = examined(made)
    assert "refused" in problem
