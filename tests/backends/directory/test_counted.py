"""Whose wrong passwords they are, whatever form a bind name has (A10)."""

from __future__ import annotations

from typing import Any

import pytest

from authproxy.backends.directory.counted import CountedNames
from authproxy.pipeline.ports import PrimaryUnavailable
from authproxy.protocols.ldap.responses import Result, SearchResultDone
from authproxy.protocols.ldap.result import ResultCode

from .fakes import AD_CAPABILITIES, BASE, ONE, PEOPLE, SERVICE, Desk, Entry, desk, person

ENTRY = f"CN=Alice Smith,{PEOPLE}"


APP = f"CN=app,OU=Services,{BASE}"


class Names:
    def __init__(self) -> None:
        self.desk: Desk = desk(ntlm_domain="CORP")
        more = {"userPrincipalName": ["alice.smith@corp.test"], "displayName": ["Ms Smith"]}
        self.desk.one.entries += [
            person("asmith", dn=ENTRY, **more),
            Entry(APP, {"objectClass": ["account"]}),
        ]
        self.counted = CountedNames(self.desk.directory, clock=self.desk.network.seconds)

    def of(self, name: str, *, unconfirmed: bool = False) -> str:
        network = self.desk.network
        return network.run(self.counted.of(name, network.seconds() + 10, unconfirmed=unconfirmed))

    def refuse_searches(self) -> None:
        """The service account is somebody, and may not read anything."""

        def refuses(session: Any, frame: Any, asked: Any) -> bool:
            session.say(frame, SearchResultDone(Result(ResultCode.INSUFFICIENT_ACCESS_RIGHTS)))
            return True

        self.desk.one.on_search = refuses


@pytest.mark.parametrize(
    "name",
    [
        ENTRY,
        ENTRY.upper(),
        f"cn = alice  smith , {PEOPLE}",
        "alice.smith@corp.test",
        "CORP\\asmith",
        "asmith",
    ],
)
def test_forms_of_one_name(name: str) -> None:
    assert Names().of(name) == "asmith"


@pytest.mark.parametrize("name", [f'CN="Alice Smith";{PEOPLE}', "<SID=S-1-5-21-1>", "CN=Ａlice Smith;"])
def test_what_only_the_directory_can_read(name: str) -> None:
    """RFC 2253 §4, and what Active Directory has of its own: none of them is a DN to us."""
    names = Names()

    def reads(session: Any, frame: Any, asked: Any) -> bool:
        if asked.base != name:
            return False
        session.entry(frame, names.desk.one.entries[-2])
        session.say(frame, SearchResultDone(Result(0)))
        return True

    names.desk.one.on_search = reads
    assert names.of(name) == "asmith"


def test_display_names() -> None:
    assert Names().of("Ms Smith") == "ms smith", "of no meaning elsewhere"
    names = Names()
    names.desk.one.root = AD_CAPABILITIES
    assert names.of("MS SMITH") == "asmith"


@pytest.mark.parametrize("name", [APP, APP.lower(), APP.replace(",", " , ")])
def test_an_entry_without_a_name_is_counted_by_its_dn(name: str) -> None:
    assert Names().of(name) == APP.lower()


@pytest.mark.parametrize(
    ("name", "counted"), [("nobody@corp.test", "nobody"), (f"CN=Ghost,{PEOPLE}", "ghost"), ("a=b", "b")]
)
def test_a_name_without_an_entry_is_counted_as_it_is_written(name: str, counted: str) -> None:
    assert Names().of(name) == counted


def test_what_is_kept_is_short() -> None:
    """A thousand names of two thousand letters are two million; nobody needs them told apart by the last ones."""
    names = Names()
    assert names.of("x" * 2000) == "x" * 256
    longest = f"CN=Alice{' ' * 300}Smith,{PEOPLE}"
    assert names.of(longest) == "asmith"
    assert longest not in names.counted._known


def test_a_name_is_looked_up_now_and_then() -> None:
    names = Names()
    assert names.of(ENTRY) == "asmith"
    del names.desk.one.entries[-2:]
    assert names.of(ENTRY) == "asmith"
    names.desk.network.advance(301)
    assert names.of(ENTRY) == "alice smith"


def test_nobody_to_ask() -> None:
    names = Names()
    names.desk.down(ONE)
    with pytest.raises(PrimaryUnavailable):
        names.of(ENTRY)


# ---- a directory that refuses our service account


def refuse_account(names: Names) -> None:
    names.desk.one.entries[0] = Entry(SERVICE, {"cn": ["svc"]}, b"changed")


FORMS = [
    ("asmith", "asmith"),
    ("ASMITH", "asmith"),
    ("\u00e5smith", "asmith"),  # a directory that is loose about it may take it for the same
    ("\uff41smith", "asmith"),
    ("CORP\\asmith", "asmith"),
    ("asmith@corp.test", "asmith"),
    (ENTRY, "alice smith"),
    (f"cn=\\41lice\\20Smith,{PEOPLE}", "alice smith"),
    (APP, "app"),
]


@pytest.mark.parametrize(
    ("refused", "name"),
    [
        # A DN can be counted by itself, and elsewhere than at Active Directory a plain name is no bind name.
        *[("searches", name) for name in ("CORP\\asmith", "asmith@corp.test")],
        *[("the account", name) for name, _ in FORMS if "=" in name or "@" in name or "\\" in name],
    ],
)
def test_a_password_is_not_tried_where_nobody_can_say_whose_it_is(refused: str, name: str) -> None:
    """It would be looked up again afterwards, as vainly; meanwhile a guesser would have heard whether it is right."""
    names = Names()
    names.refuse_searches() if refused == "searches" else refuse_account(names)
    with pytest.raises(PrimaryUnavailable):
        names.of(name)


@pytest.mark.parametrize(("name", "counted"), FORMS)
@pytest.mark.parametrize("refused", ["searches", "the account"])
def test_where_nobody_looks_afterwards_a_name_is_counted_as_it_is_written(
    refused: str, name: str, counted: str
) -> None:
    """exempt_primary_bind: the application's bind is no business of our service account's. A few forms of a name are as
    many counts, and however they are spelled there are no more."""
    names = Names()
    names.refuse_searches() if refused == "searches" else refuse_account(names)
    assert names.of(name, unconfirmed=True) == counted


@pytest.mark.parametrize("account_works", [True, False])
def test_names_with_any_number_of_spellings_are_counted_together(account_works: bool) -> None:
    """A10: an entry that the service account may not see can't be told from none."""
    names = Names()
    names.refuse_searches() if account_works else refuse_account(names)
    forms = [
        f'CN="Ghost";{PEOPLE}',
        f'CN="Ghost" ;{PEOPLE}',
        f"CN=Gh\\6Fst;{PEOPLE}",
        "<SID=S-1-5-21-1>",
        "<GUID=00>",
    ]
    assert len({names.of(name, unconfirmed=not account_works) for name in forms}) == 1


def test_an_account_that_is_no_entry() -> None:
    """Some directories have one, whom no search finds."""
    names = Names()
    for name in ("cn=Directory Manager", "CN = directory  manager"):
        assert names.of(name) == "directory manager"


def test_where_nobody_answers_nobody_is_counted() -> None:
    """Nor would the bind be."""
    names = Names()
    names.desk.down(ONE)
    with pytest.raises(PrimaryUnavailable):
        names.of("asmith", unconfirmed=True)


def test_what_was_not_looked_up_is_looked_up_when_it_can_be() -> None:
    names = Names()
    names.refuse_searches()
    assert names.of("alice.smith@corp.test", unconfirmed=True) == "alice.smith"
    names.desk.one.on_search = None
    assert names.of("alice.smith@corp.test", unconfirmed=True) == "asmith"
